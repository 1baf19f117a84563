"""One `up` or `down` of a lab at a time: a second one waits until the first has ended, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from labctl.errors import LabctlError
from labctl.lab.paths import StateFolder
from labctl.lab.progress import Report, step


@contextmanager
def alone(folder: StateFolder, report: Report) -> Iterator[None]:
    """Hold the lab's state folder, which is made for that; one that is empty afterwards goes again. Raises LabctlError."""
    try:
        descriptor = _hold(folder.root, report)
    except OSError as error:
        raise LabctlError(
            f"the state folder {folder.root} cannot be used: {error.strerror}",
            hint="XDG_STATE_HOME names another place for it",
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):
            folder.root.rmdir()
        os.close(descriptor)


def _hold(root: Path, report: Report) -> int:
    """A locked descriptor of the folder. Who removes a lab removes the folder too, so it is looked at once more."""
    import fcntl

    while True:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(root, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step(report, "waiting for another labctl up or down"):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), root.stat()):
                return descriptor
        os.close(descriptor)
