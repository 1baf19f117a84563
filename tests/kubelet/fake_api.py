"""A small API in memory: enough of its verbs for a kubelet, and every write is remembered."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

from labctl.api import kinds, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object, ObjectKey, copy, key_of
from labctl.client.protocol import ObjectList, WatchEvent

Change = WatchEvent


class FakeApi:
    """Objects by kind and key; watches see every change in order."""

    def __init__(self) -> None:
        self.objects: dict[Kind, dict[ObjectKey, Object]] = {}
        self._revision = itertools.count(1)
        self._watchers: dict[Kind, list[asyncio.Queue[WatchEvent]]] = {}
        self._uids = itertools.count(1)
        self.token_requests: list[tuple[str, Object]] = []

    def peek(self, kind: Kind, name: str, namespace: str = "default") -> Object:
        """The object as it is now."""
        return self.objects[kind][ObjectKey(namespace, name)]

    def has(self, kind: Kind, name: str, namespace: str = "default") -> bool:
        return ObjectKey(namespace, name) in self.objects.get(kind, {})

    def put(self, kind: Kind, obj: Object) -> Object:
        """Create or replace an object as a user would."""
        stored = copy(obj)
        meta = stored.setdefault("metadata", {})
        if kind.namespaced:
            meta.setdefault("namespace", "default")
        before = self.objects.setdefault(kind, {}).get(key_of(stored))
        meta.setdefault("uid", before["metadata"]["uid"] if before else f"uid-{next(self._uids)}")
        self._store(kind, stored, "MODIFIED" if before else "ADDED")
        return stored

    def _store(self, kind: Kind, obj: Object, change: Any) -> None:
        obj["metadata"]["resourceVersion"] = str(next(self._revision))
        self.objects.setdefault(kind, {})[key_of(obj)] = obj
        self._tell(kind, WatchEvent(change, obj))

    def _tell(self, kind: Kind, event: WatchEvent) -> None:
        for queue in self._watchers.get(kind, ()):
            queue.put_nowait(event)

    async def get(self, kind: Kind, namespace: str, name: str, *, subresource: str = "") -> Object:
        found = self.objects.get(kind, {}).get(ObjectKey(namespace, name))
        if found is None:
            raise status.not_found(kind, name)
        return found

    async def list(self, kind: Kind, namespace: str = "", **_: Any) -> ObjectList:
        items = [o for k, o in self.objects.get(kind, {}).items() if namespace in ("", k.namespace)]
        return ObjectList(items, "1")

    async def create(
        self, kind: Kind, obj: Object, *, namespace: str = "", subresource: str = "", name: str = ""
    ) -> Object:
        if subresource == "token":
            self.token_requests.append((f"{namespace}/{name}", obj))
            return {"status": {"token": f"token-{len(self.token_requests)}"}}
        stored = copy(obj)
        if kind.namespaced:
            stored["metadata"].setdefault("namespace", namespace or "default")
        if self.objects.get(kind, {}).get(key_of(stored)):
            raise status.already_exists(kind, stored["metadata"]["name"])
        return self.put(kind, stored)

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        before = await self.get(kind, *key_of(obj))
        wanted = obj["metadata"].get("resourceVersion")
        if wanted and wanted != before["metadata"]["resourceVersion"]:
            raise status.conflict(kind, key_of(obj).name, status.MODIFIED)
        after = copy(before)
        if subresource == "status":
            after["status"] = copy(obj.get("status") or {})
        else:
            after = copy(obj)
        self._store(kind, after, "MODIFIED")
        return after

    async def patch(self, kind: Kind, namespace: str, name: str, patch: Any, **options: Any) -> Object:
        after = copy(await self.get(kind, namespace, name))
        _merge(after, patch)
        self._store(kind, after, "MODIFIED")
        return after

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        grace_period_s: int | None = None,
        propagation: str | None = None,
        uid: str = "",
        resource_version: str = "",
    ) -> Object:
        found = await self.get(kind, namespace, name)
        if uid and uid != found["metadata"]["uid"]:
            raise status.conflict(kind, name, "Precondition failed: UID in precondition")
        grace = (
            found.get("spec", {}).get("terminationGracePeriodSeconds", 30) if grace_period_s is None else grace_period_s
        )
        if kind is kinds.POD and grace and found["spec"].get("nodeName"):
            after = copy(found)
            after["metadata"] |= {"deletionTimestamp": "2026-11-23T10:00:00Z", "deletionGracePeriodSeconds": grace}
            self._store(kind, after, "MODIFIED")
            return after
        gone = copy(self.objects[kind].pop(ObjectKey(namespace, name)))
        gone["metadata"]["resourceVersion"] = str(next(self._revision))
        self._tell(kind, WatchEvent("DELETED", gone))
        return gone

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str = "",
        send_initial_events: bool = False,
        **_: Any,
    ) -> AsyncIterator[WatchEvent]:
        queue: asyncio.Queue[WatchEvent] = asyncio.Queue()
        if send_initial_events:
            for obj in self.objects.get(kind, {}).values():
                queue.put_nowait(WatchEvent("ADDED", obj))
            annotations = {"k8s.io/initial-events-end": "true"}
            end = {"metadata": {"resourceVersion": str(next(self._revision)), "annotations": annotations}}
            queue.put_nowait(WatchEvent("BOOKMARK", end))
        self._watchers.setdefault(kind, []).append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers[kind].remove(queue)


def _merge(target: Object, patch: Object) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value


class Recorded:
    """Events that were recorded, as `kind reason message`."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str, str]] = []

    def event(self, obj: Object, kind: str, reason: str, message: str, *, host: str = "", field_path: str = "") -> None:
        self.events.append((obj["metadata"]["name"], kind, reason, message))

    def reasons(self, name: str) -> list[str]:
        return [reason for about, _, reason, _ in self.events if about == name]

    def messages(self, name: str, reason: str) -> list[str]:
        return [message for about, _, why, message in self.events if about == name and why == reason]
