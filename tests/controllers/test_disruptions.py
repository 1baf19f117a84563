"""PodDisruptionBudgets: what they allow, and evictions that they hold back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.api.status import ApiError
from labctl.controllers import budgets
from labctl.controllers.deployments import Deployments
from labctl.controllers.disruptions import Disruptions
from labctl.controllers.replicasets import ReplicaSets
from tests.controllers.world import World, deployment, pod, world

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]


@pytest.fixture
async def cluster() -> AsyncIterator[World]:
    async with world(Deployments, ReplicaSets, Disruptions) as made:
        yield made


def budget(**spec: Any) -> Object:
    return {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec}}


async def counts(cluster: World) -> tuple[int, ...]:
    """Expected, wanted healthy, healthy, allowed."""
    status = (await cluster.get(kinds.POD_DISRUPTION_BUDGET, "web"))["status"]
    assert status["observedGeneration"] == 1
    return tuple(status[n] for n in ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed"))


async def evict(cluster: World, name: str, **options: Any) -> Any:
    body = {"metadata": {"name": name}, "deleteOptions": options}
    answer = await cluster.api.create(kinds.POD, body, namespace="default", name=name, subresource="eviction")
    await cluster.settle()
    return answer


async def refusal(cluster: World, name: str) -> str:
    with pytest.raises(ApiError) as caught:
        await evict(cluster, name)
    assert (caught.value.code, caught.value.reason) == (429, "TooManyRequests")
    assert caught.value.message == "Cannot evict pod as it would violate the pod's disruption budget."
    return str((caught.value.details or {})["causes"][0]["message"])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"minAvailable": 2}, (3, 2, 3, 1)),
        ({"minAvailable": "50%"}, (3, 2, 3, 1)),
        ({"minAvailable": "100%"}, (3, 3, 3, 0)),
        ({"maxUnavailable": 1}, (3, 2, 3, 1)),
        ({"maxUnavailable": "50%"}, (3, 1, 3, 2)),
        ({"maxUnavailable": 5}, (3, 0, 3, 3)),
    ],
)
async def test_the_status_counts_what_may_go(cluster: World, spec: Object, expected: tuple[int, ...]) -> None:
    await cluster.create(kinds.POD_DISRUPTION_BUDGET, budget(**spec))
    assert await counts(cluster) == (0, 2 if spec == {"minAvailable": 2} else 0, 0, 0)
    await cluster.create(kinds.DEPLOYMENT, deployment(replicas=3))
    await cluster.run_pods()
    assert await counts(cluster) == expected


async def test_an_eviction_uses_the_budget_up_until_the_pod_is_replaced(cluster: World) -> None:
    await cluster.create(kinds.POD_DISRUPTION_BUDGET, budget(maxUnavailable=1))
    await cluster.create(kinds.DEPLOYMENT, deployment(replicas=2))
    await cluster.run_pods()
    first, second = await cluster.names(kinds.POD)
    assert (await evict(cluster, first))["status"] == "Success"
    assert await refusal(cluster, second) == "The disruption budget web needs 1 healthy pods and has 1 currently"
    await cluster.run_pods()
    assert await counts(cluster) == (2, 1, 2, 1)
    assert (await evict(cluster, second))["status"] == "Success"


async def test_a_budget_that_nobody_has_looked_at_holds_everything_back() -> None:
    async with world(Deployments) as cluster:
        await cluster.create(kinds.POD_DISRUPTION_BUDGET, budget(minAvailable=0))
        await cluster.create(kinds.POD, pod("p"))
        await cluster.run_pods()
        words = "The disruption budget web is still being processed by the server."
        assert await refusal(cluster, "p") == words


@pytest.mark.parametrize(("policy", "goes"), [("AlwaysAllow", True), ("IfHealthyBudget", False)])
async def test_an_unhealthy_pod_goes_when_the_policy_says_so(cluster: World, policy: str, *, goes: bool) -> None:
    await cluster.create(kinds.POD_DISRUPTION_BUDGET, budget(minAvailable=1, unhealthyPodEvictionPolicy=policy))
    await cluster.create(kinds.POD, pod("p"))
    await cluster.run_pods(ready=False)
    if goes:
        assert (await evict(cluster, "p"))["status"] == "Success"
    else:
        assert await refusal(cluster, "p") == "The disruption budget web needs 1 healthy pods and has 0 currently"


async def test_a_dry_run_takes_nothing(cluster: World) -> None:
    await cluster.create(kinds.POD_DISRUPTION_BUDGET, budget(minAvailable=0))
    await cluster.create(kinds.POD, pod("p"))
    await cluster.run_pods()
    assert (await evict(cluster, "p", dryRun=["All"]))["status"] == "Success"
    assert await counts(cluster) == (1, 0, 1, 1)
    assert "conditions" in (await cluster.get(kinds.POD, "p"))["status"]


async def test_an_evicted_pod_says_why_it_ends(cluster: World) -> None:
    await cluster.create(kinds.POD, pod("p", nodeName="node-1"))
    await cluster.run_pods()
    await evict(cluster, "p")
    found = await cluster.get(kinds.POD, "p")
    assert found["metadata"]["deletionTimestamp"]
    assert found["status"]["conditions"][-1]["reason"] == "EvictionByEvictionAPI"


async def test_two_budgets_for_a_pod_are_too_many(cluster: World) -> None:
    await cluster.create(kinds.POD_DISRUPTION_BUDGET, budget(minAvailable=0))
    await cluster.create(kinds.POD_DISRUPTION_BUDGET, {**budget(minAvailable=0), "metadata": {"name": "other"}})
    await cluster.create(kinds.POD, pod("p"))
    await cluster.run_pods()
    answer = await evict(cluster, "p")
    assert (answer["status"], answer["code"]) == ("Failure", 500)


async def test_pods_of_a_controller_that_is_not_there_hold_everything_back(cluster: World) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "1", "controller": True}
    orphan = pod("p")
    orphan["metadata"]["ownerReferences"] = [owner]
    await cluster.create(kinds.POD, orphan)
    await cluster.create(kinds.POD_DISRUPTION_BUDGET, budget(maxUnavailable=1))
    await cluster.run_pods()
    status = (await cluster.get(kinds.POD_DISRUPTION_BUDGET, "web"))["status"]
    assert status["conditions"][0]["message"] == 'found no controllers for pod "p"'
    assert status["disruptionsAllowed"] == 0


async def test_an_eviction_that_was_never_carried_out_is_forgotten() -> None:
    at = {"status": {"disruptedPods": {"p": "2027-01-15T08:00:00Z", "gone": "2027-01-15T08:00:00Z"}}}
    pods = [{"metadata": {"name": "p"}}]
    moment = 1_800_000_000.0
    assert budgets.disrupted(at, pods, moment + 119) == {"p": "2027-01-15T08:00:00Z"}
    assert budgets.disrupted(at, pods, moment + 121) == {}
