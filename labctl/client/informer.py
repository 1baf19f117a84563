"""An informer: a local copy of one kind's objects, kept up to date by a watch.

Prefers a watch that starts with what there is (`sendInitialEvents`, KEP-3157); after a lost connection or 410 it starts over,
with a growing pause, and tells its handlers only the difference.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import replace

from labctl.api.kinds import Kind
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.api.status import ApiError
from labctl.client.protocol import Api, WatchEvent

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0
_END_OF_INITIAL = "k8s.io/initial-events-end"

OnChange = Callable[[Object | None, Object | None], None]
"""Called with the old and the new state of an object; None where it does not exist."""


class WatchEnded(Exception):
    """The server ended a watch with an error event."""


class Informer:
    """Objects of one kind by key in `objects`; they are shared and must not be changed."""

    def __init__(
        self,
        api: Api,
        kind: Kind,
        on_change: OnChange | None = None,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        transform: Callable[[Object], Object] | None = None,
    ) -> None:
        """`transform` reduces each object before it is kept or handed on; its metadata must stay."""
        self.kind = kind
        self._transform = transform
        self.objects: dict[ObjectKey, Object] = {}
        self._api = api
        self._handlers: list[OnChange] = [on_change] if on_change else []
        self._index_of: Callable[[Object], Hashable] | None = None
        self._indexed: dict[Hashable, dict[ObjectKey, Object]] = {}
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._synced = asyncio.Event()
        self._revision = ""

    def add_handler(self, on_change: OnChange) -> None:
        """Call a function for each change, in the order of registration; before `run`."""
        self._handlers.append(on_change)

    def index_by(self, index_of: Callable[[Object], Hashable]) -> None:
        """Keep objects also under a value of theirs, for `indexed`; before `run`."""
        self._index_of = index_of

    def indexed(self, value: Hashable) -> list[Object]:
        """All objects of a value: what a search through all of them would find, without the search."""
        return list(self._indexed.get(value, {}).values())

    def get(self, namespace: str, name: str) -> Object | None:
        """One object."""
        return self.objects.get(ObjectKey(namespace, name))

    def in_namespace(self, namespace: str) -> list[Object]:
        """All objects of a namespace."""
        return [o for k, o in self.objects.items() if k.namespace == namespace]

    def learn(self, obj: Object) -> None:
        """Take in what the caller has just created, and tell the handlers, before the watch does."""
        if key_of(obj) not in self.objects:
            self._set(key_of(obj), obj)

    async def synced(self) -> None:
        """Wait until the copy was complete once."""
        await self._synced.wait()

    @property
    def is_synced(self) -> bool:
        """Whether the copy was complete once."""
        return self._synced.is_set()

    async def run(self) -> None:
        """Follow the server until cancelled."""
        pause = _FIRST_PAUSE_S
        while True:
            try:
                await self._follow()
                pause = _FIRST_PAUSE_S
            except (ApiError, OSError, EOFError, WatchEnded) as error:
                refused = isinstance(error, ApiError) and error.code in (401, 403)
                _LOG.log(logging.WARNING if refused else logging.DEBUG, "watching %s: %s", self.kind, error)
                if isinstance(error, WatchEnded) or (isinstance(error, ApiError) and error.code == 410):
                    self._revision = ""
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _follow(self) -> None:
        """One watch, from its initial events (or where the last one ended) to its end."""
        initial: dict[ObjectKey, Object] | None = None if self._revision else {}
        async for event in self._watch():
            if event.type == "ERROR":
                raise WatchEnded(event.object.get("message", "the watch ended"))
            revision = event.object["metadata"]["resourceVersion"]
            if self._transform and event.type != "BOOKMARK":
                event = replace(event, object=self._transform(event.object))
            if initial is None:
                self._revision = revision
                self._apply(event)
            elif event.type != "BOOKMARK":
                initial[key_of(event.object)] = event.object
            elif (event.object["metadata"].get("annotations") or {}).get(_END_OF_INITIAL) == "true":
                # Only now: a watch that is cut off before its picture is whole has to start over.
                self._revision = revision
                self._replace(initial)
                initial = None

    def _watch(self) -> AsyncIterator[WatchEvent]:
        return self._api.watch(
            self.kind,
            self._namespace,
            resource_version=self._revision,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            send_initial_events=not self._revision,
        )

    def _replace(self, fresh: dict[ObjectKey, Object]) -> None:
        for key in [k for k in self.objects if k not in fresh]:
            self._set(key, None)
        for key, obj in fresh.items():
            known = self.objects.get(key)
            if known is None or known["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
                self._set(key, obj)
        self._synced.set()

    def _apply(self, event: WatchEvent) -> None:
        if event.type != "BOOKMARK":
            self._set(key_of(event.object), None if event.type == "DELETED" else event.object)

    def _set(self, key: ObjectKey, new: Object | None) -> None:
        old = self.objects.get(key)
        if new is None:
            self.objects.pop(key, None)
        else:
            self.objects[key] = new
        if old is None and new is None:
            return
        if self._index_of is not None:
            self._reindex(key, old, new, self._index_of)
        for handler in self._handlers:
            handler(old, new)

    def _reindex(
        self, key: ObjectKey, old: Object | None, new: Object | None, index_of: Callable[[Object], Hashable]
    ) -> None:
        if old is not None:
            before = index_of(old)
            self._indexed[before].pop(key)
            if not self._indexed[before]:
                del self._indexed[before]
        if new is not None:
            self._indexed.setdefault(index_of(new), {})[key] = new
