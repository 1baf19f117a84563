"""The scheduler: pods without a node get the one with the fewest pods among those they fit on.

Filters and words are those of kube-scheduler's plugins NodeUnschedulable, NodeAffinity (nodeSelector), TaintToleration and
NodePorts; resources are not counted, as a lab's nodes share one machine.
"""

from __future__ import annotations

from collections import Counter

from labctl.api import kinds
from labctl.api.objects import Object, ObjectKey
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
        context.on_change(kinds.POD, self._pod_changed)
        context.on_change(kinds.NODE, self._node_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None or new["spec"].get("nodeName"):
            self._placed.pop(
                ObjectKey((new or old or {})["metadata"]["namespace"], (new or old or {})["metadata"]["name"]), None
            )
        else:
            self.enqueue(old, new)

    def _node_changed(self, _: Object | None, new: Object | None) -> None:
        if new is not None:
            for pod in self.context.all(kinds.POD):
                if not pod["spec"].get("nodeName"):
                    self.enqueue(None, pod)

    async def reconcile(self, key: ObjectKey) -> None:
        """Bind one pod, or say why no node takes it."""
        pod = self.context.get(kinds.POD, key)
        if (
            pod is None
            or pod["spec"].get("nodeName")
            or pod["metadata"].get("deletionTimestamp")
            or key in self._placed
        ):
            return
        nodes = list(self.context.all(kinds.NODE))
        refusals = {n["metadata"]["name"]: why for n in nodes if (why := self._refusal(n, pod))}
        fitting = [n["metadata"]["name"] for n in nodes if n["metadata"]["name"] not in refusals]
        if not fitting:
            await self._refuse(pod, len(nodes), list(refusals.values()))
            return
        load = Counter(p["spec"]["nodeName"] for p in self.context.all(kinds.POD) if p["spec"].get("nodeName"))
        load += Counter(self._placed.values())
        node = min(fitting, key=lambda n: (load[n], n))
        self._placed[key] = node
        binding = {"metadata": {"name": key.name, "namespace": key.namespace}, "target": {"kind": "Node", "name": node}}
        with suppress_gone():
            await self.context.api.create(
                kinds.POD, binding, namespace=key.namespace, name=key.name, subresource="binding"
            )
        message = f"Successfully assigned {key.namespace}/{key.name} to {node}"
        self._recorder.event(with_kind(kinds.POD, pod), "Normal", "Scheduled", message)

    def _refusal(self, node: Object, pod: Object) -> str:
        if node["spec"].get("unschedulable"):
            return "node(s) were unschedulable"
        selector = pod["spec"].get("nodeSelector") or {}
        labels = node["metadata"].get("labels") or {}
        if any(labels.get(k) != v for k, v in selector.items()):
            return "node(s) didn't match Pod's node affinity/selector"
        for taint in node["spec"].get("taints") or ():
            if taint["effect"] != "PreferNoSchedule" and not _tolerates(pod, taint):
                value = f"{taint['key']}: {taint.get('value', '')}" if taint.get("value") else taint["key"]
                return f"node(s) had untolerated taint {{{value}}}"
        if _host_ports(pod) & self._ports_on(node["metadata"]["name"]):
            return "node(s) didn't have free ports for the requested pod ports"
        return ""

    def _ports_on(self, node: str) -> set[tuple[str, int]]:
        pods = (p for p in self.context.all(kinds.POD) if p["spec"].get("nodeName") == node)
        return {port for p in pods for port in _host_ports(p)}

    async def _refuse(self, pod: Object, count: int, reasons: list[str]) -> None:
        tally = ", ".join(f"{n} {why}" for why, n in sorted(Counter(reasons).items()))
        message = f"0/{count} nodes are available: {tally}." if count else "no nodes available to schedule pods"
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


def _tolerates(pod: Object, taint: Object) -> bool:
    for toleration in pod["spec"].get("tolerations") or ():
        if toleration.get("effect") not in (None, "", taint["effect"]):
            continue
        if toleration.get("key") not in (None, "", taint["key"]):
            continue
        if toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", ""):
            return True
    return False


def _host_ports(pod: Object) -> set[tuple[str, int]]:
    return {
        (port.get("protocol", "TCP"), port["hostPort"])
        for container in pod["spec"].get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    }
