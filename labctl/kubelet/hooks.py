"""Lifecycle hooks: what runs right after a container's start and before its end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from labctl.api.objects import Object
from labctl.engine.errors import EngineError
from labctl.kubelet import checks
from labctl.kubelet.pod_state import PodState


class HookFailed(Exception):
    """A postStart hook failed; the container is killed."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


async def post_start(state: PodState, container: Object, container_id: str) -> None:
    """Run the postStart hook. Raises HookFailed after killing the container."""
    if (problem := await _run(state, container, container_id, container["lifecycle"]["postStart"])) is None:
        return
    name = container["name"]
    state.events.warning("FailedPostStartHook", "PostStartHook failed", container=name)
    state.events.normal("Killing", "FailedPostStartHook", container=name)
    await state.kit.engine.stop(container_id, grace_s=state.pod["spec"].get("terminationGracePeriodSeconds", 30))
    raise HookFailed(problem)


async def pre_stop(state: PodState, container: Object, container_id: str, *, grace_s: float) -> None:
    """Run the preStop hook for at most `grace_s`."""
    hook = (container.get("lifecycle") or {}).get("preStop")
    if not hook or grace_s <= 0:
        return
    try:
        async with asyncio.timeout(grace_s):
            problem = await _run(state, container, container_id, hook)
    except TimeoutError:
        return
    if problem is not None:
        state.events.warning("FailedPreStopHook", "PreStopHook failed", container=container["name"])


async def _run(state: PodState, container: Object, container_id: str, hook: Mapping[str, Any]) -> str | None:
    """None when the hook succeeded, else the kubelet's message."""
    name = container["name"]
    where = f'for Container "{name}" in Pod "{state.full_name}" failed - error:'
    if "sleep" in hook:
        await state.kit.sleep(hook["sleep"].get("seconds", 0))
        return None
    if "exec" in hook:
        command = hook["exec"].get("command") or ()
        try:
            code, output = await checks.run_command(state.kit.engine, container_id, command)
        except EngineError as error:
            return f"Exec lifecycle hook ([{' '.join(command)}]) {where} {error}"
        if code == 0:
            return None
        text = output.decode(errors="replace")
        words = " ".join(command)
        return (
            f"Exec lifecycle hook ([{words}]) {where} command '{words}' exited with {code}: {text}, message: {text!r}"
        )
    action, scheme = (hook["httpGet"], "httpGet") if "httpGet" in hook else (hook["tcpSocket"], "tcpSocket")
    result = await checks.check({scheme: action, "timeoutSeconds": 30}, state, container, container_id)
    if result.is_success:
        return None
    return f"HTTP lifecycle hook ({action.get('path', '')}) {where} {result.output}"
