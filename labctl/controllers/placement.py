"""Which node a pod fits on, and why no node takes it, in the words of kube-scheduler's filters. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labctl.api.objects import Object
from labctl.controllers import node_affinity, node_resources, pod_affinity, spreading
from labctl.controllers.cluster import Cluster

_NO_CLAIMS = "no new claims to deallocate"  # kube-scheduler's words for a pod without resource claims
_NOT_READY = "node.kubernetes.io/not-ready"
_UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
_ANYWHERE = ("", "0.0.0.0", "::")  # noqa: S104  # what hostIP may say


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a node does not take a pod; `is_for_good` where removing other pods could not help."""

    reason: str
    is_for_good: bool = True
    more: tuple[str, ...] = ()  # further reasons of the same filter


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port of a node that a pod wants for itself; an empty address means all."""

    protocol: str
    address: str
    number: int

    def collides(self, other: HostPort) -> bool:
        """Whether both cannot be had on one node."""
        if (self.protocol, self.number) != (other.protocol, other.number):
            return False
        return self.address == other.address or not (self.address and other.address)


def host_ports(pod: Object) -> list[HostPort]:
    """The ports a pod wants of its node."""
    return [
        HostPort(
            port.get("protocol", "TCP"), "" if port.get("hostIP", "") in _ANYWHERE else port["hostIP"], port["hostPort"]
        )
        for container in pod["spec"].get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]


def choose(pod: Object, cluster: Cluster) -> str | dict[str, Refusal]:
    """The fitting node that the pod likes best, or every node's refusal."""
    refusals = {n["metadata"]["name"]: refusal(pod, n, cluster) for n in cluster.nodes}
    fitting = [n for n in cluster.nodes if refusals[n["metadata"]["name"]] is None]
    if fitting:
        return str(min(fitting, key=lambda n: _rank(pod, n, cluster))["metadata"]["name"])
    return {name: refused for name, refused in refusals.items() if refused is not None}


def _rank(pod: Object, node: Object, cluster: Cluster) -> tuple[int, int, int, int, str]:
    """Lower is better: taints it had rather not meet, what it likes, evenness, and at last the fewest pods."""
    liked = node_affinity.preference(pod, node) + pod_affinity.preference(pod, node, cluster)
    avoided = sum(t["effect"] == "PreferNoSchedule" and not _tolerates(pod, t) for t in _taints(node))
    crowd = spreading.crowding(pod, node, cluster, _tolerates_all)
    return avoided, -liked, crowd, len(cluster.pods_on(node)), node["metadata"]["name"]


def refusal(pod: Object, node: Object, cluster: Cluster) -> Refusal | None:
    """Why a node does not take a pod, by the first filter that says so in kube-scheduler's order; None when it does."""
    if node["spec"].get("unschedulable") and not _tolerates(pod, _UNSCHEDULABLE):
        return Refusal("node(s) were unschedulable")
    if not _tolerates_all(pod, node):
        return Refusal("node(s) had untolerated taint(s)")
    if not node_affinity.fits(pod, node):
        return Refusal("node(s) didn't match Pod's node affinity/selector")
    wanted, there = host_ports(pod), cluster.pods_on(node)
    if wanted and any(mine.collides(theirs) for other in there for theirs in host_ports(other) for mine in wanted):
        return Refusal("node(s) didn't have free ports for the requested pod ports", is_for_good=False)
    reasons, hopeless = node_resources.lacking(pod, node, there)
    if reasons:
        return Refusal(reasons[0], is_for_good=hopeless, more=tuple(reasons[1:]))
    if uneven := spreading.complaint(pod, node, cluster, _tolerates_all):
        return Refusal(uneven, is_for_good=uneven == spreading.NO_LABEL)
    if company := pod_affinity.complaint(pod, node, cluster):
        return Refusal(company, is_for_good=company == pod_affinity.MISSED)
    return None


def _tolerates_all(pod: Object, node: Object) -> bool:
    return all(t["effect"] == "PreferNoSchedule" or _tolerates(pod, t) for t in _taints(node))


def _taints(node: Object) -> list[Object]:
    """A node's taints; one that nothing has reported ready yet counts as not ready.

    Kubernetes taints it so when it is created (admission plugin TaintNodesByCondition).
    """
    taints: list[Object] = node["spec"].get("taints") or []
    conditions = (node.get("status") or {}).get("conditions") or ()
    known = {c["status"] for c in conditions if c["type"] == "Ready"}
    if known & {"True", "Unknown"} or any(t["key"] == _NOT_READY for t in taints):
        return taints
    return [*taints, {"key": _NOT_READY, "effect": "NoSchedule"}]


def message(refusals: Sequence[Refusal]) -> str:
    """The message of kube-scheduler's FitError; labctl never removes a pod for another one."""
    if not refusals:
        return "no nodes available to schedule pods"
    helpless, victimless = "Preemption is not helpful for scheduling", "No preemption victims found for incoming pod"
    none = f"0/{len(refusals)} nodes are available: "
    evicting = _tally(helpless if r.is_for_good else victimless for r in refusals)
    why = _tally(reason for r in refusals for reason in (r.reason, *r.more))
    return f"{none}{why}. {_NO_CLAIMS}, preemption: {none}{evicting}."


def _tally(reasons: Iterable[str]) -> str:
    return ", ".join(sorted(f"{n} {why}" for why, n in Counter(reasons).items()))


def _tolerates(pod: Object, taint: Object) -> bool:
    return any(tolerates(toleration, taint) for toleration in pod["spec"].get("tolerations") or ())


def tolerates(toleration: Object, taint: Object) -> bool:
    """Whether a toleration is about a taint (Toleration.ToleratesTaint)."""
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")
