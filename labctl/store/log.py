"""The revision log in SQLite: one row per change, id = revision (the design of kine's `logstructured`).

WAL with synchronous=NORMAL: a row is in the operating system's hands before a write is acknowledged, so killing the
process at any moment loses nothing; only a crash of the machine itself may lose the last moments.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from labctl.store.errors import WriteFailed

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    resource TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    value BLOB              -- the object as JSON, NULL when it was deleted
);
CREATE INDEX IF NOT EXISTS log_by_key ON log (resource, namespace, name, id);
"""
_LATEST = """
SELECT id, resource, namespace, name, value FROM log
WHERE id IN (SELECT max(id) FROM log GROUP BY resource, namespace, name) AND value IS NOT NULL ORDER BY id
"""
_SUPERSEDED = """
DELETE FROM log WHERE id <= ? AND (
    value IS NULL OR EXISTS (
        SELECT 1 FROM log AS later WHERE later.resource = log.resource AND later.namespace = log.namespace
        AND later.name = log.name AND later.id > log.id))
"""


class Row(NamedTuple):
    """The newest state of one object."""

    revision: int
    resource: str
    namespace: str
    name: str
    value: bytes


class RevisionLog:
    """Append-only log; an empty path keeps it in memory."""

    def __init__(self, path: str = "") -> None:
        if path:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise WriteFailed(f"cannot open the state file {path}: {error}") from error

    def latest(self) -> Iterator[Row]:
        """The newest row of every object that exists, in revision order."""
        for row in self._db.execute(_LATEST):
            yield Row(*row)

    def revision(self) -> int:
        """The newest revision ever given out, also when its row is compacted."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()
        return int(row[0]) if row else 0

    def append(self, revision: int, resource: str, namespace: str, name: str, value: bytes | None) -> None:
        """Write one change; returns when it is safe from a kill of this process."""
        try:
            self._db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?)", (revision, resource, namespace, name, value))
        except sqlite3.Error as error:
            raise WriteFailed(f"the change could not be stored: {error}") from error

    def compact(self, up_to: int) -> int:
        """Delete rows up to a revision that later ones supersede; returns how many."""
        try:
            return self._db.execute(_SUPERSEDED, (up_to,)).rowcount
        except sqlite3.Error as error:
            raise WriteFailed(f"compaction failed: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()
