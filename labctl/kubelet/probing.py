"""The probes of a pod's running containers, each in a task of its own, from the container's start to its end."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, Literal

from labctl.api.objects import Object
from labctl.kubelet import checks
from labctl.kubelet.instances import Instance
from labctl.kubelet.pod_state import PodState

log = logging.getLogger(__name__)

ProbeType = Literal["Startup", "Liveness", "Readiness"]
_FIELDS: Mapping[ProbeType, str] = {
    "Startup": "startupProbe",
    "Liveness": "livenessProbe",
    "Readiness": "readinessProbe",
}


class Probes:
    """Keeps `state.started`, `state.ready` and `state.must_die` up to date; `changed` is called when one changes."""

    def __init__(self, state: PodState, tasks: asyncio.TaskGroup, changed: Callable[[], None]) -> None:
        self._state = state
        self._tasks = tasks
        self._changed = changed
        self._is_ending = False
        self._probed: dict[str, tuple[str, asyncio.Task[None]]] = {}  # container -> instance id, its task

    def follow(self) -> None:
        """Begin to probe containers that run now, stop with those that do not."""
        running = {i.name: i for i in self._state.instances.running()}
        for name, (container_id, task) in list(self._probed.items()):
            if name not in running or running[name].id != container_id:
                task.cancel()
                del self._probed[name]
                self._forget(name)
        for name, instance in running.items():
            container = self._state.container(name)
            if name not in self._probed and container is not None:
                self._begin(container, instance)

    def _forget(self, name: str) -> None:
        self._state.started.discard(name)
        self._state.ready.discard(name)
        self._state.must_die.pop(name, None)

    def _begin(self, container: Object, instance: Instance) -> None:
        """Without probes a running container is started and ready at once."""
        name = container["name"]
        if not container.get("startupProbe"):
            self._state.started.add(name)
        if not container.get("readinessProbe") and not container.get("startupProbe"):
            self._state.ready.add(name)
        if not any(container.get(field) for field in _FIELDS.values()):
            self._probed[name] = (instance.id, self._tasks.create_task(_nothing()))
            return
        task = self._tasks.create_task(self._guarded(container, instance), name=f"probe {self._state.uid} {name}")
        self._probed[name] = (instance.id, task)

    def end(self, changed: Callable[[], None]) -> None:
        """The pod is ending: it is not killed for being slow, but Services want to know whether it still serves.

        From now on `changed` is called instead.
        """
        self._is_ending = True
        self._changed = changed

    def stop(self) -> None:
        """Stop all probes."""
        for _, task in self._probed.values():
            task.cancel()
        self._probed.clear()

    async def _guarded(self, container: Object, instance: Instance) -> None:
        try:
            await self._probe_all(container, instance)
        except Exception:
            # A defect in a probe must not end the pod's worker.
            log.exception("probes of %s in pod %s", container["name"], self._state.full_name)

    async def _probe_all(self, container: Object, instance: Instance) -> None:
        name = container["name"]
        if container.get("startupProbe"):
            if name not in self._state.started and not await self._run(container, instance, "Startup"):
                return
            self._state.started.add(name)
            if not container.get("readinessProbe"):
                self._state.ready.add(name)
            self._changed()
        async with asyncio.TaskGroup() as group:
            for kind in ("Liveness", "Readiness"):
                if container.get(_FIELDS[kind]):
                    group.create_task(self._run(container, instance, kind))

    async def _run(self, container: Object, instance: Instance, kind: ProbeType) -> bool:
        """Probe until the result is final: startup succeeded (True), startup or liveness failed (False)."""
        probe, state = container[_FIELDS[kind]], self._state
        period_s = probe.get("periodSeconds") or 10
        await self._wait_initially(probe, instance, kind, period_s)
        run_length, last = 0, None
        while True:
            if self._is_ending and kind != "Readiness":
                return False
            result = await checks.check(probe, state, container, instance.id)
            self._tell(container, kind, result)
            if not result.is_error:
                run_length = run_length + 1 if result.is_success == last else 1
                last = result.is_success
                if run_length >= _threshold(probe, is_success=last):
                    if kind == "Readiness":
                        self._set_ready(container["name"], is_ready=last)
                    elif kind == "Startup" and last:
                        return True
                    elif not last and not self._is_ending:
                        state.must_die[container["name"]] = kind.lower()
                        self._changed()
                        return False
            await state.kit.sleep(period_s)

    async def _wait_initially(
        self, probe: Mapping[str, Any], instance: Instance, kind: ProbeType, period_s: float
    ) -> None:
        now = self._state.kit.clock()
        delay = instance.started_at + (probe.get("initialDelaySeconds") or 0) - now
        if now - instance.started_at > period_s and kind != "Startup":
            # The kubelet was restarted: spread the probes of all pods over the period.
            delay = max(delay, random.random() * period_s)  # noqa: S311  # not a secret
        if delay > 0:
            await self._state.kit.sleep(delay)

    def _tell(self, container: Object, kind: ProbeType, result: checks.Result) -> None:
        events, name = self._state.events, container["name"]
        if result.is_error:
            text = f"{kind} probe errored and resulted in unknown state: {result.output}"
            events.warning("Unhealthy", text, container=name)
        elif result.is_warning:
            events.warning("ProbeWarning", f"{kind} probe warning: {result.output}", container=name)
        elif not result.is_success:
            events.warning("Unhealthy", f"{kind} probe failed: {result.output}", container=name)

    def _set_ready(self, name: str, *, is_ready: bool) -> None:
        if is_ready == (name in self._state.ready):
            return
        if is_ready:
            self._state.ready.add(name)
        else:
            self._state.ready.discard(name)
        self._changed()


def _threshold(probe: Mapping[str, Any], *, is_success: bool) -> int:
    return int((probe.get("successThreshold") or 1) if is_success else (probe.get("failureThreshold") or 3))


async def _nothing() -> None:
    """Stands for the probes of a container that has none."""
