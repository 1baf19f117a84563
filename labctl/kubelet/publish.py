"""LoadBalancer and NodePort Services on the host's loopback: one small container for each.

The container publishes the Service's ports on 127.0.0.1 and forwards them to the nodes' nodePorts; its rules are
replaced in place when nodes or (policy Local) endpoints come and go. A port that somebody else holds leaves the Service
pending with an Event that names the holder; it is tried again until it is free, and at once when the holder was
another Service of the lab.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from labctl.api import kinds
from labctl.api.kinds import Kind
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.api.status import ApiError
from labctl.config import LABEL_LAB, LABEL_ROLE, NodeConfig
from labctl.engine.errors import EngineError, NameInUse, NoSuchContainer, PortUnavailable
from labctl.engine.protocol import ContainerSpec, ContainerState, EngineEvent, PortBinding
from labctl.errors import LabctlError
from labctl.kubelet import holders
from labctl.kubelet.forwarding import Published, PublishedPort, lacks_ipv4, published, render_rules, target_nodes
from labctl.kubelet.kit import Kit

log = logging.getLogger(__name__)

ROLE = "load-balancer"
LABEL_SERVICE, LABEL_DIGEST = "labctl.service", "labctl.digest"
INGRESS = [{"hostname": "localhost"}]
_RETRY_S, _MAX_RETRY_S = 1.0, 10.0
_ONLY_IPV6 = "it has no IPv4 address, and only that can be published on 127.0.0.1: add IPv4 to its ipFamilies"
_SCRIPT = """
printf %s "$RULES" | iptables-restore || exit 1
[ -z "$VIA" ] || ip route replace "$SERVICES" via "$VIA"
trap 'exit 0' TERM INT; while :; do sleep 86400 & wait $!; done
"""


@dataclass(slots=True)
class Entry:
    """What is known of one Service's container."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    container_id: str = ""
    is_running: bool = False
    digest: str = ""
    rules: str = ""
    told: tuple[int, str] | None = None  # the last complaint's port and Service, so that it is not repeated
    task: asyncio.Task[None] | None = None


class Publisher:
    """Publishes the Services of one lab; `notify` and `on_event` tell it of changes."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._entries: dict[ObjectKey, Entry] = {}
        self._claims: dict[tuple[int, str], ObjectKey] = {}  # host port -> the Service that has it
        self._down: set[str] = set()  # names of nodes whose container does not run
        self._node_names: dict[str, str] = {}  # container id -> node
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Adopt what runs, then publish until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            await self._learn_nodes()
            await self._adopt()
            for service in list(self._kit.objects.all(kinds.SERVICE)):
                self.notify(kinds.SERVICE, service)
            for key in list(self._entries):
                self._wake(key)
            await asyncio.Event().wait()  # the Services' tasks work on

    def notify(self, kind: Kind, obj: Object) -> None:
        """A Service or EndpointSlice changed."""
        if self._tasks is None:
            return
        if kind is kinds.SERVICE:
            key = key_of(obj)
            if key in self._entries or published(obj) is not None or _is_ours(obj) or lacks_ipv4(obj):
                self._wake(key)
        else:
            name = (obj["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
            key = ObjectKey(key_of(obj).namespace, name or "")
            if key in self._entries:
                self._wake(key)

    def on_event(self, event: EngineEvent) -> None:
        """A container of the lab changed: a load balancer, or a node."""
        role = event.labels.get(LABEL_ROLE)
        if role == ROLE and event.action in ("die", "destroy"):
            for key, entry in self._entries.items():
                if entry.container_id == event.container_id and entry.is_running:
                    entry.is_running, entry.rules = False, ""  # it would start with the rules it was made with
                    self._wake(key)
        elif role == "node" and event.action in ("die", "start", "destroy"):
            assert self._tasks is not None or not self._entries
            if self._tasks is not None:
                self._tasks.create_task(self._nodes_changed(), name="nodes changed")

    def look_again(self, found: Mapping[str, ContainerState]) -> None:
        """After a break of the event stream: `found` are the lab's containers by id."""
        for key, entry in self._entries.items():
            state = found.get(entry.container_id)
            if entry.is_running and (state is None or state.status != "running"):
                entry.is_running, entry.rules = False, ""
                self._wake(key)

    def _wake(self, key: ObjectKey) -> None:
        assert self._tasks is not None
        entry = self._entries.setdefault(key, Entry())
        entry.wake.set()
        if entry.task is None:
            entry.task = self._tasks.create_task(self._work(key, entry), name=f"publish {key}")

    # Nodes.

    async def _learn_nodes(self) -> None:
        """Which nodes' containers run."""
        try:
            found = await self._kit.engine.list({LABEL_LAB: self._kit.config.name, LABEL_ROLE: "node"})
        except EngineError as error:
            log.warning("nodes: %s", error)
            return
        running = {a for state in found if state.status == "running" for a in state.addresses.values()}
        if found:  # without any node container all are believed: then nothing can be known
            self._down = {n.name for n in self._kit.config.nodes if n.address not in running}

    async def _nodes_changed(self) -> None:
        before = set(self._down)
        await self._learn_nodes()
        if self._down != before:
            for key in list(self._entries):
                self._wake(key)

    def _nodes(self) -> list[NodeConfig]:
        return [n for n in self._kit.config.nodes if n.name not in self._down]

    # One Service.

    async def _work(self, key: ObjectKey, entry: Entry) -> None:
        """Publish one Service until it is gone."""
        retry_s = _RETRY_S
        while True:
            entry.wake.clear()
            try:
                is_gone = await self._bring_forward(key, entry)
            except LabctlError as error:
                log.warning("service %s: %s", key, error)
                await self._wait(entry, retry_s)
                retry_s = min(retry_s * 2, _MAX_RETRY_S)
                continue
            retry_s = _RETRY_S
            if not is_gone:
                await entry.wake.wait()
            elif not entry.wake.is_set():
                self._entries.pop(key, None)
                return

    async def _bring_forward(self, key: ObjectKey, entry: Entry) -> bool:
        """Publish, or clear away. Returns whether nothing is left to do for this Service, ever."""
        service = self._kit.objects.get(kinds.SERVICE, *key)
        wanted = None if service is None else published(service)
        if service is None or wanted is None:
            await self._unpublish(key, entry, service)
            if service is not None and lacks_ipv4(service):
                self._refuse(service, _ONLY_IPV6)
            return True
        try:
            await self._publish(service, wanted, entry)
        except PortUnavailable as error:
            await self._complain(service, wanted, entry, error)
            raise
        return False

    async def _wait(self, entry: Entry, seconds: float) -> None:
        timer = asyncio.ensure_future(self._kit.sleep(seconds))
        woken = asyncio.ensure_future(entry.wake.wait())
        try:
            await asyncio.wait((timer, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            woken.cancel()

    async def _publish(self, service: Object, wanted: Published, entry: Entry) -> None:
        slices = self._slices(service)
        rules = render_rules(wanted, target_nodes(service, slices, self._nodes()))
        is_stale = entry.digest != wanted.digest or (entry.rules != rules and not entry.is_running)
        if entry.container_id and is_stale:
            await self._remove(entry)
        self._claim(wanted)
        if not entry.container_id:
            entry.container_id = await self._create(wanted, rules)
            entry.digest, entry.rules = wanted.digest, rules
        if not entry.is_running:
            try:
                await self._kit.engine.start(entry.container_id)
            except NoSuchContainer:
                entry.container_id = ""
                raise
            entry.is_running = True
        if entry.rules != rules:
            await self._replace_rules(entry, rules)
        entry.told = None
        if wanted.is_load_balancer:
            await self._set_ingress(service, INGRESS)

    def _slices(self, service: Object) -> Iterable[Object]:
        if service["spec"].get("externalTrafficPolicy") != "Local":
            return ()
        namespace = key_of(service).namespace
        return [s for s in self._kit.objects.all(kinds.ENDPOINT_SLICE) if key_of(s).namespace == namespace]

    def _claim(self, wanted: Published) -> None:
        """Note who has which port. Raises PortUnavailable, naming the Service that was first."""
        ports = {(p.port, p.protocol) for p in wanted.ports}
        for port, protocol in ports:
            holder = self._claims.get((port, protocol))
            if holder is not None and holder != wanted.service:
                raise PortUnavailable(port, f"service {holder}")
        self._release(wanted.service, keep=ports)
        for claim in ports:
            self._claims[claim] = wanted.service

    def _release(self, key: ObjectKey, *, keep: Collection[tuple[int, str]] = ()) -> None:
        """Give ports back; Services that wait for one are tried at once."""
        freed = [c for c, holder in self._claims.items() if holder == key and c not in keep]
        for claim in freed:
            del self._claims[claim]
        if freed:
            for other, entry in self._entries.items():
                if other != key and entry.told:
                    entry.wake.set()

    async def _create(self, wanted: Published, rules: str) -> str:
        config = self._kit.config
        namespace, name = wanted.service
        spec = ContainerSpec(
            name=f"labctl-{config.name}-lb-{namespace}-{name}",
            image=config.lab_image,
            command=("sh", "-c", _SCRIPT),
            env={"RULES": rules, "SERVICES": config.service_cidr, "VIA": self._gateway(wanted)},
            labels={
                LABEL_LAB: config.name,
                LABEL_ROLE: ROLE,
                LABEL_SERVICE: str(wanted.service),
                LABEL_DIGEST: wanted.digest,
            },
            hostname=f"lb-{name}"[:63].rstrip("-"),
            network=config.lan_network,
            ports=[PortBinding(p.port, p.port, protocol=p.protocol) for p in wanted.ports],
            cap_add=("NET_ADMIN",),
            sysctls={"net.ipv4.ip_forward": "1"},
        )
        try:
            return await self._kit.engine.create(spec)
        except NameInUse as error:
            await self._kit.engine.remove(error.holder or spec.name)
            return await self._kit.engine.create(spec)

    def _gateway(self, wanted: Published) -> str:
        """A node that knows the way to the ClusterIP, for a Service that has no nodePorts."""
        nodes = self._nodes() if any(not p.target for p in wanted.ports) else []
        return nodes[0].address if nodes else ""

    async def _replace_rules(self, entry: Entry, rules: str) -> None:
        stream = await self._kit.engine.exec(entry.container_id, ("iptables-restore",), stdin=True)
        try:
            await stream.write(rules.encode())
            await stream.close_stdin()
            said = b"".join([data async for _, data in stream.output()])
            if await stream.exit_code() != 0:
                raise EngineError(f"iptables-restore in the load balancer: {said.decode(errors='replace').strip()}")
        finally:
            await stream.close()
        entry.rules = rules

    async def _complain(self, service: Object, wanted: Published, entry: Entry, error: PortUnavailable) -> None:
        """Leave the Service pending and say who holds its port."""
        port = next((p for p in wanted.ports if p.port == error.port), wanted.ports[0])
        other = error.text if error.text.startswith("service ") else ""
        if entry.told != (port.port, other):
            entry.told = (port.port, other)
            holder = other or await self._find_holder(port)
            self._refuse(
                service, f"port {port} of 127.0.0.1 is held by {holder}: free it, or change the Service's port"
            )
        if wanted.is_load_balancer:
            try:
                await self._set_ingress(service, [])
            except LabctlError as failure:
                log.warning("service %s: %s", wanted.service, failure)

    def _refuse(self, service: Object, message: str) -> None:
        text = f"Error syncing load balancer: failed to ensure load balancer: {message}"
        self._kit.recorder.event(service, "Warning", "SyncLoadBalancerFailed", text)

    async def _find_holder(self, port: PublishedPort) -> str:
        try:
            return await holders.holder_of(self._kit.engine, self._kit.config, port)
        except EngineError:
            return "another program"

    async def _set_ingress(self, service: Object, ingress: list[Object]) -> None:
        """Write status.loadBalancer, if it says something else."""
        status = service.get("status") or {}
        if ((status.get("loadBalancer") or {}).get("ingress") or []) == ingress:
            return
        wanted = {**service, "status": {**status, "loadBalancer": {"ingress": ingress} if ingress else {}}}
        try:
            await self._kit.api.update(kinds.SERVICE, wanted, subresource="status")
        except ApiError as error:
            if error.code not in (404, 409):  # 409: the Service changed meanwhile, which wakes this task again
                raise

    async def _unpublish(self, key: ObjectKey, entry: Entry, service: Object | None) -> None:
        self._release(key)
        if entry.container_id:
            await self._remove(entry)
        if service is not None and _is_ours(service):
            await self._set_ingress(service, [])

    async def _remove(self, entry: Entry) -> None:
        container_id, entry.container_id, entry.is_running = entry.container_id, "", False
        await self._kit.engine.remove(container_id)

    # After a restart.

    async def _adopt(self) -> None:
        """Take over the containers that are there; those of Services that are gone end with their first round."""
        for state in await self._kit.engine.list({LABEL_LAB: self._kit.config.name, LABEL_ROLE: ROLE}):
            key = _service_of(state)
            entry = self._entries.setdefault(key, Entry())
            if entry.container_id:
                await self._kit.engine.remove(state.id)
                continue
            entry.container_id, entry.is_running = state.id, state.status == "running"
            entry.digest = state.labels.get(LABEL_DIGEST, "")
            service = self._kit.objects.get(kinds.SERVICE, *key)
            if service is not None and (wanted := published(service)) is not None and wanted.digest == entry.digest:
                self._claim(wanted)


def _service_of(state: ContainerState) -> ObjectKey:
    namespace, _, name = state.labels.get(LABEL_SERVICE, "").partition("/")
    return ObjectKey(namespace, name)


def _is_ours(service: Object) -> bool:
    """Whether this publisher wrote the Service's ingress."""
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    return bool(ingress == INGRESS and not service["spec"].get("loadBalancerClass"))
