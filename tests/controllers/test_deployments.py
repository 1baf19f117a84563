"""Deployments as a user sees them: sizes, revisions, Events, conditions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.controllers.deployments import Deployments
from labctl.controllers.garbage import GarbageCollector
from labctl.controllers.replicasets import ReplicaSets
from tests.controllers.world import World, deployment, template, world

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]


@pytest.fixture
async def cluster() -> AsyncIterator[World]:
    async with world(Deployments, ReplicaSets, GarbageCollector) as made:
        yield made


async def sizes(cluster: World) -> dict[str, int]:
    """image -> replicas of the ReplicaSet that runs it."""
    found = await cluster.all(kinds.REPLICA_SET)
    return {r["spec"]["template"]["spec"]["containers"][0]["image"]: r["spec"]["replicas"] for r in found}


async def replica_set_of(cluster: World, image: str) -> Any:
    found = await cluster.all(kinds.REPLICA_SET)
    return next(r for r in found if r["spec"]["template"]["spec"]["containers"][0]["image"] == image)


async def conditions(cluster: World, name: str = "web") -> dict[str, tuple[str, str]]:
    status = (await cluster.get(kinds.DEPLOYMENT, name))["status"]
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


async def change_image(cluster: World, image: str) -> None:
    await cluster.patch(kinds.DEPLOYMENT, "web", {"spec": {"template": template(image)}})


async def test_a_new_deployment_comes_up_and_says_so(cluster: World) -> None:
    await cluster.create(kinds.DEPLOYMENT, deployment(replicas=2))
    made = await replica_set_of(cluster, "web:1")
    name = made["metadata"]["name"]
    assert await cluster.events("ScalingReplicaSet") == [f"Scaled up replica set {name} from 0 to 2"]
    assert await conditions(cluster) == {
        "Progressing": ("True", "ReplicaSetUpdated"),
        "Available": ("False", "MinimumReplicasUnavailable"),
    }
    assert (await cluster.get(kinds.DEPLOYMENT, "web"))["status"]["unavailableReplicas"] == 2

    await cluster.run_pods()
    found = await cluster.get(kinds.DEPLOYMENT, "web")
    status = {k: v for k, v in found["status"].items() if k != "conditions"}
    assert status == {
        "observedGeneration": 1,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "terminatingReplicas": 0,
    }
    assert [c["type"] for c in found["status"]["conditions"]] == ["Available", "Progressing"]
    assert found["status"]["conditions"][1]["message"] == f'ReplicaSet "{name}" has successfully progressed.'
    assert found["metadata"]["generation"] == 1
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert made["metadata"]["labels"] == {"app": "web", "pod-template-hash": name.removeprefix("web-")}
    assert made["spec"]["selector"]["matchLabels"] == made["metadata"]["labels"]
    assert made["metadata"]["annotations"] == {
        "deployment.kubernetes.io/revision": "1",
        "deployment.kubernetes.io/desired-replicas": "2",
        "deployment.kubernetes.io/max-replicas": "3",
    }


async def test_a_rollout_moves_within_surge_and_unavailable(cluster: World) -> None:
    await cluster.create(kinds.DEPLOYMENT, deployment(replicas=4))
    await cluster.run_pods()
    await change_image(cluster, "web:2")
    assert await sizes(cluster) == {"web:1": 3, "web:2": 2}
    while await cluster.run_pods():
        pods = await cluster.all(kinds.POD)
        assert len(pods) <= 5
        assert sum(p["status"].get("phase") == "Running" for p in pods) >= 3
    assert await sizes(cluster) == {"web:1": 0, "web:2": 4}
    assert (await conditions(cluster))["Progressing"] == ("True", "NewReplicaSetAvailable")
    one, two = [(await replica_set_of(cluster, f"web:{n}"))["metadata"]["name"] for n in (1, 2)]
    assert await cluster.events("ScalingReplicaSet") == [
        f"Scaled up replica set {one} from 0 to 4",
        f"Scaled up replica set {two} from 0 to 1",
        f"Scaled down replica set {one} from 4 to 3",
        f"Scaled up replica set {two} from 1 to 2",
        f"Scaled down replica set {one} from 3 to 1",
        f"Scaled up replica set {two} from 2 to 4",
        f"Scaled down replica set {one} from 1 to 0",
    ]


async def test_a_bad_image_stops_the_rollout_and_scaling_is_shared_out(cluster: World) -> None:
    """The example of Kubernetes' documentation on proportional scaling: 8 + 5 become 11 + 7."""
    limits = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    await cluster.create(kinds.DEPLOYMENT, deployment(replicas=10, strategy=limits))
    await cluster.run_pods()
    await change_image(cluster, "nope")
    assert await sizes(cluster) == {"web:1": 8, "nope": 5}
    await cluster.patch(kinds.DEPLOYMENT, "web", {"spec": {"replicas": 15}})
    assert await sizes(cluster) == {"web:1": 11, "nope": 7}


async def test_a_rollout_that_stands_still_passes_its_deadline_and_recovers(cluster: World) -> None:
    await cluster.create(kinds.DEPLOYMENT, deployment(replicas=1, progressDeadlineSeconds=60))
    await cluster.settle(59)
    assert (await conditions(cluster))["Progressing"] == ("True", "ReplicaSetUpdated")
    await cluster.settle(5)
    assert (await conditions(cluster))["Progressing"] == ("False", "ProgressDeadlineExceeded")
    await cluster.run_pods()
    assert (await conditions(cluster))["Progressing"] == ("True", "NewReplicaSetAvailable")


async def test_recreate_ends_all_old_pods_before_it_starts_new_ones(cluster: World) -> None:
    await cluster.create(kinds.DEPLOYMENT, deployment(strategy={"type": "Recreate"}, replicas=2))
    for name in await cluster.names(kinds.POD):  # on a node a pod ends when its kubelet says so
        binding = {"metadata": {"name": name}, "target": {"kind": "Node", "name": "node-1"}}
        await cluster.api.create(kinds.POD, binding, namespace="default", name=name, subresource="binding")
    await cluster.run_pods()
    await change_image(cluster, "web:2")
    assert await sizes(cluster) == {"web:1": 0}
    assert (await cluster.get(kinds.DEPLOYMENT, "web"))["status"]["terminatingReplicas"] == 2
    first, second = await cluster.names(kinds.POD)
    await cluster.delete(kinds.POD, first, grace_period_s=0)
    assert await sizes(cluster) == {"web:1": 0}
    await cluster.delete(kinds.POD, second, grace_period_s=0)
    assert await sizes(cluster) == {"web:1": 0, "web:2": 2}


async def test_going_back_gives_the_old_template_the_newest_number(cluster: World) -> None:
    await cluster.create(kinds.DEPLOYMENT, deployment())
    await cluster.run_pods()
    await change_image(cluster, "web:2")
    await cluster.run_pods()
    await change_image(cluster, "web:1")
    await cluster.run_pods()
    notes = (await replica_set_of(cluster, "web:1"))["metadata"]["annotations"]
    assert notes["deployment.kubernetes.io/revision"] == "3"
    assert notes["deployment.kubernetes.io/revision-history"] == "1"
    found = await cluster.get(kinds.DEPLOYMENT, "web")
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert await sizes(cluster) == {"web:1": 1, "web:2": 0}


async def test_annotations_and_min_ready_seconds_reach_the_replica_set(cluster: World) -> None:
    await cluster.create(kinds.DEPLOYMENT, deployment())
    change: Object = {"metadata": {"annotations": {"kubernetes.io/change-cause": "because"}}}
    await cluster.patch(kinds.DEPLOYMENT, "web", change | {"spec": {"minReadySeconds": 7}})
    made = await replica_set_of(cluster, "web:1")
    assert made["metadata"]["annotations"]["kubernetes.io/change-cause"] == "because"
    assert made["spec"]["minReadySeconds"] == 7
    await cluster.run_pods()
    await cluster.settle(5)
    assert (await conditions(cluster))["Available"][0] == "False"
    await cluster.settle(3)
    assert (await conditions(cluster))["Available"][0] == "True"


async def test_old_replica_sets_beyond_the_limit_are_forgotten(cluster: World) -> None:
    await cluster.create(kinds.DEPLOYMENT, deployment(revisionHistoryLimit=1))
    for number in (2, 3, 4):
        await cluster.run_pods()
        await change_image(cluster, f"web:{number}")
        await cluster.run_pods()
    assert await sizes(cluster) == {"web:3": 0, "web:4": 1}


async def test_a_paused_deployment_scales_and_does_not_roll(cluster: World) -> None:
    await cluster.create(kinds.DEPLOYMENT, deployment())
    await cluster.run_pods()
    await cluster.patch(
        kinds.DEPLOYMENT, "web", {"spec": {"paused": True, "template": template("web:2"), "replicas": 3}}
    )
    assert await sizes(cluster) == {"web:1": 3}
    assert (await conditions(cluster))["Progressing"] == ("Unknown", "DeploymentPaused")
    await cluster.patch(kinds.DEPLOYMENT, "web", {"spec": {"paused": None}})
    while await cluster.run_pods():
        pass
    assert await sizes(cluster) == {"web:1": 0, "web:2": 3}
    assert (await conditions(cluster))["Progressing"] == ("True", "NewReplicaSetAvailable")


async def test_orphans_are_adopted_by_a_deployment_of_the_same_selector(cluster: World) -> None:
    await cluster.create(kinds.DEPLOYMENT, deployment())
    await cluster.run_pods()
    before = await cluster.names(kinds.POD)
    await cluster.delete(kinds.DEPLOYMENT, "web", propagation="Orphan")
    orphan = await replica_set_of(cluster, "web:1")
    assert "ownerReferences" not in orphan["metadata"]
    made = await cluster.create(kinds.DEPLOYMENT, deployment())
    adopted = await replica_set_of(cluster, "web:1")
    assert adopted["metadata"]["uid"] == orphan["metadata"]["uid"]
    assert adopted["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert await cluster.names(kinds.POD) == before


async def test_a_replica_set_with_our_name_and_another_owner_is_a_collision(cluster: World) -> None:
    await cluster.create(kinds.DEPLOYMENT, deployment("probe"))
    taken = (await cluster.names(kinds.REPLICA_SET))[0].removeprefix("probe-")
    await cluster.delete(kinds.DEPLOYMENT, "probe")
    same_template = template("web:1", app="probe")
    foreign = {"selector": {"matchLabels": {"other": "1"}}, "template": template("other", other="1"), "replicas": 0}
    await cluster.create(kinds.REPLICA_SET, {"metadata": {"name": f"probe-{taken}"}, "spec": foreign})
    await cluster.create(kinds.DEPLOYMENT, deployment("probe", template=same_template))
    assert (await cluster.get(kinds.DEPLOYMENT, "probe"))["status"]["collisionCount"] == 1
    assert len(await cluster.names(kinds.REPLICA_SET)) == 2


async def test_what_keeps_pods_from_being_made_is_said_in_the_status(cluster: World) -> None:
    """A template may be fine and its pods be refused: here by a service account that does not exist."""
    wanted = deployment()
    wanted["spec"]["template"]["spec"]["serviceAccountName"] = "nobody"
    await cluster.create(kinds.DEPLOYMENT, wanted)
    status = (await cluster.get(kinds.DEPLOYMENT, "web"))["status"]
    failure = next(c for c in status["conditions"] if c["type"] == "ReplicaFailure")
    assert failure["reason"] == "FailedCreate"
    assert 'serviceaccount "nobody" not found' in failure["message"]
    assert any('serviceaccount "nobody" not found' in e for e in await cluster.events("FailedCreate"))
    await cluster.create(kinds.SERVICE_ACCOUNT, {"metadata": {"name": "nobody"}})
    await cluster.settle(60)
    assert "ReplicaFailure" not in await conditions(cluster)
    assert len(await cluster.names(kinds.POD)) == 1
