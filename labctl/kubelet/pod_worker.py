"""One pod's worker: brings what runs in line with the Pod object, again whenever either changes.

Every round starts from the present state, never from the event that woke the worker. A round that starts containers
is given up when the pod is deleted meanwhile; the round that ends them is not.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from labctl.api import kinds, times
from labctl.api.objects import Object, key_of
from labctl.api.status import ApiError
from labctl.engine.errors import EngineError
from labctl.engine.protocol import EngineEvent
from labctl.errors import LabctlError
from labctl.kubelet import admission, instances, last_words, pod_status, termination
from labctl.kubelet.instances import Instance
from labctl.kubelet.kit import Kit
from labctl.kubelet.launch import CREATING, INITIALIZING, Gate, Launcher, SandboxError
from labctl.kubelet.pod_state import PodState
from labctl.kubelet.pod_status import Waiting
from labctl.kubelet.probing import Probes
from labctl.kubelet.restarts import duration_text, is_sidecar, should_restart
from labctl.kubelet.volumes import MountError

log = logging.getLogger(__name__)

_RETRY_S = 1.0
_MAX_RETRY_S = 60.0
_FOREVER = float("inf")
_WAITING_FOR_CONFIG_S = 10.0  # a missing ConfigMap also wakes the worker when it appears
ENDED = ("Succeeded", "Failed")


class PodWorker:
    """Runs one pod until it is gone."""

    def __init__(self, kit: Kit, pod: Object) -> None:
        self.state = PodState(kit, pod)
        self._kit = kit
        self._launcher = Launcher(self.state)
        self._wake = asyncio.Event()
        self._status_due = asyncio.Event()
        self._status_lock = asyncio.Lock()
        self._starting: asyncio.Task[float] | None = None
        self._is_gone = False
        self._retry_s = _RETRY_S
        self._config_changed = False
        self._sandboxes = 0

    # What the outside tells the worker.

    def update(self, pod: Object) -> None:
        """The Pod object changed; an object older than the one we wrote ourselves is no news."""
        if _revision(pod) < _revision(self.state.pod):
            return
        before, self.state.pod = self.state.pod, pod
        if _concerns_us(before, pod):
            self._config_changed = True
            if self.state.is_deleted:
                self._give_up_starting()
            self.wake()

    def gone(self) -> None:
        """The Pod object is gone: whatever runs has to go at once."""
        self._is_gone = True
        self._give_up_starting()
        self.wake()

    def config_changed(self) -> None:
        """A ConfigMap or Secret that a volume shows changed."""
        self._config_changed = True
        self.wake()

    def wake(self) -> None:
        """Look again."""
        self._wake.set()

    def on_event(self, event: EngineEvent) -> None:
        """One of the pod's containers changed."""
        known = self.state.instances.find(event.container_id)
        if event.action == "oom":
            self.state.oom_killed.add(event.container_id)
        elif known is not None and (changed := self._after(event, known)) is not None:
            if known is self.state.instances.sandbox:
                self.state.instances.sandbox = changed
            else:
                self.state.instances.put(changed)
            self.wake()

    def _after(self, event: EngineEvent, known: Instance) -> Instance | None:
        if event.action == "start" and known.state == "created":
            return replace(known, state="running", started_at=event.time)
        if event.action == "die" and known.state != "exited":
            return self._ended(known, event.exit_code or 0, event.time)
        if event.action == "destroy" and known.state != "exited":
            return self._ended(known, instances.KILLED, event.time)
        return None

    def _ended(self, known: Instance, exit_code: int, when: float) -> Instance:
        reason = instances.reason_of(exit_code, oom_killed=known.id in self.state.oom_killed)
        message = self.state.directory.termination_message(known.name, known.attempt)
        started = known.started_at or when
        return replace(
            known,
            state="exited",
            exit_code=exit_code,
            started_at=started,
            finished_at=when,
            reason=reason,
            message=message,
        )

    # The worker's life.

    async def run(self) -> None:
        """Work until the pod is gone."""
        async with asyncio.TaskGroup() as tasks:
            probes = Probes(self.state, tasks, self.wake)
            writer = tasks.create_task(self._write_statuses())
            while not (self._is_gone or self.state.is_deleted):
                self._wake.clear()
                next_s = await self._round(tasks, probes)
                await self._wait(next_s)
            probes.end(self._status_due.set)
            await self._end()
            probes.stop()
            writer.cancel()

    async def _wait(self, next_s: float) -> None:
        """Until woken, or until `next_s` have passed."""
        if next_s == _FOREVER:
            await self._wake.wait()
            return
        timer = asyncio.ensure_future(self._kit.sleep(next_s))
        woken = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((timer, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            woken.cancel()

    async def _round(self, tasks: asyncio.TaskGroup, probes: Probes) -> float:
        """One round in a task of its own, so that a deletion can end it. Returns when the next one is due."""
        self._starting = tasks.create_task(self._guarded_sync(probes))
        try:
            await asyncio.wait((self._starting,))
        finally:
            round_, self._starting = self._starting, None
            if not round_.done():
                round_.cancel()
        return 0.0 if round_.cancelled() else round_.result()

    def _give_up_starting(self) -> None:
        if self._starting is not None:
            self._starting.cancel()

    async def _guarded_sync(self, probes: Probes) -> float:
        try:
            next_s = await self._sync(probes)
            self._retry_s = _RETRY_S
        except MountError as error:
            self.state.events.warning("FailedMount", str(error))
            next_s = self._next_retry()
        except (SandboxError, LabctlError, OSError) as error:
            log.warning("pod %s: %s", self.state.full_name, error)
            next_s = self._next_retry()
        except Exception as error:
            # A defect in one pod's handling must not end the others'.
            log.exception("pod %s", self.state.full_name)
            self.state.events.warning("FailedSync", f"error determining status: {error}")
            next_s = self._next_retry()
        probes.follow()
        self._status_due.set()
        return next_s

    def _next_retry(self) -> float:
        delay, self._retry_s = self._retry_s, min(self._retry_s * 2, _MAX_RETRY_S)
        return delay

    async def _sync(self, probes: Probes) -> float:
        """Bring the pod forward; returns the seconds until something is due by itself."""
        state = self.state
        if (state.pod.get("status") or {}).get("phase") in ENDED or state.failure is not None:
            return await self._sync_ended(probes)
        if (refusal := admission.refusal(state.pod)) is not None:
            reason, message = refusal
            state.events.warning(reason, message)
            state.failure = (reason, f"Pod was rejected: {message}")
            return await self._sync_ended(probes)
        if (left := self._deadline_s()) <= 0:
            state.failure = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
            state.events.normal("DeadlineExceeded", state.failure[1])
            return await self._sync_ended(probes)
        await self._kill_condemned()
        if not state.has_sandbox:
            if state.status()["phase"] in ENDED:
                return _FOREVER
            next_s = await self._start_anew()
        else:
            await self._refresh_volumes()
            next_s = await self._start_due(Gate(state.instances.sandbox.id if state.instances.sandbox else ""))
        if state.status()["phase"] in ENDED:
            await termination.remove_sandbox(state)
        return min(next_s, left, max(0.0, state.volumes_fresh_until - self._kit.clock()))

    async def _sync_ended(self, probes: Probes) -> float:
        """The pod has succeeded or failed: its containers stay for their logs, its sandbox goes."""
        probes.stop()
        self.state.is_terminal = True
        await termination.kill_all(self.state, termination.grace_period_s(self.state.pod))
        await termination.remove_sandbox(self.state)
        return _FOREVER

    def _deadline_s(self) -> float:
        limit = self.state.pod["spec"].get("activeDeadlineSeconds")
        started = (self.state.pod.get("status") or {}).get("startTime")
        if limit is None or not started:
            return _FOREVER if limit is None else float(limit)
        return times.to_unix(started) + float(limit) - self._kit.clock()

    async def _kill_condemned(self) -> None:
        """Kill the containers whose liveness or startup probe failed."""
        state = self.state
        for name, probe in list(state.must_die.items()):
            instance, container = state.instances.current(name), state.container(name)
            if instance is not None and instance.is_running and container is not None:
                again = should_restart(state.pod, container, instances.KILLED)
                message = f"Container {name} failed {probe} probe" + (", will be restarted" if again else "")
                own = (container.get(f"{probe}Probe") or {}).get("terminationGracePeriodSeconds")
                grace = float(own if own is not None else termination.grace_period_s(state.pod))
                await termination.kill_container(state, instance, message=message, grace_s=grace)
                current = state.instances.current(name)
                if current is not None and current.is_running:  # the event has not come yet
                    state.instances.put(self._ended(current, instances.KILLED, self._kit.clock()))
            state.must_die.pop(name, None)

    async def _refresh_volumes(self) -> None:
        """Update volumes when an object behind them changed or a token grows old."""
        if self._config_changed or self._kit.clock() >= self.state.volumes_fresh_until:
            self._config_changed = False
            await self._launcher.write_volumes()

    # Starting.

    async def _start_anew(self) -> float:
        """A pod without a sandbox: make one, with the first containers beside it."""
        state = self.state
        await self._clear_after_lost_sandbox()
        self._launcher.allocate_addresses()
        self._status_due.set()
        self._config_changed = False
        await self._launcher.prepare_files()
        gate = Gate()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._launcher.start_sandbox(gate, self._next_sandbox()))
                starting = group.create_task(self._start_due(gate))
        except* (SandboxError, EngineError) as errors:
            await termination.remove_sandbox(state)
            raise SandboxError(str(errors.exceptions[0])) from errors
        return starting.result()

    def _next_sandbox(self) -> int:
        self._sandboxes += 1
        return self._sandboxes - 1

    async def _clear_after_lost_sandbox(self) -> None:
        state = self.state
        if state.instances.sandbox is not None or state.instances.containers:
            if state.instances.sandbox is not None or state.instances.running():
                state.events.normal("SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
            await termination.kill_at_once(state)
            for instance in state.instances.running():
                state.instances.put(self._ended(instance, instances.KILLED, self._kit.clock()))
            await termination.remove_sandbox(state)
            self._kit.crash_backoff.forget(f"{state.uid}_")  # losing the sandbox is no crash of theirs
        # Init containers run again in a new sandbox; what never ran belongs to the old one.
        inits = {c["name"] for c in state.pod["spec"].get("initContainers") or ()}
        for name, runs in list(state.instances.containers.items()):
            for old in [i for i in runs if name in inits or i.state == "created"]:
                runs.remove(old)
                await self._kit.engine.remove(old.id)

    async def _start_due(self, gate: Gate) -> float:
        """Start every container that should run and does not; returns when the next one may be started."""
        while True:
            due, next_s = self._due_containers()
            if not due:
                return next_s
            for container in due:
                if self.state.instances.current(container["name"]) is None:
                    self.state.waiting.setdefault(container["name"], Waiting(self._creating))
            self._status_due.set()
            async with asyncio.TaskGroup() as group:
                for container in due:
                    group.create_task(self._launcher.launch(container, gate))
            if (retry_s := self._retry_of(due)) < _FOREVER:
                return min(next_s, retry_s)

    @property
    def _creating(self) -> str:
        return INITIALIZING if self.state.pod["spec"].get("initContainers") else CREATING

    def _retry_of(self, due: list[Object]) -> float:
        """When to look again after containers could not be started."""
        reasons = {w.reason for c in due if (w := self.state.waiting.get(c["name"])) is not None}
        if not reasons:
            return _FOREVER
        if reasons & {"ErrImagePull", "RunContainerError", "PostStartHookError"}:
            return 0.1  # the back-off decides then
        return _WAITING_FOR_CONFIG_S

    def _due_containers(self) -> tuple[list[Object], float]:
        """The containers to start now, and the seconds until the next one's back-off ends."""
        state, spec = self.state, self.state.pod["spec"]
        candidates: list[tuple[Object, bool]] = [(c, False) for c in spec.get("ephemeralContainers") or ()]
        for container in spec.get("initContainers") or ():
            candidates.append((container, True))
            if not self._is_initialized(container):
                break
        else:
            candidates += [(c, False) for c in spec["containers"]]
        due, next_s = [], _FOREVER
        for container, is_init in candidates:
            current = state.instances.current(container["name"])
            if current is None or current.state == "created":
                due.append(container)
            elif current.state == "exited" and self._runs_again(container, current, is_init=is_init):
                wait = self._back_off(container, current)
                if wait > 0:
                    next_s = min(next_s, wait)
                else:
                    due.append(container)
        return due, next_s

    def _runs_again(self, container: Object, ended: Instance, *, is_init: bool) -> bool:
        ephemeral = self.state.pod["spec"].get("ephemeralContainers") or ()
        if any(c["name"] == container["name"] for c in ephemeral):
            return False
        return should_restart(self.state.pod, container, ended.exit_code, is_init=is_init)

    def _is_initialized(self, container: Object) -> bool:
        """Whether the next init container may start."""
        current = self.state.instances.current(container["name"])
        if is_sidecar(container):
            return container["name"] in self.state.started or (
                current is not None and current.is_running and not container.get("startupProbe")
            )
        return current is not None and current.state == "exited" and current.exit_code == 0

    def _back_off(self, container: Object, ended: Instance) -> float:
        """Seconds to wait before an ended container is started again; notes the start when it is due."""
        state, backoff = self.state, self._kit.crash_backoff
        key, name, now = f"{state.uid}_{container['name']}", container["name"], self._kit.clock()
        wait = backoff.wait_s(key, since=ended.finished_at, now=now)
        if wait <= 0:
            backoff.grow(key, now=max(ended.finished_at, now - 1))
            return 0.0
        known = state.waiting.get(name)
        if known is None or known.reason != "CrashLoopBackOff":
            text = f"Back-off restarting failed container {name} in pod {state.full_name}"
            state.events.warning("BackOff", text, container=name)
        length = duration_text(backoff.delay_s(key))
        message = f"back-off {length} restarting failed container={name} pod={state.full_name}"
        state.waiting[name] = Waiting("CrashLoopBackOff", message)
        return wait

    # Ending.

    async def _end(self) -> None:
        """End the pod, remove everything of it and tell the API; repeats until it is done."""
        retry_s = _RETRY_S
        while True:
            try:
                await self._end_once()
                return
            except (LabctlError, OSError, ExceptionGroup) as error:
                log.warning("pod %s: %s", self.state.full_name, error)
                await self._kit.sleep(retry_s)
                retry_s = min(retry_s * 2, _MAX_RETRY_S)

    async def _end_once(self) -> None:
        state = self.state
        state.is_terminal = True
        await self._stop_all()
        for instance in state.instances.running():  # their events may still be on the way
            state.instances.put(self._ended(instance, instances.KILLED, self._kit.clock()))
        if not self._is_gone:
            await self._write_status()
        await termination.remove_sandbox(state)
        self._launcher.release_addresses()
        if not self._is_gone:
            await self._delete_object()
        await termination.remove_containers(state)
        for volume in self._launcher.memory_volumes():
            await self._kit.engine.remove_volume(volume)
        state.directory.remove()
        self._kit.crash_backoff.forget(f"{state.uid}_")
        self._kit.images.forget(state.uid)

    async def _stop_all(self) -> None:
        """Stop with the grace period, which a forced deletion cuts short."""
        if self._is_gone:
            await termination.kill_at_once(self.state)
            return
        self._wake.clear()
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(termination.kill_all(self.state, termination.grace_period_s(self.state.pod)))
            while not stopping.done():
                woken = group.create_task(self._wake.wait())
                await asyncio.wait((stopping, woken), return_when=asyncio.FIRST_COMPLETED)
                self._wake.clear()
                woken.cancel()
                if self._is_gone:
                    await termination.kill_at_once(self.state)

    async def _delete_object(self) -> None:
        namespace, name = key_of(self.state.pod)
        try:
            await self._kit.api.delete(kinds.POD, namespace, name, grace_period_s=0, uid=self.state.uid)
        except ApiError as error:
            if error.code not in (404, 409):  # 409: another pod of that name
                raise

    # Telling the API.

    async def _write_statuses(self) -> None:
        """Write the status whenever it may have changed; the newest one wins."""
        while True:
            await self._status_due.wait()
            self._status_due.clear()
            try:
                await self._write_status()
            except LabctlError as error:
                log.warning("status of pod %s: %s", self.state.full_name, error)
                self._status_due.set()
                await self._kit.sleep(_RETRY_S)

    async def _write_status(self) -> None:
        async with self._status_lock:
            await last_words.complete(self.state)
            for _ in range(3):
                pod, status = self.state.pod, self.state.status()
                if status == pod.get("status"):
                    return
                try:
                    written = await self._kit.api.update(kinds.POD, {**pod, "status": status}, subresource="status")
                except ApiError as error:
                    if error.code == 404:
                        return
                    if error.code != 409 or not await self._read_again():
                        raise
                    continue
                if not self._is_gone:
                    self.update(written)
                return

    async def _read_again(self) -> bool:
        """Somebody else wrote the pod: take the newest. False when it is another pod of that name by now."""
        try:
            fresh = await self._kit.api.get(kinds.POD, *key_of(self.state.pod))
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        if fresh["metadata"]["uid"] != self.state.uid:
            return False
        self.update(fresh)
        return True


def _concerns_us(before: Object, after: Object) -> bool:
    """Whether a change of the Pod object is more than the echo of our own status."""
    if before.get("spec") != after.get("spec"):
        return True
    fields = ("deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations")
    if any(before["metadata"].get(f) != after["metadata"].get(f) for f in fields):
        return True
    return _foreign_conditions(before) != _foreign_conditions(after)


def _revision(pod: Object) -> int:
    text = str(pod["metadata"].get("resourceVersion") or "0")
    return int(text) if text.isdigit() else 0


def _foreign_conditions(pod: Object) -> list[Object]:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return [c for c in conditions if c["type"] not in pod_status.KUBELET_CONDITIONS]
