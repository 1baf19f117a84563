"""topologySpreadConstraints: how evenly pods lie over nodes and zones. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from labctl.api.objects import Object
from labctl.api.selectors import from_object
from labctl.controllers import node_affinity
from labctl.controllers.cluster import Cluster, topology

UNEVEN = "node(s) didn't match pod topology spread constraints"
NO_LABEL = f"{UNEVEN} (missing required label)"
Tolerates = Callable[[Object, Object], bool]
"""Whether a pod stands all of a node's taints."""


def complaint(pod: Object, node: Object, cluster: Cluster, tolerates: Tolerates) -> str:
    """Why the node would lie unevenly loaded, in kube-scheduler's words; empty when it would not."""
    hard = [c for c in _constraints(pod) if c.get("whenUnsatisfiable") == "DoNotSchedule"]
    for constraint in hard:
        domain = topology(node, constraint["topologyKey"])
        if domain is None:
            return NO_LABEL
        counts = _counts(pod, constraint, hard, cluster, tolerates)
        if _skew(pod, constraint, counts, domain) > constraint["maxSkew"]:
            return UNEVEN
    return ""


def crowding(pod: Object, node: Object, cluster: Cluster, tolerates: Tolerates) -> int:
    """How many matching pods lie in the node's domains of the constraints that are only wishes."""
    soft = [c for c in _constraints(pod) if c.get("whenUnsatisfiable") == "ScheduleAnyway"]
    total = 0
    for constraint in soft:
        domain = topology(node, constraint["topologyKey"])
        total += _counts(pod, constraint, soft, cluster, tolerates)[domain] if domain is not None else 0
    return total


def _constraints(pod: Object) -> Iterable[Object]:
    found: Iterable[Object] = pod["spec"].get("topologySpreadConstraints") or ()
    return found


def _skew(pod: Object, constraint: Object, counts: Counter[str], domain: str) -> int:
    """How far ahead of the emptiest domain this one would be with the pod."""
    is_counted = from_object(constraint.get("labelSelector")).matches(pod["metadata"].get("labels"))
    least = 0 if len(counts) < (constraint.get("minDomains") or 1) else min(counts.values(), default=0)
    return counts[domain] + is_counted - least


def _counts(
    pod: Object, constraint: Object, together: list[Object], cluster: Cluster, tolerates: Tolerates
) -> Counter[str]:
    """Matching pods of the pod's namespace in each domain of the nodes that count, empty domains included."""
    selector, namespace = from_object(constraint.get("labelSelector")), pod["metadata"]["namespace"]
    counts: Counter[str] = Counter()
    for node in cluster.nodes:
        domain = topology(node, constraint["topologyKey"])
        if domain is None or not _counts_node(pod, constraint, together, node, tolerates):
            continue
        counts[domain] += sum(
            other["metadata"]["namespace"] == namespace
            and not other["metadata"].get("deletionTimestamp")
            and selector.matches(other["metadata"].get("labels"))
            for other in cluster.pods_on(node)
        )
    return counts


def _counts_node(pod: Object, constraint: Object, together: list[Object], node: Object, tolerates: Tolerates) -> bool:
    if any(topology(node, c["topologyKey"]) is None for c in together):
        return False
    if constraint.get("nodeAffinityPolicy", "Honor") == "Honor" and not node_affinity.fits(pod, node):
        return False
    return constraint.get("nodeTaintsPolicy", "Ignore") == "Ignore" or tolerates(pod, node)
