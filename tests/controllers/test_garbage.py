"""What an owner leaves behind: deleted, orphaned, or holding the owner back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.controllers.endpointslices import EndpointSlices
from labctl.controllers.garbage import GarbageCollector
from tests.controllers.world import World, pod, replica_set, service, world

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]


@pytest.fixture
async def cluster() -> AsyncIterator[World]:
    async with world(GarbageCollector) as made:
        yield made


def owned_by(owner: Object, name: str = "child", *, block: bool = True, **spec: Any) -> Object:
    made = pod(name, **spec)
    made["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": block,
        }
    ]
    return made


async def test_dependents_follow_their_owner(cluster: World) -> None:
    owner = await cluster.create(kinds.REPLICA_SET, replica_set())
    await cluster.create(kinds.POD, owned_by(owner))
    await cluster.create(kinds.POD, pod("free"))
    await cluster.delete(kinds.REPLICA_SET, "web")
    assert await cluster.names(kinds.POD) == ["free"]


async def test_an_owner_of_the_same_name_is_not_the_same_owner(cluster: World) -> None:
    owner = await cluster.create(kinds.REPLICA_SET, replica_set())
    earlier = {"metadata": {**owner["metadata"], "uid": "of-an-earlier-one"}}
    await cluster.create(kinds.POD, owned_by(earlier))
    assert await cluster.names(kinds.POD) == []


async def test_a_second_owner_keeps_a_dependent_alive(cluster: World) -> None:
    one = await cluster.create(kinds.REPLICA_SET, replica_set("one"))
    two = await cluster.create(kinds.REPLICA_SET, replica_set("two"))
    shared = owned_by(one)
    second = owned_by(two)["metadata"]["ownerReferences"][0]
    shared["metadata"]["ownerReferences"].append({**second, "controller": False})
    await cluster.create(kinds.POD, shared)
    await cluster.delete(kinds.REPLICA_SET, "one")
    left = await cluster.get(kinds.POD, "child")
    assert [o["name"] for o in left["metadata"]["ownerReferences"]] == ["two"]
    await cluster.delete(kinds.REPLICA_SET, "two")
    assert await cluster.names(kinds.POD) == []


async def test_orphans_lose_their_owner_and_stay(cluster: World) -> None:
    owner = await cluster.create(kinds.REPLICA_SET, replica_set())
    await cluster.create(kinds.POD, owned_by(owner))
    await cluster.delete(kinds.REPLICA_SET, "web", propagation="Orphan")
    assert await cluster.names(kinds.REPLICA_SET) == []
    assert "ownerReferences" not in (await cluster.get(kinds.POD, "child"))["metadata"]


async def test_a_circle_of_owners_goes_as_a_whole(cluster: World) -> None:
    made = [await cluster.create(kinds.POD, pod(f"p{n}")) for n in range(3)]
    for one, other in zip(made, (made[2], *made[:2]), strict=True):
        meta = other["metadata"]
        owner = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": meta["name"],
            "uid": meta["uid"],
            "blockOwnerDeletion": True,
        }
        await cluster.patch(kinds.POD, one["metadata"]["name"], {"metadata": {"ownerReferences": [owner]}})
    await cluster.delete(kinds.POD, "p0", propagation="Foreground")
    assert await cluster.names(kinds.POD) == []


async def test_in_the_foreground_the_owner_waits_for_those_that_block_it(cluster: World) -> None:
    owner = await cluster.create(kinds.REPLICA_SET, replica_set())
    await cluster.create(kinds.POD, owned_by(owner, nodeName="node-1"))
    await cluster.delete(kinds.REPLICA_SET, "web", propagation="Foreground")
    assert await cluster.names(kinds.REPLICA_SET) == ["web"]
    assert (await cluster.get(kinds.POD, "child"))["metadata"]["deletionTimestamp"]
    await cluster.delete(kinds.POD, "child", grace_period_s=0)
    assert await cluster.names(kinds.REPLICA_SET) == []


async def test_in_the_foreground_nobody_waits_for_what_does_not_block(cluster: World) -> None:
    owner = await cluster.create(kinds.REPLICA_SET, replica_set())
    await cluster.create(kinds.POD, owned_by(owner, nodeName="node-1", block=False))
    await cluster.delete(kinds.REPLICA_SET, "web", propagation="Foreground")
    assert await cluster.names(kinds.REPLICA_SET) == []
    assert (await cluster.get(kinds.POD, "child"))["metadata"]["deletionTimestamp"]


async def test_slices_that_a_controller_has_just_made_go_with_their_service() -> None:
    """Their controller knows them before the watch tells of them."""
    async with world(EndpointSlices, GarbageCollector) as cluster:
        for _ in range(2):
            await cluster.create(kinds.SERVICE, service())
            assert len(await cluster.names(kinds.ENDPOINT_SLICE)) == 2  # with that of kubernetes
            await cluster.delete(kinds.SERVICE, "web")
            assert len(await cluster.names(kinds.ENDPOINT_SLICE)) == 1


async def test_other_kinds_may_own_and_be_owned(cluster: World) -> None:
    owner = await cluster.create(kinds.CONFIG_MAP, {"metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    await cluster.create(kinds.SECRET, {"metadata": {"name": "child", "ownerReferences": [reference]}})
    await cluster.delete(kinds.CONFIG_MAP, "owner")
    assert await cluster.names(kinds.SECRET) == []
