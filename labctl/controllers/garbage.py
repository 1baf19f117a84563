"""Garbage collection: what an owner leaves behind is deleted, or orphaned, or holds the owner back (foreground).

Follows pkg/controller/garbagecollector, for all kinds. Two indexes by uid take the place of its graph: which objects there
are, and who names whom as owner. An owner that is not in the index is asked for before anything is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from labctl.aiokits.workqueue import WorkQueue
from labctl.api import kinds
from labctl.api.kinds import Kind
from labctl.api.objects import Object, ObjectKey, key_of, split_api_version
from labctl.api.status import ApiError
from labctl.controllers.context import Context
from labctl.controllers.namespaces import suppress_gone

_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"

Item = tuple[Kind, ObjectKey]
Propagation = Literal["Background", "Foreground", "Orphan"]


class GarbageCollector:
    """Keys are a kind and an object's key."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.queue: WorkQueue[Item] = WorkQueue()
        self._present: dict[str, Item] = {}  # by uid
        self._owners: dict[str, frozenset[str]] = {}  # uid -> uids of its owners, as indexed
        self._dependents: dict[str, set[Item]] = {}  # by the uid of an owner
        for kind in collected():
            context.on_change(kind, self._handler(kind))

    async def run(self) -> None:
        """Collect until cancelled."""
        await self.queue.run(self.reconcile)

    def _handler(self, kind: Kind) -> Callable[[Object | None, Object | None], None]:
        def changed(old: Object | None, new: Object | None) -> None:
            if old is not None and new is not None and old["metadata"]["uid"] != new["metadata"]["uid"]:
                self._seen(kind, old, None)
                old = None
            self._seen(kind, old, new)

        return changed

    def _seen(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        obj = new or old or {}
        item, uid = (kind, key_of(obj)), obj["metadata"]["uid"]
        before, after = self._owners.pop(uid, frozenset()), _owner_uids(new) if new else frozenset()
        if after:
            self._owners[uid] = after
        for owner in before - after:
            self._forget(owner, item)
        for owner in after - before:
            self._dependents.setdefault(owner, set()).add(item)
        if new is None:
            self._present.pop(uid, None)
            self._wake(self._dependents.get(uid, ()))
            return
        self._present[uid] = item
        if after != before:
            self.queue.add(item)
        elif old is not None and _owners(old) != _owners(new):  # it may block its owners no longer
            self._wake(self._present[owner] for owner in after if owner in self._present)
        if new["metadata"].get("deletionTimestamp") and new["metadata"].get("finalizers"):
            self._wake((item, *self._dependents.get(uid, ())))

    def _forget(self, owner: str, item: Item) -> None:
        """A dependent less: an owner that waits for it may go on."""
        listed = self._dependents[owner]
        listed.discard(item)
        if not listed:
            del self._dependents[owner]
        if owner in self._present:
            self.queue.add(self._present[owner])

    def _wake(self, items: Iterable[Item]) -> None:
        for item in items:
            self.queue.add(item)

    async def reconcile(self, item: Item) -> None:
        """Settle an owner that waits, or delete a dependent without owners."""
        obj = self.context.get(*item)
        if obj is None:
            return
        finalizers = obj["metadata"].get("finalizers") or ()
        if not obj["metadata"].get("deletionTimestamp"):
            await self._collect(item, obj)
        elif _ORPHAN in finalizers:
            await self._orphan(item, obj)
        elif _FOREGROUND in finalizers:
            await self._wait(item, obj)

    async def _collect(self, item: Item, obj: Object) -> None:
        """Without an owner left it goes; owners that are gone or going are forgotten while another is there."""
        solid: list[Object] = []
        waiting: list[Object] = []
        dangling: list[Object] = []
        for owner in _owners(obj):
            found = await self._owner(item, owner)
            (dangling if found is None else waiting if _waits(found) else solid).append(owner)
        if not waiting and not dangling:
            return
        if solid:
            await self._disown(item, obj, {o["uid"] for o in (*waiting, *dangling)})
            return
        kind, key = item
        dependents = [self.context.get(*d) for d in self._dependents.get(obj["metadata"]["uid"], ())]
        policy: Propagation = "Foreground" if waiting and dependents else _policy(obj)
        if waiting and any(d is not None and _waits(d) for d in dependents):
            await self._unblock(item, obj)  # what waits for it may be what it waits for
        with suppress_gone():
            await self.context.api.delete(kind, key.namespace, key.name, propagation=policy, uid=obj["metadata"]["uid"])

    async def _owner(self, item: Item, reference: Object) -> Object | None:
        """The owner that a reference means; None when it is gone. What we know nothing of is taken to be there."""
        kind = kinds.by_gvk(*split_api_version(reference["apiVersion"]), reference["kind"])
        known = self._present.get(reference["uid"])
        if known is not None and (found := self.context.get(*known)) is not None:
            return found
        if kind is None:
            return {"metadata": {}}
        namespace = item[1].namespace if kind.namespaced else ""
        if kind.namespaced and not namespace:
            return {"metadata": {}}  # an owner in a namespace cannot own what is in none
        try:
            found = await self.context.api.get(kind, namespace, reference["name"])
        except ApiError as error:
            if error.code != 404:
                raise
            return None
        return found if found["metadata"]["uid"] == reference["uid"] else None

    async def _orphan(self, item: Item, obj: Object) -> None:
        uid = obj["metadata"]["uid"]
        for dependent in list(self._dependents.get(uid, ())):
            found = self.context.get(*dependent)
            if found is not None:
                await self._disown(dependent, found, {uid})
        await self._drop(item, obj, _ORPHAN)

    async def _wait(self, item: Item, obj: Object) -> None:
        """The owner goes after those dependents that block it."""
        uid = obj["metadata"]["uid"]
        dependents = list(self._dependents.get(uid, ()))
        found = [self.context.get(*d) for d in dependents]
        if not any(d is not None and _blocks(d, uid) for d in found):
            await self._drop(item, obj, _FOREGROUND)

    async def _disown(self, item: Item, dependent: Object, uids: set[str]) -> None:
        kept = [o for o in _owners(dependent) if o["uid"] not in uids]
        kind, key = item
        meta = {"ownerReferences": kept or None, "uid": dependent["metadata"]["uid"]}
        with suppress_gone():
            await self.context.api.patch(kind, key.namespace, key.name, {"metadata": meta})

    async def _unblock(self, item: Item, dependent: Object) -> None:
        """Let owners go before this dependent."""
        owners = [{**o, "blockOwnerDeletion": False} if o.get("blockOwnerDeletion") else o for o in _owners(dependent)]
        kind, key = item
        meta = {"ownerReferences": owners, "uid": dependent["metadata"]["uid"]}
        with suppress_gone():
            await self.context.api.patch(kind, key.namespace, key.name, {"metadata": meta})

    async def _drop(self, item: Item, obj: Object, finalizer: str) -> None:
        kept = [f for f in obj["metadata"]["finalizers"] if f != finalizer]
        kind, key = item
        with suppress_gone():
            await self.context.api.patch(kind, key.namespace, key.name, {"metadata": {"finalizers": kept or None}})


def collected() -> list[Kind]:
    """The kinds that may own or be owned: all that are stored, but Events, which expire by themselves."""
    stored = (k for k in kinds.KINDS if k.is_stored and kinds.storage_kind(k) is k)
    return [k for k in stored if k is not kinds.storage_kind(kinds.EVENT)]


def _owners(obj: Object) -> list[Object]:
    return obj["metadata"].get("ownerReferences") or []


def _owner_uids(obj: Object) -> frozenset[str]:
    return frozenset(o["uid"] for o in _owners(obj))


def _waits(owner: Object) -> bool:
    """Whether an owner is being deleted in the foreground."""
    meta = owner["metadata"]
    return bool(meta.get("deletionTimestamp")) and _FOREGROUND in (meta.get("finalizers") or ())


def _blocks(dependent: Object, uid: str) -> bool:
    return any(o["uid"] == uid and o.get("blockOwnerDeletion") for o in _owners(dependent))


def _policy(obj: Object) -> Propagation:
    finalizers = obj["metadata"].get("finalizers") or ()
    return "Orphan" if _ORPHAN in finalizers else "Foreground" if _FOREGROUND in finalizers else "Background"
