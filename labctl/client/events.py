"""Recording Events: in the background, so that nothing waits for them, and counted where they repeat.

An Event of the same object, reason and message is the old one with a higher count (client-go's EventCorrelator).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.api.status import ApiError
from labctl.api.times import format_time
from labctl.client.protocol import Api

_LOG = logging.getLogger(__name__)
_REMEMBERED = 4096
_MAX_MESSAGE = 1024


class EventRecorder:
    """Events of one component. `run` writes them; `event` may be called from anywhere on the loop."""

    def __init__(self, api: Api, component: str, *, clock: Callable[[], float] = time.time) -> None:
        self._api = api
        self._component = component
        self._clock = clock
        self._queue: asyncio.Queue[Object] = asyncio.Queue()
        self._known: OrderedDict[tuple[str, ...], Object] = OrderedDict()

    def event(self, obj: Object, kind: str, reason: str, message: str, *, host: str = "", field_path: str = "") -> None:
        """Record an Event about `obj`; `kind` is Normal or Warning."""
        self._queue.put_nowait(self._made(obj, kind, reason, message[:_MAX_MESSAGE], host=host, field_path=field_path))

    async def run(self) -> None:
        """Write Events until cancelled; one that cannot be written is logged and forgotten."""
        while True:
            event = await self._queue.get()
            try:
                await self._write(event)
            except (ApiError, OSError) as error:
                if "is being terminated" not in str(error):
                    _LOG.debug("an event was lost: %s: %s", event["message"], error)

    def _made(self, obj: Object, kind: str, reason: str, message: str, *, host: str, field_path: str) -> Object:
        meta, now = obj["metadata"], self._clock()
        stamp = format_time(now)
        about = {
            "kind": obj.get("kind", ""),
            "apiVersion": obj.get("apiVersion", ""),
            "namespace": meta.get("namespace", ""),
            "name": meta["name"],
            "uid": meta.get("uid", ""),
            "resourceVersion": meta.get("resourceVersion", ""),
            "fieldPath": field_path,
        }
        source = {"component": self._component, "host": host}
        return {
            "metadata": {"name": f"{meta['name']}.{time.time_ns():x}", "namespace": meta.get("namespace") or "default"},
            "involvedObject": {k: v for k, v in about.items() if v},
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {k: v for k, v in source.items() if v},
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
            "reportingComponent": self._component,
            "reportingInstance": host,
        }

    async def _write(self, event: Object) -> None:
        about = event["involvedObject"]
        key = (
            about.get("kind", ""),
            about.get("uid", ""),
            about.get("fieldPath", ""),
            event["reason"],
            event["message"],
        )
        known = self._known.get(key)
        if known is not None:
            change = {"count": known.get("count", 1) + 1, "lastTimestamp": event["lastTimestamp"]}
            meta = known["metadata"]
            try:
                self._known[key] = await self._api.patch(kinds.EVENT, meta["namespace"], meta["name"], change)
                return
            except ApiError as error:
                if error.code != 404:  # expired meanwhile: it becomes a new one
                    raise
        self._known[key] = await self._api.create(kinds.EVENT, event)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
