"""Which node a pod gets, what is said when none takes it, and that it is tried again when something changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.controllers import placement
from labctl.controllers.cluster import Cluster
from labctl.controllers.placement import HostPort, Refusal
from labctl.controllers.scheduler import Scheduler
from tests.controllers.world import World, pod, world

PREEMPTION = "no new claims to deallocate, preemption: 0/{0} nodes are available: {1}."


@pytest.fixture
async def cluster() -> AsyncIterator[World]:
    async with world(Scheduler) as made:
        for name in ("node-1", "node-2"):
            await add_node(made, name)  # no settling: time is real in fixtures
        yield made


async def add_node(cluster: World, name: str, *, ready: str = "True") -> None:
    node = await cluster.api.create(kinds.NODE, {"metadata": {"name": name}})
    node["status"] = {"conditions": [{"type": "Ready", "status": ready}]}
    await cluster.api.update(kinds.NODE, node, subresource="status")


def wanting(name: str, port: int = 8080, **more: Any) -> Object:
    made = pod(name)
    made["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": port, **more}]
    return made


async def node_of(cluster: World, name: str) -> str:
    found = (await cluster.get(kinds.POD, name))["spec"].get("nodeName", "")
    return str(found)


@pytest.mark.looptime
async def test_pods_spread_over_the_nodes(cluster: World) -> None:
    for n in range(4):
        await cluster.create(kinds.POD, pod(f"p{n}"))
    assert [await node_of(cluster, f"p{n}") for n in range(4)] == ["node-1", "node-2", "node-1", "node-2"]
    assert (await cluster.events("Scheduled"))[0] == "Successfully assigned default/p0 to node-1"


@pytest.mark.looptime
async def test_a_node_gets_no_pods_before_it_is_ready(cluster: World) -> None:
    await cluster.create(kinds.NODE, {"metadata": {"name": "a-new-one"}})
    await add_node(cluster, "an-ill-one", ready="False")
    await cluster.create(kinds.POD, pod("p"))
    assert await node_of(cluster, "p") == "node-1"
    only_new = pod("q")
    only_new["spec"]["nodeSelector"] = {"new": "yes"}
    await cluster.patch(kinds.NODE, "a-new-one", {"metadata": {"labels": {"new": "yes"}}})
    await cluster.create(kinds.POD, only_new)
    (said,) = await cluster.events("FailedScheduling")
    assert "2 node(s) had untolerated taint(s)" in said
    await cluster.patch(
        kinds.NODE, "a-new-one", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, subresource="status"
    )
    assert await node_of(cluster, "q") == "a-new-one"


@pytest.mark.looptime
async def test_a_host_port_is_had_once_on_a_node_and_again_when_its_pod_is_gone(cluster: World) -> None:
    for n in range(3):
        await cluster.api.create(kinds.POD, wanting(f"p{n}"), namespace="default")
    await cluster.settle()
    assert [await node_of(cluster, f"p{n}") for n in range(3)] == ["node-1", "node-2", ""]
    words = "0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports. "
    words += PREEMPTION.format(2, "2 No preemption victims found for incoming pod")
    assert await cluster.events("FailedScheduling") == [words]
    (condition,) = (await cluster.get(kinds.POD, "p2"))["status"]["conditions"]
    assert (condition["status"], condition["reason"], condition["message"]) == ("False", "Unschedulable", words)
    await cluster.delete(kinds.POD, "p1", grace_period_s=0)
    assert await node_of(cluster, "p2") == "node-2"


@pytest.mark.looptime
async def test_a_pod_that_has_ended_leaves_its_ports(cluster: World) -> None:
    for n in range(3):
        await cluster.create(kinds.POD, wanting(f"p{n}"))
    await cluster.patch(kinds.POD, "p0", {"status": {"phase": "Succeeded"}}, subresource="status")
    assert await node_of(cluster, "p2") == "node-1"


@pytest.mark.looptime
async def test_a_node_that_changed_is_tried_again(cluster: World) -> None:
    await cluster.create(kinds.POD, pod("p", nodeSelector={"disk": "fast"}))
    words = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. "
    words += PREEMPTION.format(2, "2 Preemption is not helpful for scheduling")
    assert await cluster.events("FailedScheduling") == [words]
    await cluster.patch(kinds.NODE, "node-2", {"metadata": {"labels": {"disk": "fast"}}})
    assert await node_of(cluster, "p") == "node-2"


async def test_pods_wait_for_what_others_have_of_a_node(cluster: World) -> None:
    for name in ("node-1", "node-2"):
        node = await cluster.get(kinds.NODE, name)
        node["status"]["allocatable"] = {"cpu": "2", "memory": "1Gi", "pods": "2"}
        await cluster.api.update(kinds.NODE, node, subresource="status")
    for name, cpu in (("a", "1500m"), ("b", "1"), ("c", "1"), ("d", "0.5"), ("e", "3")):
        made = pod(name)
        made["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu}}
        await cluster.create(kinds.POD, made)
    assert [await node_of(cluster, name) for name in "abcde"] == ["node-1", "node-2", "node-2", "node-1", ""]
    assert await cluster.events("FailedScheduling") == [
        "0/2 nodes are available: 2 Insufficient cpu, 2 Too many pods. "
        + PREEMPTION.format(2, "2 Preemption is not helpful for scheduling")
    ]
    waits = pod("f")
    await cluster.create(kinds.POD, waits)
    assert (await cluster.events("FailedScheduling"))[-1] == "0/2 nodes are available: 2 Too many pods. " + (
        PREEMPTION.format(2, "2 No preemption victims found for incoming pod")
    )
    await cluster.delete(kinds.POD, "c", grace_period_s=0)
    assert await node_of(cluster, "f") == "node-2"


def test_reasons_are_counted_and_sorted() -> None:
    refusals = [Refusal("b"), Refusal("a", is_for_good=False), Refusal("b")]
    assert placement.message(refusals) == "0/3 nodes are available: 1 a, 2 b. " + PREEMPTION.format(
        3, "1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling"
    )
    assert placement.message([]) == "no nodes available to schedule pods"


@pytest.mark.parametrize(
    ("other", "collides"),
    [
        (HostPort("TCP", "", 80), True),
        (HostPort("TCP", "127.0.0.1", 80), True),
        (HostPort("TCP", "127.0.0.2", 80), False),
        (HostPort("UDP", "127.0.0.1", 80), False),
        (HostPort("TCP", "", 81), False),
    ],
)
def test_a_port_collides_at_the_same_address_or_where_one_takes_all(other: HostPort, *, collides: bool) -> None:
    mine = HostPort("TCP", "127.0.0.1", 80)
    assert mine.collides(other) == other.collides(mine) == collides


TAINT = {"key": "k", "value": "v", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("tolerations", "reason"),
    [
        ([], "node(s) had untolerated taint(s)"),
        ([{"key": "k", "value": "v"}], ""),
        ([{"key": "k", "operator": "Exists"}], ""),
        ([{"operator": "Exists"}], ""),
        ([{"key": "k", "value": "w"}], "node(s) had untolerated taint(s)"),
        ([{"key": "k", "value": "v", "effect": "NoExecute"}], "node(s) had untolerated taint(s)"),
    ],
)
def test_taints_and_tolerations(tolerations: list[Object], reason: str) -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    node = {"metadata": {"name": "n"}, "spec": {"taints": [TAINT]}, "status": ready}
    found = placement.refusal(pod("p", tolerations=tolerations), node, Cluster([node]))
    assert (found.reason if found else "") == reason


def test_a_cordoned_node_takes_nothing() -> None:
    node = {"metadata": {"name": "n"}, "spec": {"unschedulable": True}}
    refused = placement.refusal(pod("p"), node, Cluster([node]))
    assert refused == Refusal("node(s) were unschedulable")


@pytest.mark.looptime
async def test_a_pod_waits_until_the_pod_it_wants_to_be_beside_is_there(cluster: World) -> None:
    for n in ("node-1", "node-2"):
        await cluster.patch(kinds.NODE, n, {"metadata": {"labels": {"host": n}}})
    term = {"topologyKey": "host", "labelSelector": {"matchLabels": {"app": "db"}}}
    beside = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    await cluster.create(kinds.POD, pod("web", affinity=beside))
    words = "0/2 nodes are available: 2 node(s) didn't match pod affinity rules. "
    assert await cluster.events("FailedScheduling") == [
        words + PREEMPTION.format(2, "2 Preemption is not helpful for scheduling")
    ]
    db = pod("db", nodeSelector={"host": "node-2"})
    db["metadata"]["labels"] = {"app": "db"}
    await cluster.create(kinds.POD, db)
    assert await node_of(cluster, "web") == "node-2"


@pytest.mark.looptime
@pytest.mark.parametrize("spec", [{"schedulerName": "other"}, {"schedulingGates": [{"name": "example.com/wait"}]}])
async def test_pods_of_others_and_gated_ones_are_left_alone(cluster: World, spec: Object) -> None:
    await cluster.create(kinds.POD, pod("p", **spec))
    assert await node_of(cluster, "p") == ""
    assert await cluster.events("FailedScheduling") == []
