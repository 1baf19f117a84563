"""Present state, recent history and watches on top of the revision log.

Everything is synchronous and belongs to one event loop: a read, a decision and a write without an `await` between them
are one transaction. Objects handed out are shared and must not be changed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

import orjson

from labctl.api.objects import Object, ObjectKey, key_of
from labctl.store.errors import Compacted, Conflict, FutureRevision
from labctl.store.log import RevisionLog

HISTORY = 10_000  # changes kept for watches that start in the past and for continued lists
COMPACT_EVERY_S = 300.0  # DefaultCompactInterval of k8s.io/apiserver
_COMPACT_LOG_EVERY = 2_000  # revisions
_KEEP_REVISIONS = 1_000
_MAX_BACKLOG = 50_000  # changes a watcher may lag behind before it is cut


@dataclass(frozen=True, slots=True)
class Change:
    """One revision: `object` is the new state, or the last one (at this revision) when `deleted`."""

    revision: int
    resource: str
    key: ObjectKey
    object: Object
    previous: Object | None  # None: it did not exist before
    deleted: bool = False
    encoded: dict[Hashable, bytes] = field(default_factory=dict, compare=False)
    """What watchers have made of this change, shared so that each form is encoded once."""


class Watcher:
    """A subscription to the changes of one resource. Iterate over `batches()`; `close()` when done."""

    def __init__(self, backlog: list[Change], forget: Callable[[Watcher], None]) -> None:
        self._pending = deque(backlog)
        self._wake = asyncio.Event()
        self._forget = forget
        self.closed = False

    def offer(self, change: Change) -> None:
        """Called by the store for each change. A watcher that lags too far behind is cut, not buffered for ever."""
        self._pending.append(change)
        if len(self._pending) > _MAX_BACKLOG:
            self.close()
        self._wake.set()

    async def batch(self, timeout_s: float | None = None) -> list[Change] | None:
        """The changes since the last call; empty after `timeout_s` without any, None when the watch was cut."""
        if not self._pending and not self.closed:
            self._wake.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._wake.wait()
            except TimeoutError:
                return []
        if self.closed:
            return None
        changes = list(self._pending)
        self._pending.clear()
        return changes

    def close(self) -> None:
        """End the subscription."""
        if not self.closed:
            self.closed = True
            self._forget(self)
            self._wake.set()


class Store:
    """The objects of a lab by resource (`services`, `deployments.apps`) and key."""

    def __init__(self, path: str = "") -> None:
        self._log = RevisionLog(path)
        self._objects: dict[str, dict[ObjectKey, Object]] = {}
        self._history: deque[Change] = deque(maxlen=HISTORY)
        self._watchers: dict[str, set[Watcher]] = {}
        for row in self._log.latest():
            self._objects.setdefault(row.resource, {})[ObjectKey(row.namespace, row.name)] = orjson.loads(row.value)
        self.revision = self._log.revision()
        self._oldest = self._compacted = self.revision

    def get(self, resource: str, key: ObjectKey) -> Object | None:
        """The present state of an object."""
        return self._objects.get(resource, {}).get(key)

    def items(self, resource: str, namespace: str = "") -> list[Object]:
        """All objects of a resource (in one namespace), ordered by namespace and name."""
        return _ordered(self._objects.get(resource, {}), namespace)

    def items_at(self, resource: str, revision: int, namespace: str = "") -> list[Object]:
        """The objects as they were at an earlier revision. Raises Compacted, FutureRevision."""
        self._check(revision, max(self._oldest, self._compacted))
        objects = dict(self._objects.get(resource, {}))
        for change in reversed(self._history):
            if change.revision <= revision:
                break
            if change.resource == resource:
                if change.previous is None:
                    objects.pop(change.key, None)
                else:
                    objects[change.key] = change.previous
        return _ordered(objects, namespace)

    def count(self, resource: str) -> int:
        """How many objects of a resource there are."""
        return len(self._objects.get(resource, {}))

    def put(self, resource: str, obj: Object, *, expected: int | None = None) -> Object:
        """Write an object, setting its resourceVersion. `expected` 0: it must not exist; None: whatever is there.

        The object becomes the store's: the caller must not change it afterwards. Raises Conflict, WriteFailed.
        """
        key = key_of(obj)
        previous = self._checked(resource, key, expected)
        revision = self.revision + 1
        obj["metadata"]["resourceVersion"] = str(revision)
        self._log.append(revision, resource, *key, orjson.dumps(obj))
        self._objects.setdefault(resource, {})[key] = obj
        self._record(Change(revision, resource, key, obj, previous))
        return obj

    def delete(self, resource: str, key: ObjectKey, *, expected: int | None = None) -> Object:
        """Delete an object; returns its last state at the revision of its deletion. Raises Conflict, WriteFailed."""
        previous = self._checked(resource, key, expected)
        if previous is None:
            raise Conflict(0)
        revision = self.revision + 1
        last = {**previous, "metadata": {**previous["metadata"], "resourceVersion": str(revision)}}
        self._log.append(revision, resource, *key, None)
        del self._objects[resource][key]
        self._record(Change(revision, resource, key, last, previous, deleted=True))
        return last

    def watch(self, resource: str, *, since: int | None = None) -> Watcher:
        """Subscribe to changes after `since` (None: from now on). Raises Compacted, FutureRevision."""
        backlog: list[Change] = []
        if since is not None:
            self._check(since, self._oldest)
            backlog = [c for c in self._history if c.revision > since and c.resource == resource]
        watchers = self._watchers.setdefault(resource, set())
        watcher = Watcher(backlog, watchers.discard)
        watchers.add(watcher)
        return watcher

    def compact(self, revision: int) -> None:
        """Tell nobody from now on how things were before a revision. Watches still start there while history reaches.

        Kubernetes' way: etcd answers lists of the past and is compacted, the watch cache answers watches and is not.
        """
        self._compacted = min(revision, self.revision)

    async def keep_compacting(self) -> None:
        """Compact what is older than five to ten minutes, as kube-apiserver lets etcd do, until cancelled."""
        before = self.revision
        while True:
            await asyncio.sleep(COMPACT_EVERY_S)
            self.compact(before)
            before = self.revision

    def resources(self) -> Iterator[str]:
        """Resources that have objects."""
        return (r for r, objects in self._objects.items() if objects)

    def close(self) -> None:
        """End all watches and close the file."""
        for watchers in self._watchers.values():
            for watcher in list(watchers):
                watcher.close()
        self._log.close()

    def _check(self, revision: int, oldest: int) -> None:
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        if revision < oldest:
            raise Compacted(revision, oldest)

    def _checked(self, resource: str, key: ObjectKey, expected: int | None) -> Object | None:
        previous = self.get(resource, key)
        actual = int(previous["metadata"]["resourceVersion"]) if previous else 0
        if expected is not None and expected != actual:
            raise Conflict(actual)
        return previous

    def _record(self, change: Change) -> None:
        if len(self._history) == HISTORY:
            self._oldest = self._history[0].revision
        self._history.append(change)
        self.revision = change.revision
        for watcher in tuple(self._watchers.get(change.resource, ())):
            watcher.offer(change)
        if change.revision % _COMPACT_LOG_EVERY == 0:
            self._log.compact(change.revision - _KEEP_REVISIONS)


def _ordered(objects: dict[ObjectKey, Object], namespace: str) -> list[Object]:
    keys = (k for k in objects if k.namespace == namespace) if namespace else objects
    return [objects[k] for k in sorted(keys)]
