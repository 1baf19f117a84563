"""What a diagnosis says: one sentence about one object, and the command that mends it."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Severity(enum.Enum):
    """How much a finding matters."""

    FINE = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing seen. `about` names the object (`svc/web`), `fix` is a command or empty."""

    severity: Severity
    about: str
    text: str
    fix: str = ""

    @property
    def is_problem(self) -> bool:
        """True when this is a cause of the trouble."""
        return self.severity is Severity.PROBLEM


def fine(about: str, text: str) -> Finding:
    """Something checked and found in order."""
    return Finding(Severity.FINE, about, text)


def note(about: str, text: str, *, fix: str = "") -> Finding:
    """Worth knowing, not a cause by itself."""
    return Finding(Severity.NOTE, about, text, fix)


def problem(about: str, text: str, *, fix: str = "") -> Finding:
    """A cause of the trouble, with the command that mends it where there is one."""
    return Finding(Severity.PROBLEM, about, text, fix)


def nearest(word: str, candidates: Iterable[str]) -> str:
    """The candidate most like `word`, or empty when none is alike."""
    matches = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return matches[0] if matches else ""
