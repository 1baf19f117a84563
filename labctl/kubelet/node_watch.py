"""Whether the nodes are there: a node container that was killed, paused or cut off is NotReady, as its kubelet would be.

In Kubernetes the kubelets fall silent and the node lifecycle controller notices after a grace period; here all kubelets live
in the control plane, so the node's agent is asked instead, and nobody has to wait as long. What follows is that
controller's doing: conditions become Unknown, the taints `unreachable` appear, and the node's pods stop being Ready, so that
Services leave them (pkg/controller/nodelifecycle). Who tolerates that no longer is deleted by `controllers.taint_eviction`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from labctl.api import kinds, times
from labctl.api.objects import Object
from labctl.config import NodeConfig
from labctl.errors import LabctlError
from labctl.kubelet import nodes
from labctl.kubelet.kit import Kit
from labctl.kubelet.recorder import Recorder

log = logging.getLogger(__name__)

LOOK_S = 5.0
GRACE_S = 3.0  # a node that has just been started, or restarted, may take as long
_AGAIN_S = 0.5
UNREACHABLE = "node.kubernetes.io/unreachable"
_EFFECTS = ("NoSchedule", "NoExecute")
_SILENT = ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")

Answers = Callable[[NodeConfig], Awaitable[bool]]


class NodeWatch:
    """Watches all nodes. `answers` asks a node once; `wake` makes the workers of a node's pods look again."""

    def __init__(self, kit: Kit, recorder: Recorder, answers: Answers, wake: Callable[[str], None]) -> None:
        self._kit = kit
        self._recorder = recorder
        self._answers = answers
        self._wake = wake
        self._look = {node.name: asyncio.Event() for node in kit.config.nodes}

    def look(self) -> None:
        """Something happened to a node's container: ask now."""
        for event in self._look.values():
            event.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for node in self._kit.config.nodes:
                tasks.create_task(self._watch(node), name=f"node {node.name}")

    async def _watch(self, node: NodeConfig) -> None:
        while True:
            try:
                await self._once(node)
            except LabctlError as error:
                log.warning("node %s: %s", node.name, error)
            event = self._look[node.name]
            try:
                async with asyncio.timeout(LOOK_S):
                    await event.wait()
            except TimeoutError:
                continue
            event.clear()

    async def _once(self, node: NodeConfig) -> None:
        is_lost = node.name in self._kit.lost_nodes
        answers = await self._answers(node) if is_lost else await self._answers_in_time(node)
        if answers and is_lost:
            await self._found(node)
        elif not answers and not is_lost:
            await self._lost(node)

    async def _answers_in_time(self, node: NodeConfig) -> bool:
        deadline = self._kit.clock() + GRACE_S
        while not await self._answers(node):
            if self._kit.clock() >= deadline:
                return False
            await self._kit.sleep(_AGAIN_S)
        return True

    async def _lost(self, node: NodeConfig) -> None:
        log.warning("node %s does not answer", node.name)
        self._kit.lost_nodes.add(node.name)
        now = times.format_time(self._kit.clock())
        obj = await self._kit.api.get(kinds.NODE, "", node.name)
        known = (obj.get("status") or {}).get("conditions") or ()
        silent = dict(zip(("status", "reason", "message"), _SILENT, strict=True))
        conditions = [{**c, **silent, "lastTransitionTime": now} for c in known]
        await self._kit.api.patch(
            kinds.NODE, "", node.name, {"status": {"conditions": conditions}}, subresource="status"
        )
        taints = [{"key": UNREACHABLE, "effect": effect, "timeAdded": now} for effect in _EFFECTS]
        await self._set_taints(node, [*_others(obj), *taints])
        self._tell(node, "NodeNotReady")
        self._wake(node.name)

    async def _found(self, node: NodeConfig) -> None:
        log.info("node %s answers again", node.name)
        self._kit.lost_nodes.discard(node.name)
        obj = await self._kit.api.get(kinds.NODE, "", node.name)
        await nodes.write_status(self._kit, node, obj)
        await self._set_taints(node, _others(obj))
        self._tell(node, "NodeReady")
        self._wake(node.name)

    async def _set_taints(self, node: NodeConfig, taints: list[Object]) -> None:
        await self._kit.api.patch(kinds.NODE, "", node.name, {"spec": {"taints": taints or None}})

    def _tell(self, node: NodeConfig, reason: str) -> None:
        reference = {"kind": "Node", "metadata": {"name": node.name, "uid": node.name}}
        self._recorder.event(reference, "Normal", reason, f"Node {node.name} status is now: {reason}")


def _others(node: Object) -> list[Object]:
    return [t for t in node["spec"].get("taints") or () if t["key"] != UNREACHABLE]
