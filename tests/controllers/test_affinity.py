"""Node affinity, pod affinity and topology spread: which nodes a pod is allowed on, and which one it gets."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.api.objects import Object
from labctl.controllers import node_affinity, placement
from labctl.controllers.cluster import Cluster

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def node(name: str, **labels: str) -> Object:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": name, "labels": {"host": name, **labels}}, "spec": {}, "status": ready}


def pod(labels: dict[str, str] | None = None, namespace: str = "default", **spec: Any) -> Object:
    return {"metadata": {"namespace": namespace, "labels": labels or {}}, "spec": {"containers": [], **spec}}


A, B, C = node("a", zone="1", size="10"), node("b", zone="1", size="9"), node("c", zone="2")
NODES = [A, B, C]


def reasons(wanted: Object, cluster: Cluster) -> list[str]:
    refusals = [placement.refusal(wanted, n, cluster) for n in cluster.nodes]
    return [r.reason if r else "" for r in refusals]


def expression(key: str, operator: str, *values: str) -> Object:
    return {"key": key, "operator": operator, "values": list(values)}


@pytest.mark.parametrize(
    ("terms", "fitting"),
    [
        ([{"matchExpressions": [expression("zone", "In", "1", "3")]}], "ab"),
        ([{"matchExpressions": [expression("zone", "NotIn", "1")]}], "c"),
        ([{"matchExpressions": [expression("size", "Exists")]}], "ab"),
        ([{"matchExpressions": [expression("size", "DoesNotExist")]}], "c"),
        ([{"matchExpressions": [expression("size", "Gt", "9")]}], "a"),
        ([{"matchExpressions": [expression("size", "Lt", "10")]}], "b"),
        ([{"matchFields": [expression("metadata.name", "In", "b")]}], "b"),
        ([{"matchFields": [expression("metadata.name", "NotIn", "b")]}], "ac"),
        (
            [
                {"matchExpressions": [expression("zone", "In", "2")]},
                {"matchFields": [expression("metadata.name", "In", "a")]},
            ],
            "ac",
        ),
        ([{}], ""),
    ],
)
def test_required_node_affinity_takes_nodes_that_fulfil_one_term(terms: list[Object], fitting: str) -> None:
    wanted = pod(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}})
    assert "".join(n["metadata"]["name"] for n in NODES if node_affinity.fits(wanted, n)) == fitting


def test_preferred_node_affinity_outweighs_the_number_of_pods() -> None:
    like = {"weight": 1, "preference": {"matchExpressions": [expression("zone", "In", "2")]}}
    wanted = pod(affinity={"nodeAffinity": {PREFERRED: [like]}})
    crowded = Cluster(NODES, {"c": [pod(), pod()]})
    assert placement.choose(wanted, crowded) == "c"
    assert placement.choose(pod(), crowded) == "a"


WEB = {"app": "web"}
BESIDE_WEB = {"topologyKey": "zone", "labelSelector": {"matchLabels": WEB}}


def affine(rule: str, *terms: Object, **more: Any) -> Object:
    return pod(affinity={rule: {REQUIRED: list(terms)}}, **more)


@pytest.mark.parametrize(
    ("term", "fitting"),
    [
        (BESIDE_WEB, [True, True, False]),
        ({**BESIDE_WEB, "topologyKey": "host"}, [True, False, False]),
        ({**BESIDE_WEB, "topologyKey": "rack"}, [False, False, False]),
        ({**BESIDE_WEB, "namespaces": ["other"]}, [False, False, True]),
        ({**BESIDE_WEB, "namespaceSelector": {}}, [True, True, True]),
        ({**BESIDE_WEB, "namespaceSelector": {"matchLabels": {"team": "x"}}}, [False, False, True]),
    ],
)
def test_pod_affinity_wants_the_selected_pods_in_its_domain(term: Object, fitting: list[bool]) -> None:
    placed = {"a": [pod(WEB)], "c": [pod(WEB, namespace="other")]}
    cluster = Cluster(NODES, placed, {"default": {}, "other": {"team": "x"}})
    wanted = affine("podAffinity", term, labels=WEB)
    missed = "node(s) didn't match pod affinity rules"
    assert reasons(wanted, cluster) == ["" if fits else missed for fits in fitting]


def test_the_first_pod_of_a_group_may_begin_anywhere_that_has_the_key() -> None:
    wanted = affine("podAffinity", {**BESIDE_WEB, "topologyKey": "size"}, labels=WEB)
    assert reasons(wanted, Cluster(NODES)) == ["", "", "node(s) didn't match pod affinity rules"]
    assert not any(r == "" for r in reasons(affine("podAffinity", BESIDE_WEB), Cluster(NODES)))


def test_anti_affinity_keeps_both_sides_apart() -> None:
    lonely = affine("podAntiAffinity", BESIDE_WEB)
    assert reasons(lonely, Cluster(NODES, {"b": [pod(WEB)]})) == [
        *["node(s) didn't match pod anti-affinity rules"] * 2,
        "",
    ]
    words = "node(s) didn't satisfy existing pods anti-affinity rules"
    assert reasons(pod(WEB), Cluster(NODES, {"b": [lonely]})) == [words, words, ""]


def test_preferred_pod_affinity_and_its_opposite() -> None:
    wish = {"weight": 50, "podAffinityTerm": BESIDE_WEB}
    cluster = Cluster(NODES, {"c": [pod(WEB), pod()]})
    assert placement.choose(pod(affinity={"podAffinity": {PREFERRED: [wish]}}), cluster) == "c"
    cluster = Cluster(NODES, {"a": [pod(WEB)], "c": [pod(), pod()]})
    assert placement.choose(pod(affinity={"podAntiAffinity": {PREFERRED: [wish]}}), cluster) == "c"


def spread(key: str, when: str = "DoNotSchedule", **more: Any) -> Object:
    selector = {"matchLabels": WEB}
    return {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": when, "labelSelector": selector, **more}


UNEVEN = "node(s) didn't match pod topology spread constraints"


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        (spread("zone"), [UNEVEN, UNEVEN, ""]),
        (spread("host"), [UNEVEN, "", ""]),
        (spread("zone", maxSkew=2), ["", "", ""]),
        (spread("zone", minDomains=3), [UNEVEN, UNEVEN, ""]),
        (spread("host", minDomains=4, maxSkew=1), [UNEVEN, "", ""]),
        (spread("size"), [UNEVEN, "", f"{UNEVEN} (missing required label)"]),
        (spread("zone", "ScheduleAnyway"), ["", "", ""]),
    ],
)
def test_spread_constraints_hold_the_skew(constraint: Object, expected: list[str]) -> None:
    cluster = Cluster(NODES, {"a": [pod(WEB), pod()], "b": [pod(WEB, namespace="other")]})
    assert reasons(pod(WEB, topologySpreadConstraints=[constraint]), cluster) == expected


def test_a_wish_for_evenness_counts_before_the_number_of_pods() -> None:
    cluster = Cluster(NODES, {"a": [pod(WEB)], "c": [pod(), pod()]})
    assert placement.choose(pod(WEB, topologySpreadConstraints=[spread("zone", "ScheduleAnyway")]), cluster) == "c"


def test_nodes_that_the_pod_cannot_have_do_not_count_for_the_skew() -> None:
    wanted = pod(WEB, topologySpreadConstraints=[spread("zone")], nodeSelector={"zone": "1"})
    assert reasons(wanted, Cluster(NODES, {"a": [pod(WEB)]}))[:2] == ["", ""]


def test_taints_that_only_advise_are_avoided() -> None:
    shy = {**A, "spec": {"taints": [{"key": "k", "effect": "PreferNoSchedule"}]}}
    assert placement.choose(pod(), Cluster([shy, B], {"b": [pod()]})) == "b"
    assert placement.choose(pod(tolerations=[{"operator": "Exists"}]), Cluster([shy, B], {"b": [pod()]})) == "a"
