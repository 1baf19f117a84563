"""preStop: within the grace period, whatever it does; then SIGTERM with what is left, then SIGKILL."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from labctl.api import kinds
from tests.kubelet.conftest import World, eventually, settle

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]


async def deleted_after(world: World, **spec: Any) -> float:
    """Seconds from the deletion of a pod to its end."""
    await world.run_pod(**spec)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await world.api.delete(kinds.POD, "default", "p")
    await eventually(lambda: not world.api.has(kinds.POD, "p"))
    return loop.time() - begun


async def test_a_sleep_hook_keeps_the_container_running_for_so_long(world: World) -> None:
    took = await deleted_after(
        world, terminationGracePeriodSeconds=20, lifecycle={"preStop": {"sleep": {"seconds": 7}}}
    )
    assert 7 <= took < 9


async def test_a_hook_longer_than_the_grace_period_is_cut_off(world: World) -> None:
    took = await deleted_after(
        world, terminationGracePeriodSeconds=5, lifecycle={"preStop": {"sleep": {"seconds": 60}}}
    )
    assert 5 <= took < 9
    assert "FailedPreStopHook" not in world.events.reasons("p")


async def test_a_process_that_ignores_sigterm_gets_what_the_hook_has_left(world: World) -> None:
    await world.run_pod(terminationGracePeriodSeconds=20, lifecycle={"preStop": {"sleep": {"seconds": 15}}})
    world.engine.named("k8s_main_p").ignores_sigterm = True
    await world.api.delete(kinds.POD, "default", "p")
    await settle(18)
    assert world.api.has(kinds.POD, "p")
    await settle(4)
    assert not world.api.has(kinds.POD, "p")


async def test_a_hook_that_fails_is_told_and_the_container_ends_all_the_same(world: World) -> None:
    world.engine.programs[("bye",)] = lambda _: ([("stdout", b"no")], 7)
    took = await deleted_after(
        world, terminationGracePeriodSeconds=20, lifecycle={"preStop": {"exec": {"command": ["bye"]}}}
    )
    assert took < 3
    assert world.events.messages("p", "FailedPreStopHook") == ["PreStopHook failed"]


async def test_an_http_hook_asks_the_pod_from_its_node(world: World) -> None:
    hook = {"httpGet": {"path": "/bye", "port": 8080, "scheme": "HTTP"}}
    await world.run_pod(lifecycle={"preStop": hook})
    address = world.status()["podIP"]
    world.dialer.answers[(address, 8080)] = 200
    await world.api.delete(kinds.POD, "default", "p")
    await eventually(lambda: not world.api.has(kinds.POD, "p"))
    assert world.dialer.dialled == [("node-1", address, 8080)]
    assert "FailedPreStopHook" not in world.events.reasons("p")


async def test_a_pod_deleted_by_force_runs_no_hook(world: World) -> None:
    ran: list[bytes] = []
    world.engine.programs[("bye",)] = lambda data: (ran.append(data), ([], 0))[1]  # type: ignore[func-returns-value]  # noted
    await world.run_pod(lifecycle={"preStop": {"exec": {"command": ["bye"]}}})
    await world.api.delete(kinds.POD, "default", "p", grace_period_s=0)
    await settle(3)
    assert not world.api.has(kinds.POD, "p")
    assert ran == []
