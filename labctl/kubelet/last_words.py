"""Termination messages from logs: what a failed container said last, when its policy is FallbackToLogsOnError."""

from __future__ import annotations

from dataclasses import replace

from labctl.api.objects import Object
from labctl.engine.errors import EngineError
from labctl.kubelet import fields
from labctl.kubelet.instances import Instance
from labctl.kubelet.pod_state import PodState

_MAX_LINES, _MAX_BYTES = 80, 2048  # kubecontainer.MaxContainerTerminationMessageLogLines and -Length
_FALLBACK = "FallbackToLogsOnError"


async def complete(state: PodState) -> None:
    """Give every run that failed without a message the end of its log; each is asked once."""
    for container in fields.all_containers(state.pod):
        for instance in _speechless(state, container):
            state.heard.add(instance.id)
            if message := await _end_of_log(state, instance):
                state.instances.put(replace(instance, message=message))


def _speechless(state: PodState, container: Object) -> list[Instance]:
    if container.get("terminationMessagePolicy") != _FALLBACK:
        return []
    runs = state.instances.containers.get(container["name"], ())
    return [i for i in runs if i.state == "exited" and i.exit_code and not i.message and i.id not in state.heard]


async def _end_of_log(state: PodState, instance: Instance) -> str:
    said = b""
    try:
        async for _, data in state.kit.engine.logs(instance.id, tail=_MAX_LINES):
            said = (said + data)[-_MAX_BYTES:]
    except EngineError:
        return ""  # its log is gone with it
    return said.decode(errors="replace")
