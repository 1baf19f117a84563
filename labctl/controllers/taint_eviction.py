"""Pods leave a node with a NoExecute taint when they tolerate it no longer (pkg/controller/tainteviction)."""

from __future__ import annotations

from labctl.api import kinds
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.controllers.context import Context, KeyController, with_kind
from labctl.controllers.namespaces import suppress_gone
from labctl.controllers.placement import tolerates

_COMPONENT = "taint-eviction-controller"
_REASON = "TaintManagerEviction"


class TaintEviction(KeyController):
    """Keys are pods."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._recorder = context.recorder(_COMPONENT)
        self._since: dict[ObjectKey, tuple[str, float]] = {}  # doomed pods: uid, and when their time began
        context.on_change(kinds.POD, self._pod_changed)
        context.on_change(kinds.NODE, self._node_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is None or _asks(old) != _asks(new):
            self.enqueue(old, new)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None or (old is not None and _taints(old) == _taints(new)):
            return
        for pod in self.context.all(kinds.POD):
            if pod["spec"].get("nodeName") == new["metadata"]["name"]:
                self.queue.add(key_of(pod))

    async def reconcile(self, key: ObjectKey) -> None:
        """Delete one pod if its time on its node is over, or come back when it will be."""
        pod = self.context.get(kinds.POD, key)
        node = self._node_of(pod) if pod is not None else None
        taints = _taints(node) if node is not None else []
        limit_s = tolerated_s(pod, taints) if pod is not None and taints else None
        if pod is None or limit_s is None:
            self._spare(key, pod)
            return
        uid, now = pod["metadata"]["uid"], self.context.clock()
        if self._since.get(key, ("",))[0] != uid:
            self._since[key] = (uid, now)
        left = self._since[key][1] + limit_s - now
        if left > 0:
            self.queue.add_after(key, left)
        else:
            await self._evict(key, pod)

    def _node_of(self, pod: Object) -> Object | None:
        """The node of a pod that is still to be deleted."""
        name = pod["spec"].get("nodeName")
        if not name or pod["metadata"].get("deletionTimestamp"):
            return None
        return self.context.get(kinds.NODE, ObjectKey("", name))

    def _spare(self, key: ObjectKey, pod: Object | None) -> None:
        known = self._since.pop(key, None)
        if known is not None and pod is not None and not pod["metadata"].get("deletionTimestamp"):
            text = f"Cancelling deletion of Pod {key.namespace}/{key.name}"
            self._recorder.event(with_kind(kinds.POD, pod), "Normal", _REASON, text)

    async def _evict(self, key: ObjectKey, pod: Object) -> None:
        text = f"Marking for deletion Pod {key.namespace}/{key.name}"
        self._recorder.event(with_kind(kinds.POD, pod), "Normal", _REASON, text)
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": self.context.now(),
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
        }
        patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [condition]}}
        with suppress_gone():
            await self.context.api.patch(
                kinds.POD,
                key.namespace,
                key.name,
                patch,
                patch_type="application/strategic-merge-patch+json",
                subresource="status",
            )
            await self.context.api.delete(kinds.POD, key.namespace, key.name, uid=pod["metadata"]["uid"])


def tolerated_s(pod: Object, taints: list[Object]) -> float | None:
    """How long a pod stays on a node with these taints; None: for ever."""
    limits: list[float] = []
    for taint in taints:
        matching = [t for t in pod["spec"].get("tolerations") or () if tolerates(t, taint)]
        if not matching:
            return 0
        limits += [t["tolerationSeconds"] for t in matching if t.get("tolerationSeconds") is not None]
    return max(min(limits), 0) if limits else None


def _taints(node: Object) -> list[Object]:
    return [t for t in node["spec"].get("taints") or () if t["effect"] == "NoExecute"]


def _asks(pod: Object) -> tuple[object, ...]:
    meta = pod["metadata"]
    spec = pod["spec"]
    return meta["uid"], spec.get("nodeName"), spec.get("tolerations"), bool(meta.get("deletionTimestamp"))
