"""What a diagnosis says: one sentence about one object, and the command that mends it."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any


class Severity(enum.Enum):
    """How much a finding matters."""

    FINE = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing seen. `about` names the object (`svc/web`); `fix` is a command that mends it, `see` one that shows more."""

    severity: Severity
    about: str
    text: str
    fix: str = ""
    see: str = ""

    @property
    def is_problem(self) -> bool:
        """True when this is a cause of the trouble."""
        return self.severity is Severity.PROBLEM

    def to_json(self) -> dict[str, Any]:
        """For programs: without empty fields."""
        return {k: v for k, v in {**asdict(self), "severity": self.severity.value}.items() if v}


def fine(about: str, text: str) -> Finding:
    """Something checked and found in order."""
    return Finding(Severity.FINE, about, text)


def note(about: str, text: str, *, fix: str = "", see: str = "") -> Finding:
    """Worth knowing, not a cause by itself."""
    return Finding(Severity.NOTE, about, text, fix, see)


def problem(about: str, text: str, *, fix: str = "", see: str = "") -> Finding:
    """A cause of the trouble, with the command that mends it where there is one."""
    return Finding(Severity.PROBLEM, about, text, fix, see)


def lines(found: Sequence[Finding]) -> Iterator[str]:
    """The findings as text: a line each, commands that show more below, and at the end the commands that mend."""
    width = max((len(f.about) for f in found), default=0)
    for finding in found:
        yield f"{finding.severity.value:<8} {finding.about:<{width}}  {finding.text}"
        if finding.see:
            yield f"{'':<8} {'':<{width}}  look: {finding.see}"
    # A note's command matters where something is wrong: the near miss beside the empty endpoints.
    mends = dict.fromkeys(f.fix for f in found if f.fix) if any(f.is_problem for f in found) else {}
    if mends:
        yield ""
        yield "This mends it:" if len(mends) == 1 else "These mend it:"
        yield from (f"  {command}" for command in mends)


def nearest(word: str, candidates: Iterable[str]) -> str:
    """The candidate most like `word`, or empty when none is alike."""
    matches = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return matches[0] if matches else ""
