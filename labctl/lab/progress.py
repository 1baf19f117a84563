"""How long work tells what it is doing: one callable that is handed small values, in order.

The command line turns them into a live display, CI into plain lines, tests into a list.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Progress:
    """`start`, then any number of `note`, then `done` or `failed` of one step. `seconds` counts from its start."""

    state: Literal["start", "note", "done", "failed"]
    step: str
    detail: str = ""
    seconds: float = 0.0


Report = Callable[[Progress], None]
Say = Callable[[str], None]


def ignore(_: Progress) -> None:
    """A report for callers that do not want one."""


@contextmanager
def step(report: Report, title: str) -> Iterator[Say]:
    """Time one step. The callable that it yields tells a detail; the last detail is repeated with `done`."""
    started = time.monotonic()
    last = ""

    def say(detail: str) -> None:
        nonlocal last
        last = detail
        report(Progress("note", title, detail, time.monotonic() - started))

    report(Progress("start", title))
    try:
        yield say
    except BaseException:
        report(Progress("failed", title, last, time.monotonic() - started))
        raise
    report(Progress("done", title, last, time.monotonic() - started))
