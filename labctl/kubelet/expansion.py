"""`$(VAR)` references in env values, commands and arguments, as Kubernetes expands them."""

from __future__ import annotations

import re
from collections.abc import Mapping

# `$$` stands for `$`, so `$$(VAR)` is never expanded. Anything else after `$` is left alone.
_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")


def expand(text: str, *scopes: Mapping[str, str]) -> str:
    """Replace references by the first scope that knows the name; unknown ones stay as they are."""

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        return next((scope[name] for scope in scopes if name in scope), match[0])

    return _REFERENCE.sub(replace, text)
