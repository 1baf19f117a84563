"""The verbs that labctl leaves to kubectl: describe, rollout, edit and their like.

They run on the client alone, in tens of thousands of lines that are kubectl's; a copy could only be worse. kubectl is taken
from PATH, else compiled once from its published module and cached.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import NoReturn

VERBS = (
    "annotate",
    "api-resources",
    "api-versions",
    "auth",
    "autoscale",
    "cluster-info",
    "config",
    "cp",
    "create",
    "debug",
    "describe",
    "diff",
    "edit",
    "events",
    "explain",
    "expose",
    "label",
    "patch",
    "port-forward",
    "proxy",
    "replace",
    "rollout",
    "run",
    "set",
    "version",
    "wait",
)


SHARED = ("get", "apply", "delete", "scale", "exec", "attach", "logs")
"""kubectl's verbs that labctl has too: what it does not know of them is kubectl's."""


def is_there() -> bool:
    """Whether there is a kubectl on PATH."""
    return shutil.which("kubectl") is not None


def hand_over(words: Sequence[str]) -> NoReturn:
    """Become kubectl, in the context of the lab that $LABCTL_NAME names. Raises MissingPrerequisite."""
    from labctl.cli.session import labs_context
    from labctl.lab.tools import kubectl_binary

    binary = str(kubectl_binary(_say))
    context = labs_context()
    chosen = ["--context", context] if context and not _has_context(words) else []
    os.execv(binary, [binary, *chosen, *words])  # noqa: S606  # the program is kubectl, the words are the user's


def _has_context(words: Sequence[str]) -> bool:
    own = words[: words.index("--")] if "--" in words else words
    return any(word == "--context" or word.startswith("--context=") for word in own)


def _say(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[Klabctl: kubectl is not on PATH, making one: {text}"[:120])
