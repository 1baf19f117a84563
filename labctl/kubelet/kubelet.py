"""The kubelets of all nodes of a lab, in one process.

Pods come from the API, containers' changes from the engine's event stream; each pod has a worker. Nothing is polled.
After a restart the workers adopt the containers that run; what belongs to no pod any more is removed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from labctl.api import kinds
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.times import Clock
from labctl.client.events import EventRecorder
from labctl.client.protocol import Api
from labctl.config import LABEL_LAB, LABEL_POD_UID, LABEL_ROLE, LabConfig
from labctl.engine.errors import EngineError
from labctl.engine.protocol import ContainerState, Engine, EngineEvent
from labctl.kubelet import instances, nodes, volumes
from labctl.kubelet.dialing import NodeDialer
from labctl.kubelet.images import Images
from labctl.kubelet.kit import Dialer, Kit
from labctl.kubelet.mirror import Mirror
from labctl.kubelet.node_watch import NodeWatch
from labctl.kubelet.pod_addresses import PodAddresses
from labctl.kubelet.pod_directory import PodDirectory
from labctl.kubelet.pod_state import PodState
from labctl.kubelet.pod_worker import PodWorker
from labctl.kubelet.publish import Publisher
from labctl.kubelet.recorder import Recorder
from labctl.kubelet.runtime import Runtime
from labctl.kubelet.specs import Addresses

log = logging.getLogger(__name__)

FOLLOWED = (kinds.POD, kinds.SERVICE, kinds.ENDPOINT_SLICE, kinds.CONFIG_MAP, kinds.SECRET, kinds.NODE)
_ENGINE_RETRY_S = 1.0
_SAFETY_S = 1.0  # events are asked for from a little before the list was made


class Kubelet:
    """Runs the pods of all nodes in `config`."""

    def __init__(
        self,
        api: Api,
        engine: Engine,
        config: LabConfig,
        *,
        recorder: Recorder | None = None,
        dialer: Dialer | None = None,
        root: Path | None = None,
        clock: Clock = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._api = api
        self._engine = engine
        self._config = config
        self._recorder = recorder or EventRecorder(api, "kubelet", clock=clock)
        self._service_recorder = recorder or EventRecorder(api, "service-controller", clock=clock)
        self._node_recorder = recorder or EventRecorder(api, "node-controller", clock=clock)
        self._dialer = dialer or NodeDialer(config)
        self._root = root or Path(config.state_path).parent / "pods"
        self._clock = clock
        self._sleep = sleep
        self._workers: dict[str, PodWorker] = {}
        self._names = {node.name for node in config.nodes}
        self._mirror = Mirror(api, self._on_change)
        self._found: dict[str, list[ContainerState]] = {}  # pod uid -> containers that nobody has adopted yet
        self._kit: Kit | None = None
        self._publisher: Publisher | None = None
        self._node_watch: NodeWatch | None = None
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def runtime(self) -> Runtime:
        """Streams into the pods, for the API server."""
        return Runtime(self._engine, self._dialer, self._state_of)

    def _state_of(self, uid: str) -> PodState | None:
        worker = self._workers.get(uid)
        return None if worker is None else worker.state

    @property
    def objects(self) -> Mirror:
        """Local copies of the objects that the kubelet follows."""
        return self._mirror

    async def run(self) -> None:
        """Run for ever."""
        self._kit = await self._make_kit()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for recorder in (self._recorder, self._service_recorder, self._node_recorder):
                if isinstance(recorder, EventRecorder):
                    tasks.create_task(recorder.run(), name="write events")
            since = self._clock()
            await self._read_containers()
            for kind in FOLLOWED:
                self._mirror.follow(kind, tasks)
            tasks.create_task(nodes.heartbeat(self._kit), name="heartbeat")
            await self._mirror.synced()
            await self._remove_orphans()
            self._publisher = Publisher(replace(self._kit, recorder=self._service_recorder))
            tasks.create_task(self._publisher.run(), name="publish services")
            self._node_watch = NodeWatch(self._kit, self._node_recorder, self._dialer.reaches, self._wake_pods_of)
            tasks.create_task(self._node_watch.run(), name="watch nodes")
            tasks.create_task(self._follow_engine(since - _SAFETY_S), name="engine events")

    async def _make_kit(self) -> Kit:
        config = self._config
        kit = Kit(
            api=self._api,
            engine=self._engine,
            config=config,
            objects=self._mirror,
            recorder=self._recorder,
            dialer=self._dialer,
            images=Images(self._engine, config.stand_ins, self._clock),
            clock=self._clock,
            root=self._root,
            prefix=self._root.name,
            info=await self._engine.info(),
            sleep=self._sleep,
        )
        self._root.mkdir(parents=True, exist_ok=True)
        for node in config.nodes:
            kit.addresses[node.name] = PodAddresses(node.pod_cidr, reserved=(node.pod_address,))
            if node.pod_cidr6:
                kit.addresses6[node.name] = PodAddresses(node.pod_cidr6, reserved=(node.pod_address6,))
        return kit

    # Pods.

    def _on_change(self, kind: Kind, before: Object | None, after: Object | None) -> None:
        if kind is kinds.POD:
            self._on_pod(before, after)
        elif kind in (kinds.CONFIG_MAP, kinds.SECRET):
            changed = after or before
            assert changed is not None
            self._on_config(kind, changed)
        elif kind in (kinds.SERVICE, kinds.ENDPOINT_SLICE) and self._publisher is not None:
            changed = after or before
            assert changed is not None
            self._publisher.notify(kind, changed)

    def _on_pod(self, before: Object | None, after: Object | None) -> None:
        gone = before if before is not None and (after is None or _uid(after) != _uid(before)) else None
        if gone is not None and (worker := self._workers.get(_uid(gone))) is not None:
            worker.gone()
        if after is None or after["spec"].get("nodeName") not in self._names:
            return
        uid = _uid(after)
        if uid in self._workers:
            self._workers[uid].update(after)
        else:
            self._begin(uid, after)

    def _begin(self, uid: str, pod: Object) -> None:
        assert self._kit is not None
        assert self._tasks is not None
        worker = self._workers[uid] = PodWorker(self._kit, pod)
        self._adopt(worker, self._found.pop(uid, []))
        self._tasks.create_task(self._run_worker(uid, worker), name=f"pod {worker.state.full_name}")

    def _wake_pods_of(self, node: str) -> None:
        for worker in self._workers.values():
            if worker.state.node.name == node:
                worker.wake()

    async def _run_worker(self, uid: str, worker: PodWorker) -> None:
        try:
            await worker.run()
        finally:
            self._workers.pop(uid, None)

    def _adopt(self, worker: PodWorker, found: list[ContainerState]) -> None:
        """Give a worker the containers of its pod that are there already."""
        state = worker.state
        for container in found:
            instance = instances.from_state(container)
            if container.labels.get(LABEL_ROLE) == "sandbox":
                if state.instances.sandbox is None or instance.is_running:
                    state.instances.sandbox = instance
                    self._adopt_address(worker, container)
            else:
                state.instances.put(instance)
        state.remember_lost()
        state.adopt_probe_results()

    def _adopt_address(self, worker: PodWorker, container: ContainerState) -> None:
        assert self._kit is not None
        address = container.addresses.get(self._config.pods_network, "")
        pool = self._kit.addresses[worker.state.node.name]
        if address:
            pool.take(address)
            ips6 = [i["ip"] for i in (worker.state.pod.get("status") or {}).get("podIPs") or () if ":" in i["ip"]]
            for ip in ips6:
                self._kit.addresses6[worker.state.node.name].take(ip)
            worker.state.addresses = Addresses(address, next(iter(ips6), ""))

    def _on_config(self, kind: Kind, changed: Object) -> None:
        """Wake the pods that show this ConfigMap or Secret, or wait for it."""
        meta = changed["metadata"]
        for worker in self._workers.values():
            state = worker.state
            if state.pod["metadata"]["namespace"] != meta["namespace"]:
                continue
            if (kind, meta["name"]) in volumes.referenced(state.pod):
                worker.config_changed()
            elif any(w.reason == "CreateContainerConfigError" for w in state.waiting.values()):
                worker.wake()

    # Containers.

    async def _read_containers(self) -> None:
        """What the engine has of this lab's pods; their addresses are in use whether or not the pods are known yet."""
        self._found = {}
        for role in ("sandbox", "container"):
            for container in await self._engine.list({LABEL_LAB: self._config.name, LABEL_ROLE: role}):
                self._found.setdefault(container.labels.get(LABEL_POD_UID, ""), []).append(container)

    async def _remove_orphans(self) -> None:
        """Remove containers and files of pods that are gone."""
        orphans, self._found = self._found, {}
        async with asyncio.TaskGroup() as group:
            for containers in orphans.values():
                for container in containers:
                    log.info("removing %s: its pod is gone", container.name)
                    group.create_task(self._remove_orphan(container))
        assert self._kit is not None
        for folder in self._root.iterdir():
            if folder.name not in self._workers:
                PodDirectory(self._root, folder.name, prefix="").remove()

    async def _remove_orphan(self, container: ContainerState) -> None:
        try:
            if container.status == "running" and container.labels.get(LABEL_ROLE) == "container":
                await self._engine.stop(container.id, grace_s=2)
            await self._engine.remove(container.id)
        except EngineError as error:
            log.warning("container %s: %s", container.name, error)

    async def _follow_engine(self, since: float) -> None:
        """Hand events to the workers; after a break, look at all containers again."""
        labels = {LABEL_LAB: self._config.name}
        while True:
            try:
                async for event in self._engine.events(labels, since=since):
                    since = event.time
                    self._on_engine_event(event)
            except EngineError as error:
                log.warning("container engine: %s", error)
            await self._sleep(_ENGINE_RETRY_S)
            since = self._clock() - _SAFETY_S
            await self._look_again()

    async def _look_again(self) -> None:
        """After a break of the event stream: tell the workers what they missed."""
        try:
            found = {c.id: c for c in await self._engine.list({LABEL_LAB: self._config.name})}
        except EngineError as error:
            log.warning("container engine: %s", error)
            return
        for worker in list(self._workers.values()):
            for known in worker.state.instances.alive():
                state = found.get(known.id)
                if state is None or state.status in ("exited", "dead"):
                    code = instances.KILLED if state is None else state.exit_code
                    worker.on_event(EngineEvent("die", known.id, {}, code, self._clock()))
        if self._publisher is not None:
            self._publisher.look_again(found)

    def _on_engine_event(self, event: EngineEvent) -> None:
        worker = self._workers.get(event.labels.get(LABEL_POD_UID, ""))
        if self._node_watch is not None and event.labels.get(LABEL_ROLE) == "node":
            self._node_watch.look()
        if worker is not None:
            worker.on_event(event)
        elif self._publisher is not None:
            self._publisher.on_event(event)


def _uid(obj: Object) -> str:
    return str(obj["metadata"]["uid"])
