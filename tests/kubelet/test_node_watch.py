"""A node that does not answer is NotReady, its pods leave their Services and are deleted in the end; it comes back whole."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.kubelet.node_watch import GRACE_S, LOOK_S, UNREACHABLE, tolerated_s
from tests.kubelet.conftest import World, settle

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]

NOTICED_S = LOOK_S + GRACE_S + 1
TOLERATION = {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}


def ready_of(world: World, node: str) -> tuple[str, str]:
    obj = world.api.peek(kinds.NODE, node, "")
    (found,) = [c for c in obj["status"]["conditions"] if c["type"] == "Ready"]
    return found["status"], found["reason"]


def taints(world: World, node: str) -> list[str]:
    listed: list[Object] = world.api.peek(kinds.NODE, node, "")["spec"].get("taints") or []
    return [f"{t['key']}:{t['effect']}" for t in listed]


async def test_a_silent_node_is_not_ready_until_it_answers_again(world: World) -> None:
    await world.run_pod(tolerations=[TOLERATION])
    assert world.is_ready()
    world.dialer.silent.add("node-1")
    await settle(NOTICED_S)
    assert ready_of(world, "node-1") == ("Unknown", "NodeStatusUnknown")
    assert ready_of(world, "node-2") == ("True", "KubeletReady")
    assert taints(world, "node-1") == [f"{UNREACHABLE}:NoSchedule", f"{UNREACHABLE}:NoExecute"]
    assert not world.is_ready(), "so that Services leave its pods"
    lease = world.api.peek(kinds.LEASE, "node-1", "kube-node-lease")["spec"]["renewTime"]
    await settle(20)
    assert world.api.peek(kinds.LEASE, "node-1", "kube-node-lease")["spec"]["renewTime"] == lease
    world.dialer.silent.clear()
    await settle(NOTICED_S)
    assert ready_of(world, "node-1") == ("True", "KubeletReady")
    assert taints(world, "node-1") == []
    assert world.is_ready()
    assert world.events.reasons("node-1")[-2:] == ["NodeNotReady", "NodeReady"]
    assert world.events.messages("node-1", "NodeNotReady") == ["Node node-1 status is now: NodeNotReady"]


async def test_a_node_that_is_slow_for_a_moment_is_left_alone(world: World) -> None:
    await world.run_pod()
    world.dialer.silent.add("node-1")
    await settle(LOOK_S)
    world.dialer.silent.clear()
    await settle(NOTICED_S)
    assert "NodeNotReady" not in world.events.reasons("node-1")


async def test_pods_are_deleted_when_they_tolerate_it_no_longer(world: World) -> None:
    await world.run_pod("patient", tolerations=[{**TOLERATION, "tolerationSeconds": None}])
    await world.run_pod("usual", tolerations=[TOLERATION])
    world.dialer.silent.add("node-1")
    await settle(NOTICED_S + 280)
    assert world.api.has(kinds.POD, "usual")
    await settle(40)
    assert not world.api.has(kinds.POD, "usual")
    assert world.api.has(kinds.POD, "patient")
    assert world.events.messages("usual", "TaintManagerEviction") == ["Marking for deletion Pod default/usual"]


@pytest.mark.parametrize(
    ("tolerations", "limit"),
    [
        ([], 0),
        ([TOLERATION], 300),
        ([{"operator": "Exists"}], None),
        ([TOLERATION, {**TOLERATION, "tolerationSeconds": 10}], 10),
        ([{**TOLERATION, "effect": "NoSchedule"}], 0),
        ([{**TOLERATION, "key": "other"}], 0),
        ([{"key": UNREACHABLE, "value": "x", "effect": "NoExecute"}], 0),
    ],
)
async def test_how_long_a_pod_stays(tolerations: list[dict[str, Any]], limit: float | None) -> None:
    assert tolerated_s({"spec": {"tolerations": tolerations}}) == limit
