"""Deleting a namespace deletes what it holds, pods first; when it is empty its finalizer goes, and with it the namespace.

Follows pkg/controller/namespace/deletion. As long as something is left, conditions in the namespace's status say what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

from labctl.api import kinds
from labctl.api.kinds import Kind
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.api.status import ApiError
from labctl.controllers.context import Context, KeyController

_FINALIZER = "kubernetes"
_AGAIN_S = 1.0  # pods wake us when they go; what else waits for a finalizer is looked at again
_WELL = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


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
        pods = await self._empty(kinds.POD, key.name)
        left = [] if pods else [obj for kind in _contents() for obj in await self._empty(kind, key.name)]
        await self._tell(namespace, pods or left)
        if pods or left:
            self.queue.add_after(key, _AGAIN_S)
            return
        finalizers = [f for f in namespace["spec"]["finalizers"] if f != _FINALIZER]
        changed = {**namespace, "spec": {**namespace["spec"], "finalizers": finalizers}}
        changed["metadata"] = {k: v for k, v in namespace["metadata"].items() if k != "resourceVersion"}
        with suppress_gone():
            await self.context.api.update(kinds.NAMESPACE, changed, subresource="finalize")

    async def _empty(self, kind: Kind, namespace: str) -> list[Object]:
        """Delete all objects of a kind; returns those that are still there."""
        found = (await self.context.api.list(kind, namespace)).items
        for obj in found:
            if not obj["metadata"].get("deletionTimestamp"):
                with suppress_gone():
                    await self.context.api.delete(kind, namespace, obj["metadata"]["name"], propagation="Background")
        return [with_kind(kind, o) for o in (await self.context.api.list(kind, namespace)).items] if found else []

    async def _tell(self, namespace: Object, left: list[Object]) -> None:
        known = (namespace.get("status") or {}).get("conditions") or []
        conditions = conditions_of(known, left, now=self.context.now())
        if conditions != known and left:  # of one that goes at once nobody would read it
            with suppress_gone():
                patch = {"status": {"conditions": conditions}}
                await self.context.api.patch(
                    kinds.NAMESPACE, "", namespace["metadata"]["name"], patch, subresource="status"
                )


def with_kind(kind: Kind, obj: Object) -> Object:
    """An object of a list, which leaves out what all of it are."""
    return {**obj, "kind": kind.kind, "apiVersion": kind.api_version}


def _contents() -> Iterable[Kind]:
    """Everything a namespace may hold but pods, each kind in one version."""
    for kind in kinds.KINDS:
        if kind.namespaced and kind.is_stored and kinds.storage_kind(kind) is kind and kind is not kinds.POD:
            yield kind


def conditions_of(known: list[Object], left: Iterable[Object], *, now: str) -> list[Object]:
    """The conditions of a namespace in which these objects are left. Pure."""
    by_kind: Counter[str] = Counter()
    by_finalizer: Counter[str] = Counter()
    for obj in left:
        kind = kinds.of(obj)
        by_kind[f"{kind.resource}.{kind.group}" if kind else ""] += 1
        by_finalizer.update(obj["metadata"].get("finalizers") or ())
    wrong = {}
    if by_kind:
        listed = ", ".join(sorted(f"{name} has {n} resource instances" for name, n in by_kind.items()))
        wrong["NamespaceContentRemaining"] = ("SomeResourcesRemain", f"Some resources are remaining: {listed}")
    if by_finalizer:
        listed = ", ".join(sorted(f"{name} in {n} resource instances" for name, n in by_finalizer.items()))
        words = f"Some content in the namespace has finalizers remaining: {listed}"
        wrong["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", words)
    present = {c["type"]: c for c in known}
    return [_condition(present.get(name, {}), name, wrong.get(name), now) for name in _WELL]


def _condition(known: Object, name: str, wrong: tuple[str, str] | None, now: str) -> Object:
    status = "True" if wrong else "False"
    reason, message = wrong or _WELL[name]
    since = known["lastTransitionTime"] if known.get("status") == status else now
    return {"type": name, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}


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
