"""A node that does not answer is NotReady, and its pods leave their Services; it comes back whole."""

from __future__ import annotations

import pytest

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.kubelet.node_watch import GRACE_S, LOOK_S, UNREACHABLE
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
