"""Garbage collection: what an owner leaves behind is deleted, or orphaned, or holds the owner back (foreground).

Follows pkg/controller/garbagecollector for the kinds that controllers create: ReplicaSets, Pods, EndpointSlices.
"""

from __future__ import annotations

from collections.abc import Iterator

from labctl.aiokits.workqueue import WorkQueue
from labctl.api import kinds
from labctl.api.kinds import Kind
from labctl.api.objects import Object, ObjectKey, key_of, split_api_version
from labctl.controllers.context import Context
from labctl.controllers.namespaces import suppress_gone

_DEPENDENTS = (kinds.REPLICA_SET, kinds.POD, kinds.ENDPOINT_SLICE)
_OWNERS = (kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.SERVICE, kinds.ENDPOINTS)
_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"

Item = tuple[Kind, ObjectKey]


class GarbageCollector:
    """Keys are a kind and an object's key."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.queue: WorkQueue[Item] = WorkQueue()
        for kind in dict.fromkeys((*_OWNERS, *_DEPENDENTS)):
            context.on_change(kind, self._handler(kind))

    async def run(self) -> None:
        """Collect until cancelled."""
        await self.queue.run(self.reconcile)

    def _handler(self, kind: Kind):  # type: ignore[no-untyped-def]  # an OnChange
        def changed(old: Object | None, new: Object | None) -> None:
            obj = new or old or {}
            if new is not None:
                if kind in _DEPENDENTS and (old is None or _owners(old) != _owners(new)):
                    self.queue.add((kind, key_of(new)))
                if kind in _OWNERS and new["metadata"].get("deletionTimestamp"):
                    self.queue.add((kind, key_of(new)))
                return
            for dependent_kind, dependent in self._dependents(obj):
                self.queue.add((dependent_kind, key_of(dependent)))
            self._wake_owner(obj)

        return changed

    def _wake_owner(self, obj: Object) -> None:
        """An owner that waits for its dependents may go on."""
        for owner in _owners(obj):
            kind = kinds.by_gvk(*split_api_version(owner["apiVersion"]), owner["kind"])
            if kind in _OWNERS and kind is not None:
                self.queue.add((kind, ObjectKey(key_of(obj).namespace, owner["name"])))

    async def reconcile(self, item: Item) -> None:
        """Delete a dependent without owners, or settle an owner that waits."""
        kind, key = item
        obj = self.context.get(kind, key)
        if obj is None:
            return
        if kind in _DEPENDENTS and _owners(obj) and not any(self._exists(o, key.namespace) for o in _owners(obj)):
            with suppress_gone():
                await self.context.api.delete(
                    kind, key.namespace, key.name, propagation="Background", uid=obj["metadata"]["uid"]
                )
            return
        if obj["metadata"].get("deletionTimestamp"):
            await self._settle(kind, obj)

    async def _settle(self, kind: Kind, obj: Object) -> None:
        finalizers = obj["metadata"].get("finalizers") or []
        dependents = list(self._dependents(obj))
        if _ORPHAN in finalizers:
            for dependent_kind, dependent in dependents:
                await self._disown(dependent_kind, dependent, obj)
            await self._drop(kind, obj, _ORPHAN)
        elif _FOREGROUND in finalizers:
            for dependent_kind, dependent in dependents:
                if not dependent["metadata"].get("deletionTimestamp"):
                    where = key_of(dependent)
                    with suppress_gone():
                        await self.context.api.delete(
                            dependent_kind, where.namespace, where.name, propagation="Foreground"
                        )
            if not dependents:
                await self._drop(kind, obj, _FOREGROUND)

    async def _disown(self, kind: Kind, dependent: Object, owner: Object) -> None:
        kept = [o for o in _owners(dependent) if o["uid"] != owner["metadata"]["uid"]]
        key = key_of(dependent)
        with suppress_gone():
            await self.context.api.patch(kind, key.namespace, key.name, {"metadata": {"ownerReferences": kept or None}})

    async def _drop(self, kind: Kind, obj: Object, finalizer: str) -> None:
        kept = [f for f in obj["metadata"]["finalizers"] if f != finalizer]
        key = key_of(obj)
        with suppress_gone():
            await self.context.api.patch(kind, key.namespace, key.name, {"metadata": {"finalizers": kept or None}})

    def _exists(self, owner: Object, namespace: str) -> bool:
        kind = kinds.by_gvk(*split_api_version(owner["apiVersion"]), owner["kind"])
        if kind is None or kind not in self.context.informers:
            return True  # not ours to judge
        found = self.context.get(kind, ObjectKey(namespace if kind.namespaced else "", owner["name"]))
        return found is not None and found["metadata"]["uid"] == owner["uid"]

    def _dependents(self, owner: Object) -> Iterator[tuple[Kind, Object]]:
        uid, namespace = owner["metadata"]["uid"], key_of(owner).namespace
        for kind in _DEPENDENTS:
            for obj in self.context.all(kind, namespace):
                if any(o["uid"] == uid for o in _owners(obj)):
                    yield kind, obj


def _owners(obj: Object) -> list[Object]:
    return obj["metadata"].get("ownerReferences") or []
