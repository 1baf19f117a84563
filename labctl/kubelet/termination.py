"""Ending containers and pods: preStop, SIGTERM, the grace period, SIGKILL, and then everything is removed."""

from __future__ import annotations

import asyncio

from labctl.api.objects import Object
from labctl.kubelet import hooks
from labctl.kubelet.instances import Instance
from labctl.kubelet.pod_state import PodState
from labctl.kubelet.restarts import is_sidecar

MINIMUM_GRACE_S = 2.0  # the kubelet's: nobody is killed without a moment to end by itself


def grace_period_s(pod: Object) -> float:
    """How long the pod's containers may take to end."""
    asked = pod["metadata"].get("deletionGracePeriodSeconds")
    return float(pod["spec"].get("terminationGracePeriodSeconds", 30) if asked is None else asked)


async def kill_container(state: PodState, instance: Instance, *, message: str = "", grace_s: float) -> None:
    """End one container: preStop hook within the grace period, then the engine's stop with what is left of it."""
    state.events.normal("Killing", message or f"Stopping container {instance.name}", container=instance.name)
    started = state.kit.clock()
    if (container := state.container(instance.name)) is not None:
        await hooks.pre_stop(state, container, instance.id, grace_s=grace_s)
    left = grace_s - (state.kit.clock() - started)
    await state.kit.engine.stop(instance.id, grace_s=max(left, MINIMUM_GRACE_S))


async def kill_all(state: PodState, grace_s: float) -> None:
    """End all containers: first the app containers at once, then the sidecars, last started first."""
    deadline = state.kit.clock() + grace_s
    sidecars = [c["name"] for c in state.pod["spec"].get("initContainers") or () if is_sidecar(c)]
    running = state.instances.running()
    async with asyncio.TaskGroup() as group:
        for instance in running:
            if instance.name not in sidecars:
                group.create_task(kill_container(state, instance, grace_s=grace_s))
    for name in reversed(sidecars):
        for instance in running:
            if instance.name == name:
                await kill_container(state, instance, grace_s=max(0.0, deadline - state.kit.clock()))


async def kill_at_once(state: PodState) -> None:
    """SIGKILL for everything that still runs: the pod was deleted by force."""
    async with asyncio.TaskGroup() as group:
        for instance in state.instances.running():
            group.create_task(state.kit.engine.stop(instance.id, grace_s=0))


async def remove_sandbox(state: PodState) -> None:
    """Remove the sandbox; the pod's addresses are dead from here on."""
    sandbox, state.instances.sandbox = state.instances.sandbox, None
    if sandbox is not None:
        await state.kit.engine.remove(sandbox.id)


async def remove_containers(state: PodState) -> None:
    """Remove all containers, ended or not."""
    async with asyncio.TaskGroup() as group:
        for runs in state.instances.containers.values():
            for instance in runs:
                group.create_task(state.kit.engine.remove(instance.id))
