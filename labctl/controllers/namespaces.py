"""Deleting a namespace deletes what it holds; when it is empty its finalizer goes, and with it the namespace."""

from __future__ import annotations

from contextlib import suppress

from labctl.api import kinds
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.api.status import ApiError
from labctl.controllers.context import Context, KeyController

_FINALIZER = "kubernetes"
_AGAIN_S = 0.2


class Namespaces(KeyController):
    """Keys are namespaces."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        context.on_change(kinds.NAMESPACE, self.enqueue)
        context.on_change(kinds.POD, self._pod_gone)

    def _pod_gone(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            self.queue.add(ObjectKey("", key_of(old).namespace))

    async def reconcile(self, key: ObjectKey) -> None:
        """Empty a namespace that is being deleted."""
        namespace = self.context.get(kinds.NAMESPACE, key)
        if namespace is None or not namespace["metadata"].get("deletionTimestamp"):
            return
        if _FINALIZER not in (namespace["spec"].get("finalizers") or ()):
            return
        if await self._delete_content(key.name):
            self.queue.add_after(key, _AGAIN_S)
            return
        finalizers = [f for f in namespace["spec"]["finalizers"] if f != _FINALIZER]
        changed = {**namespace, "spec": {**namespace["spec"], "finalizers": finalizers}}
        with suppress_gone():
            await self.context.api.update(kinds.NAMESPACE, changed, subresource="finalize")

    async def _delete_content(self, namespace: str) -> int:
        """Delete all objects; returns how many are still there."""
        remaining = 0
        for kind in kinds.KINDS:
            if not kind.namespaced or not kind.is_stored or kinds.storage_kind(kind) is not kind:
                continue
            for obj in (await self.context.api.list(kind, namespace)).items:
                if not obj["metadata"].get("deletionTimestamp"):
                    with suppress_gone():
                        await self.context.api.delete(
                            kind, namespace, obj["metadata"]["name"], propagation="Background"
                        )
            remaining += len((await self.context.api.list(kind, namespace)).items)
        return remaining


def is_terminating(error: ApiError) -> bool:
    """Whether something could not be created because its namespace is going: then nothing has to be done."""
    causes = (error.details or {}).get("causes") or ()
    return any(c.get("reason") == "NamespaceTerminating" for c in causes)


def suppress_gone() -> suppress:
    """An object that is gone already needs no deletion."""
    return _SuppressGone()


class _SuppressGone(suppress):
    def __init__(self) -> None:
        super().__init__(ApiError)

    def __exit__(self, exctype: object, error: object, trace: object) -> bool:
        return isinstance(error, ApiError) and error.code in (404, 409)
