"""NoExecute taints: who has to leave a node, and when."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.controllers.taint_eviction import TaintEviction, tolerated_s
from tests.controllers.world import World, pod, world

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]

TAINT = {"key": "dirty", "value": "yes", "effect": "NoExecute"}
UNREACHABLE = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}


@pytest.fixture
async def cluster() -> AsyncIterator[World]:
    async with world(TaintEviction) as made:
        for name in ("node-1", "node-2"):
            await made.api.create(kinds.NODE, {"metadata": {"name": name}})
        yield made


async def taint(cluster: World, *taints: Object) -> None:
    await cluster.patch(kinds.NODE, "node-1", {"spec": {"taints": list(taints)}})


async def gone(cluster: World, *names: str) -> list[str]:
    found = {p["metadata"]["name"]: p for p in await cluster.all(kinds.POD)}
    return [n for n in names if n not in found or found[n]["metadata"].get("deletionTimestamp")]


async def test_pods_leave_when_they_tolerate_it_no_longer(cluster: World) -> None:
    patient = {"key": "dirty", "operator": "Exists", "effect": "NoExecute"}
    await cluster.create(kinds.POD, pod("none", nodeName="node-1"))
    await cluster.create(kinds.POD, pod("short", nodeName="node-1", tolerations=[{**patient, "tolerationSeconds": 10}]))
    await cluster.create(kinds.POD, pod("ever", nodeName="node-1", tolerations=[patient]))
    await cluster.create(kinds.POD, pod("elsewhere", nodeName="node-2"))
    await taint(cluster, TAINT)
    names = ("none", "short", "ever", "elsewhere")
    assert await gone(cluster, *names) == ["none"]
    await cluster.settle(10)
    assert await gone(cluster, *names) == ["none", "short"]
    assert await cluster.events("TaintManagerEviction") == [
        "Marking for deletion Pod default/none",
        "Marking for deletion Pod default/short",
    ]
    conditions = (await cluster.get(kinds.POD, "none"))["status"]["conditions"]
    assert [c["reason"] for c in conditions if c["type"] == "DisruptionTarget"] == ["DeletionByTaintManager"]


async def test_a_taint_that_goes_in_time_spares_the_pod(cluster: World) -> None:
    wait = [{"key": "dirty", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10}]
    await cluster.create(kinds.POD, pod("p", nodeName="node-1", tolerations=wait))
    await taint(cluster, TAINT)
    await cluster.settle(8)
    await taint(cluster)
    await cluster.settle(8)
    assert await gone(cluster, "p") == []
    assert await cluster.events("TaintManagerEviction") == ["Cancelling deletion of Pod default/p"]
    await taint(cluster, TAINT)
    await cluster.settle(8)
    assert await gone(cluster, "p") == [], "its time begins anew"


async def test_a_pod_of_the_same_name_has_a_time_of_its_own(cluster: World) -> None:
    wait = [{"key": "dirty", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10}]
    await taint(cluster, TAINT)
    await cluster.create(kinds.POD, pod("p", nodeName="node-1", tolerations=wait))
    await cluster.settle(8)
    await cluster.delete(kinds.POD, "p", grace_period_s=0)
    await cluster.create(kinds.POD, pod("p", nodeName="node-1", tolerations=wait))
    await cluster.settle(8)
    assert await gone(cluster, "p") == []


TOLERATION = {**UNREACHABLE, "operator": "Exists", "tolerationSeconds": 300}


@pytest.mark.parametrize(
    ("tolerations", "limit"),
    [
        ([], 0),
        ([TOLERATION], 300),
        ([{"operator": "Exists"}], None),
        ([TOLERATION, {**TOLERATION, "tolerationSeconds": 10}], 10),
        ([{**TOLERATION, "tolerationSeconds": -5}], 0),
        ([{**TOLERATION, "effect": "NoSchedule"}], 0),
        ([{**TOLERATION, "key": "other"}], 0),
        ([{**UNREACHABLE, "value": "x"}], 0),
    ],
)
async def test_how_long_a_pod_stays(tolerations: list[Object], limit: float | None) -> None:
    assert tolerated_s({"spec": {"tolerations": tolerations}}, [UNREACHABLE]) == limit


async def test_every_taint_has_to_be_tolerated() -> None:
    assert tolerated_s({"spec": {"tolerations": [TOLERATION]}}, [UNREACHABLE, TAINT]) == 0
