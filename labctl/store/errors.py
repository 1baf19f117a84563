"""What can go wrong in the store.

StoreError
├── Conflict       the object is not at the expected revision (or exists, or does not)
├── Compacted      the revision asked for is no longer kept
├── FutureRevision the revision asked for has not happened yet
└── WriteFailed    the disk is full or broken; nothing was changed
"""

from __future__ import annotations


class StoreError(Exception):
    """Root of this package's errors."""


class Conflict(StoreError):
    """The object is at `actual` (0: it does not exist), not at the expected revision."""

    def __init__(self, actual: int) -> None:
        super().__init__(f"the object is at revision {actual}")
        self.actual = actual


class Compacted(StoreError):
    """History begins after the revision asked for."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {asked} ({oldest})")


class FutureRevision(StoreError):
    """The revision asked for is larger than the newest."""

    def __init__(self, asked: int, newest: int) -> None:
        super().__init__(f"Too large resource version: {asked}, current: {newest}")
        self.asked = asked
        self.newest = newest


class WriteFailed(StoreError):
    """SQLite could not write; the present state is what it was."""
