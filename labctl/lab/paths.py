"""Folders and names of one lab."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import UsageError

DEFAULT_NAME = "lab"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


def checked_name(name: str) -> str:
    """A lab's name as it may appear in container names and contexts. Raises UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f'"{name}" is no name for a lab', hint="use 1 to 32 lower-case letters, digits and '-', such as lab-2"
        )
    return name


def context_of(name: str) -> str:
    """The kubeconfig context (and cluster, and user) of a lab."""
    return "labctl" if name == DEFAULT_NAME else f"labctl-{name}"


def project_of(name: str) -> str:
    """Prefix of container, network and volume names, and the Compose project."""
    return f"labctl-{name}"


def _base(variable: str, fallback: str) -> Path:
    configured = os.environ.get(variable, "")
    return (Path(configured) if configured else Path(fallback).expanduser()) / "labctl"


def cache() -> Path:
    """Downloads and built programs, safe to delete at any time."""
    return _base("XDG_CACHE_HOME", "~/.cache")


def command(verb: str, name: str) -> str:
    """A command for a user to type about this lab: `labctl up`, with `--name` where another lab would be meant without."""
    meant = os.environ.get("LABCTL_NAME") or DEFAULT_NAME
    return f"labctl {verb}" if name == meant else f"labctl {verb} --name {name}"


def pods_bridge_of(name: str) -> str:
    """The host's interface of the pods' network, at most 15 characters as Linux wants it."""
    return f"labctl-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class StateFolder:
    """`$XDG_STATE_HOME/labctl/NAME`: what `up` decided. It holds keys, so only the owner may read it."""

    root: Path

    @classmethod
    def of(cls, name: str) -> StateFolder:
        """The folder of a lab, whether it exists or not."""
        return cls(_base("XDG_STATE_HOME", "~/.local/state") / checked_name(name))

    @property
    def lab(self) -> Path:
        """The decisions (`labctl.lab.record.Record` as JSON)."""
        return self.root / "lab.json"

    @property
    def compose(self) -> Path:
        """The Compose file as rendered."""
        return self.root / "compose.yaml"

    def write(self, path: Path, text: str) -> None:
        """Replace a file in one step, readable by the owner only."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)

    @property
    def previous_context(self) -> str:
        """The kubeconfig context that was current before the lab."""
        path = self.root / "previous-context"
        return path.read_text().strip() if path.is_file() else ""

    def remember_context(self, name: str) -> None:
        """Keep the context to go back to."""
        self.write(self.root / "previous-context", name)

    def remove(self) -> None:
        """Forget the lab."""
        shutil.rmtree(self.root, ignore_errors=True)


def known_labs() -> list[str]:
    """Names of the labs with a state folder."""
    root = _base("XDG_STATE_HOME", "~/.local/state")
    return sorted(p.name for p in root.iterdir() if (p / "lab.json").is_file()) if root.is_dir() else []
