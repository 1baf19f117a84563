"""ReplicationControllers: the same work as ReplicaSets, with a selector of plain labels and without a rollout."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.controllers.garbage import GarbageCollector
from labctl.controllers.replicasets import ReplicaSets, ReplicationControllers
from tests.controllers.world import World, pod, template, world

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]


@pytest.fixture
async def cluster() -> AsyncIterator[World]:
    async with world(ReplicaSets, ReplicationControllers, GarbageCollector) as made:
        yield made


def controller(replicas: int = 2) -> Object:
    return {"metadata": {"name": "old"}, "spec": {"replicas": replicas, "template": template("web:1")}}


async def test_it_keeps_its_number_of_pods_and_counts_them(cluster: World) -> None:
    await cluster.create(kinds.REPLICATION_CONTROLLER, controller())
    names = await cluster.names(kinds.POD)
    assert len(names) == 2
    assert sorted(await cluster.events("SuccessfulCreate")) == sorted(f"Created pod: {n}" for n in names)
    await cluster.run_pods()
    status = (await cluster.get(kinds.REPLICATION_CONTROLLER, "old"))["status"]
    counts = {"replicas": 2, "fullyLabeledReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
    assert status == {**counts, "observedGeneration": 1}
    await cluster.patch(kinds.REPLICATION_CONTROLLER, "old", {"spec": {"replicas": 1}})
    assert len(await cluster.names(kinds.POD)) == 1
    scale = await cluster.api.get(kinds.REPLICATION_CONTROLLER, "default", "old", subresource="scale")
    assert (scale["spec"], scale["status"]) == ({"replicas": 1}, {"replicas": 1, "selector": "app=web"})


async def test_labels_and_selector_come_from_the_template(cluster: World) -> None:
    made = await cluster.create(kinds.REPLICATION_CONTROLLER, controller(0))
    assert (made["metadata"]["labels"], made["spec"]["selector"]) == ({"app": "web"}, {"app": "web"})


async def test_it_adopts_a_lone_pod_and_leaves_its_pods_when_nobody_says_otherwise(cluster: World) -> None:
    await cluster.create(kinds.POD, pod("lone"))
    await cluster.create(kinds.REPLICATION_CONTROLLER, controller(1))
    (owner,) = (await cluster.get(kinds.POD, "lone"))["metadata"]["ownerReferences"]
    assert (owner["apiVersion"], owner["kind"], owner["name"]) == ("v1", "ReplicationController", "old")
    await cluster.delete(kinds.REPLICATION_CONTROLLER, "old")
    assert await cluster.names(kinds.REPLICATION_CONTROLLER) == []
    assert "ownerReferences" not in (await cluster.get(kinds.POD, "lone"))["metadata"]


async def test_a_delete_in_the_background_takes_the_pods_along(cluster: World) -> None:
    await cluster.create(kinds.REPLICATION_CONTROLLER, controller())
    await cluster.delete(kinds.REPLICATION_CONTROLLER, "old", propagation="Background")
    assert await cluster.names(kinds.POD) == []
