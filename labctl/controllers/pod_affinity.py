"""podAffinity and podAntiAffinity: beside which pods a pod may, must not, or likes to be. Pure.

Two pods are beside each other when their nodes have the same value of the term's topology key.
"""

from __future__ import annotations

from collections.abc import Iterable

from labctl.api.objects import Object
from labctl.api.selectors import from_object
from labctl.controllers.cluster import Cluster, topology

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
MISSED = "node(s) didn't match pod affinity rules"
UNWANTED = "node(s) didn't match pod anti-affinity rules"
UNWELCOME = "node(s) didn't satisfy existing pods anti-affinity rules"


def complaint(pod: Object, node: Object, cluster: Cluster) -> str:
    """Why the pods that are there keep this one off the node, in kube-scheduler's words; empty when they don't."""
    if not _affinity_holds(pod, node, cluster):
        return MISSED
    if any(_has_company(term, pod, node, cluster) for term in _required(pod, "podAntiAffinity")):
        return UNWANTED
    if any(
        _selects(term, other, pod, cluster) and _together(node, place, term["topologyKey"])
        for place, other in cluster.with_pods()
        for term in _required(other, "podAntiAffinity")
    ):
        return UNWELCOME
    return ""


def preference(pod: Object, node: Object, cluster: Cluster) -> int:
    """Weights of the preferred terms for each pod that fulfils them, less those of the terms against."""
    return _weight(pod, "podAffinity", node, cluster) - _weight(pod, "podAntiAffinity", node, cluster)


def _weight(pod: Object, rule: str, node: Object, cluster: Cluster) -> int:
    terms = ((pod["spec"].get("affinity") or {}).get(rule) or {}).get(_PREFERRED) or ()
    return sum(
        term["weight"]
        for term in terms
        for place, other in cluster.with_pods()
        if _matches(term["podAffinityTerm"], pod, node, place, other, cluster)
    )


def _required(pod: Object, rule: str) -> list[Object]:
    return list(((pod["spec"].get("affinity") or {}).get(rule) or {}).get(_REQUIRED) or ())


def _affinity_holds(pod: Object, node: Object, cluster: Cluster) -> bool:
    terms = _required(pod, "podAffinity")
    if any(topology(node, term["topologyKey"]) is None for term in terms):
        return False
    if all(_has_company(term, pod, node, cluster) for term in terms):
        return True
    # The first of a group of pods that want to be together finds nobody, and may begin anywhere.
    is_first = not any(_selects_all(terms, pod, other, cluster) for _, other in cluster.with_pods())
    return is_first and _selects_all(terms, pod, pod, cluster)


def _has_company(term: Object, pod: Object, node: Object, cluster: Cluster) -> bool:
    return any(_matches(term, pod, node, place, other, cluster) for place, other in cluster.with_pods())


def _matches(term: Object, pod: Object, node: Object, place: Object, other: Object, cluster: Cluster) -> bool:
    return _together(node, place, term["topologyKey"]) and _selects(term, pod, other, cluster)


def _together(one: Object, other: Object, key: str) -> bool:
    domain = topology(one, key)
    return domain is not None and domain == topology(other, key)


def _selects_all(terms: Iterable[Object], owner: Object, other: Object, cluster: Cluster) -> bool:
    return all(_selects(term, owner, other, cluster) for term in terms)


def _selects(term: Object, owner: Object, other: Object, cluster: Cluster) -> bool:
    """Whether the owner's term is about the other pod."""
    return _covers(term, owner, other["metadata"]["namespace"], cluster) and from_object(
        term.get("labelSelector")
    ).matches(other["metadata"].get("labels"))


def _covers(term: Object, owner: Object, namespace: str, cluster: Cluster) -> bool:
    """Whether a term is about pods of a namespace: those it names or selects, else its owner's own."""
    names, selector = term.get("namespaces") or (), term.get("namespaceSelector")
    if not names and selector is None:
        return bool(namespace == owner["metadata"]["namespace"])
    return namespace in names or from_object(selector).matches(cluster.namespaces.get(namespace) or {})
