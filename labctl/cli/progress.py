"""Progress of long work: one line for each step with the time it took; on a terminal also the step under way."""

from __future__ import annotations

import sys

from labctl.lab.progress import Progress, Report


def reporter() -> Report:
    """A live display on a terminal, plain lines elsewhere (CI)."""
    return _live if sys.stderr.isatty() else _plain


def _plain(progress: Progress) -> None:
    if progress.state == "done":
        sys.stderr.write(f"{_line(progress)}\n")
    elif progress.state == "failed":
        sys.stderr.write(f"failed   {progress.step}\n")
    elif progress.state == "note" and progress.step.startswith("image "):
        sys.stderr.write(f"         {progress.step}: {progress.detail}\n")
    sys.stderr.flush()


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
