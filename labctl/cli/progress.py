"""Progress of long work: one line for each step with the time it took; on a terminal also the step under way."""

from __future__ import annotations

import sys
from collections.abc import Callable

from labctl.lab.progress import Progress, Report

_QUIET_S = 10.0


def reporter() -> Report:
    """A live display on a terminal, plain lines elsewhere (CI)."""
    return _live if sys.stderr.isatty() else plain(lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201  # the terminal is its purpose


def plain(write: Callable[[str], None]) -> Report:
    """One line per step; a step that lasts also says what it is at, every ten seconds, so that a log shows life."""
    last: dict[str, float] = {}

    def report(progress: Progress) -> None:
        if progress.state == "done":
            write(_line(progress))
        elif progress.state == "failed":
            write(f"failed   {progress.step}")
        elif progress.state == "note" and progress.seconds - last.get(progress.step, 0.0) >= _QUIET_S:
            last[progress.step] = progress.seconds
            write(f"{progress.seconds:6.0f} s ... {progress.step}: {progress.detail}"[:160])

    return report


def _live(progress: Progress) -> None:
    clear = "\r\x1b[K"
    if progress.state == "done":
        sys.stderr.write(f"{clear}{_line(progress)}\n")
    elif progress.state == "failed":
        sys.stderr.write(f"{clear}failed   {progress.step}\n")
    else:
        sys.stderr.write(f"{clear}{progress.seconds:6.1f} s {progress.step} {progress.detail}"[:160])
    sys.stderr.flush()


def _line(progress: Progress) -> str:
    detail = f" ({progress.detail})" if progress.detail else ""
    return f"{progress.seconds:6.2f} s {progress.step}{detail}"
