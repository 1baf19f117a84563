"""Local copies of the API's objects of several kinds: one informer for each."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable

from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.client.informer import Informer
from labctl.client.protocol import Api

Changed = Callable[[Kind, Object | None, Object | None], None]
"""Called with the kind, the object before (None: new) and after (None: gone)."""


class Mirror:
    """Copies of all objects of some kinds; `changed` hears of every difference."""

    def __init__(self, api: Api, changed: Changed) -> None:
        self._api = api
        self._changed = changed
        self._informers: dict[Kind, Informer] = {}

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object."""
        informer = self._informers.get(kind)
        return None if informer is None else informer.get(namespace, name)

    def all(self, kind: Kind) -> Iterable[Object]:
        """All objects of a kind."""
        informer = self._informers.get(kind)
        return () if informer is None else informer.objects.values()

    def follow(self, kind: Kind, tasks: asyncio.TaskGroup) -> None:
        """Begin to follow a kind."""
        informer = self._informers[kind] = Informer(self._api, kind, functools.partial(self._changed, kind))
        tasks.create_task(informer.run(), name=f"watch {kind}")

    async def synced(self) -> None:
        """Wait until the present state of every kind has been read."""
        for informer in self._informers.values():
            await informer.synced()
