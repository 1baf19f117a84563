"""The scheduler: pods without a node get the one they like best among those they fit on, see placement.

Filters and words are those of kube-scheduler's plugins SchedulingGates, NodeUnschedulable, TaintToleration, NodeAffinity,
NodePorts, PodTopologySpread and InterPodAffinity; resources are not counted, as a lab's nodes share one machine. Pods of
another `schedulerName` are left to whoever that is.
"""

from __future__ import annotations

from labctl.api import kinds
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.controllers import placement
from labctl.controllers.cluster import Cluster
from labctl.controllers.context import Context, KeyController, with_kind
from labctl.controllers.namespaces import suppress_gone

_COMPONENT = "default-scheduler"


class Scheduler(KeyController):
    """Keys are pods."""

    workers = 1  # two pods must not be placed by the same count

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._recorder = context.recorder(_COMPONENT)
        self._placed: dict[ObjectKey, str] = {}  # bound by us, not yet seen as bound
        self._refused: set[ObjectKey] = set()
        context.on_change(kinds.POD, self._pod_changed)
        context.on_change(kinds.NODE, self._node_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        known = new or old
        assert known is not None
        if new is None or _node_of(new):
            self._placed.pop(key_of(known), None)
            self._refused.discard(key_of(known))
        else:
            self.enqueue(old, new)
        if _node_of(known) and _matters(old) != _matters(new):
            self._retry()  # it has left its ports, or is beside a pod that waits for it

    def _node_changed(self, _: Object | None, new: Object | None) -> None:
        if new is not None:
            self._retry()

    def _retry(self) -> None:
        for key in self._refused:
            self.queue.add(key)

    async def reconcile(self, key: ObjectKey) -> None:
        """Bind one pod, or say why no node takes it."""
        pod = self.context.get(kinds.POD, key)
        if pod is None or _node_of(pod) or pod["metadata"].get("deletionTimestamp") or key in self._placed:
            return
        if not _is_ours(pod) or pod["spec"].get("schedulingGates"):
            return
        chosen = placement.choose(pod, self._cluster())
        if isinstance(chosen, str):
            self._refused.discard(key)
            await self._bind(pod, key, chosen)
        else:
            self._refused.add(key)
            await self._refuse(pod, placement.message(list(chosen.values())))

    def _cluster(self) -> Cluster:
        labels = {n["metadata"]["name"]: n["metadata"].get("labels") or {} for n in self.context.all(kinds.NAMESPACE)}
        return Cluster(list(self.context.all(kinds.NODE)), self._on_nodes(), labels)

    def _on_nodes(self) -> dict[str, list[Object]]:
        """The pods that hold something of a node: those that run, and those whose binding was not seen yet."""
        found: dict[str, list[Object]] = {}
        for pod in self.context.all(kinds.POD):
            node = _node_of(pod) or self._placed.get(key_of(pod), "")
            if node and not _has_ended(pod):
                found.setdefault(node, []).append(pod)
        return found

    async def _bind(self, pod: Object, key: ObjectKey, node: str) -> None:
        self._placed[key] = node
        binding = {"metadata": {"name": key.name, "namespace": key.namespace}, "target": {"kind": "Node", "name": node}}
        with suppress_gone():
            await self.context.api.create(
                kinds.POD, binding, namespace=key.namespace, name=key.name, subresource="binding"
            )
        message = f"Successfully assigned {key.namespace}/{key.name} to {node}"
        self._recorder.event(with_kind(kinds.POD, pod), "Normal", "Scheduled", message)

    async def _refuse(self, pod: Object, message: str) -> None:
        conditions = [c for c in pod["status"].get("conditions") or () if c["type"] != "PodScheduled"]
        known: Object = next((c for c in pod["status"].get("conditions") or () if c["type"] == "PodScheduled"), {})
        if known.get("message") == message:
            return
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": self.context.now(),
        }
        meta = pod["metadata"]
        with suppress_gone():
            await self.context.api.patch(
                kinds.POD,
                meta["namespace"],
                meta["name"],
                {"status": {"conditions": [*conditions, condition]}},
                subresource="status",
            )
        self._recorder.event(with_kind(kinds.POD, pod), "Warning", "FailedScheduling", message)


def _is_ours(pod: Object) -> bool:
    return (pod["spec"].get("schedulerName") or _COMPONENT) == _COMPONENT


def _matters(pod: Object | None) -> tuple[object, ...]:
    """What of a pod on a node can decide about another pod."""
    if pod is None or not _node_of(pod) or _has_ended(pod):
        return ()
    return (_node_of(pod), pod["metadata"].get("labels"), bool(pod["metadata"].get("deletionTimestamp")))


def _node_of(pod: Object) -> str:
    node: str = pod["spec"].get("nodeName") or ""
    return node


def _has_ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
