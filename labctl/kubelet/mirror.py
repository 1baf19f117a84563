"""Local copies of the API's objects, kept up to date by watches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from labctl.api.kinds import Kind
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.api.status import ApiError
from labctl.client.protocol import Api, WatchEvent
from labctl.errors import LabctlError

log = logging.getLogger(__name__)

_RETRY_S = 0.5
Changed = Callable[[Kind, Object | None, Object | None], None]
"""Called with the kind, the object before (None: new) and after (None: gone)."""


class Mirror:
    """Copies of all objects of some kinds; `changed` hears of every difference, also of what a broken watch missed."""

    def __init__(self, api: Api, changed: Changed) -> None:
        self._api = api
        self._changed = changed
        self._objects: dict[Kind, dict[ObjectKey, Object]] = {}
        self._synced: dict[Kind, asyncio.Event] = {}

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object."""
        return self._objects.get(kind, {}).get(ObjectKey(namespace, name))

    def all(self, kind: Kind) -> Iterable[Object]:
        """All objects of a kind."""
        return self._objects.get(kind, {}).values()

    async def synced(self) -> None:
        """Wait until the present state of every kind has been read."""
        for event in self._synced.values():
            await event.wait()

    def follow(self, kind: Kind, tasks: asyncio.TaskGroup) -> None:
        """Begin to follow a kind."""
        self._objects[kind], self._synced[kind] = {}, asyncio.Event()
        tasks.create_task(self._follow(kind), name=f"watch {kind}")

    async def _follow(self, kind: Kind) -> None:
        while True:
            try:
                await self._watch_once(kind)
            except LabctlError as error:
                log.warning("watch of %s: %s", kind, error)
                await asyncio.sleep(_RETRY_S)

    async def _watch_once(self, kind: Kind) -> None:
        """One watch from the present state on. Objects that it does not show any more are gone."""
        fresh: dict[ObjectKey, Object] | None = {}
        revision = ""
        while True:
            async for event in self._api.watch(kind, resource_version=revision, send_initial_events=not revision):
                if event.type == "ERROR":
                    raise ApiError(int(event.object.get("code") or 500), "", str(event.object.get("message")))
                revision = event.object["metadata"]["resourceVersion"]
                if fresh is None:
                    self._apply(kind, event)
                elif event.type == "BOOKMARK":
                    self._replace(kind, fresh)
                    fresh = None
                else:
                    fresh[key_of(event.object)] = event.object
            if fresh is not None:
                return  # ended before the present state was complete

    def _apply(self, kind: Kind, event: WatchEvent) -> None:
        if event.type == "BOOKMARK":
            return
        objects, key = self._objects[kind], key_of(event.object)
        before = objects.get(key)
        if event.type == "DELETED":
            objects.pop(key, None)
            self._changed(kind, event.object, None)
        else:
            objects[key] = event.object
            self._changed(kind, before, event.object)

    def _replace(self, kind: Kind, fresh: dict[ObjectKey, Object]) -> None:
        objects = self._objects[kind]
        for key in [k for k in objects if k not in fresh]:
            self._changed(kind, objects.pop(key), None)
        for key, obj in fresh.items():
            before, objects[key] = objects.get(key), obj
            if before != obj:
                self._changed(kind, before, obj)
        self._synced[kind].set()
