"""A node container's agent: `python -m labctl.agents.node`.

Makes the container a router, watches Services, EndpointSlices and Nodes like kube-proxy, and programs the packet filter. Rules
keep working while the API server is away, and while this agent is restarted.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from labctl.agents import troubles
from labctl.agents.health import HealthServers
from labctl.agents.tunnel import Tunnel
from labctl.aiokits import tls
from labctl.api import kinds
from labctl.api.objects import Object, key_of
from labctl.client.events import EventRecorder
from labctl.client.http import HttpApi
from labctl.client.informer import Informer
from labctl.config import NET_SYSCTLS, LabConfig, NodeConfig
from labctl.proxy import family, mode, node_setup
from labctl.proxy.dual import DualStack
from labctl.proxy.model import NodeView
from labctl.proxy.pod_rules import PodRules
from labctl.proxy.pods import compact_pod
from labctl.proxy.policies import Cluster
from labctl.proxy.runner import CommandFailed, run
from labctl.proxy.sync import Backend, Syncer
from labctl.proxy.tracker import Tracker, compact_service, compact_slice

_LOG = logging.getLogger("labctl.node")
_ZONE = "topology.kubernetes.io/zone"


class Agent:
    """The agent of one node."""

    def __init__(self, config: LabConfig) -> None:
        self._config = config
        self._node = next(n for n in config.nodes if n.name == config.node)
        api = HttpApi(
            config.server,
            token=config.credentials.node_token,
            ca_certificate=config.credentials.ca_certificate,
            user_agent="labctl-node",
        )
        view, *_ = views = node_views(config, self._node)
        families = [v.family.name for v in views]
        self._backend = functools.partial(backend, views)
        self._tracker = Tracker(view)
        self._syncer = Syncer(
            self._tracker, self._backend(config.proxy_mode), run, on_foreign_change=lambda: self._pod_rules.rewrite()
        )
        self._pod_rules = PodRules(
            run,
            self._for_pods,
            self._syncer,
            node=self._node.name,
            pod_cidrs={family.of(cidr): cidr for cidr in (self._node.pod_cidr, self._node.pod_cidr6) if cidr},
            guard=functools.partial(write_guard, config),
        )
        for_pods = self._pods_changed
        self._pods = Informer(api, kinds.POD, for_pods, transform=compact_pod)
        self._namespaces = Informer(api, kinds.NAMESPACE, for_pods)
        self._policies = Informer(api, kinds.NETWORK_POLICY, for_pods)
        self._services = Informer(
            api,
            kinds.SERVICE,
            self._service_changed,
            transform=functools.partial(compact_service, ip_families=families),
        )
        self._slices = Informer(
            api,
            kinds.ENDPOINT_SLICE,
            self._slice_changed,
            transform=functools.partial(compact_slice, node=self._node.name, ip_families=families),
        )
        self._nodes = Informer(api, kinds.NODE, self._node_changed, field_selector=f"metadata.name={self._node.name}")
        self._modes = Informer(
            api,
            kinds.CONFIG_MAP,
            self._mode_changed,
            namespace=mode.NAMESPACE,
            field_selector=f"metadata.name={mode.NAME}",
        )
        self._informers = (
            self._services,
            self._slices,
            self._nodes,
            self._modes,
            self._pods,
            self._namespaces,
            self._policies,
        )
        self._recorder = EventRecorder(api, "kube-proxy")
        wrong = {"ConntrackFull": troubles.conntrack, "RulesNotWritten": lambda: self._syncer.last_error}
        self._troubles = troubles.Troubles(self._recorder, self._node.name, wrong)
        self._health = HealthServers(lambda: self._syncer.last_error, lambda: self._syncer.mode)

    async def run(self) -> None:
        """Run until cancelled."""
        await set_up(self._config, self._node)
        async with asyncio.TaskGroup() as tasks:
            for informer in self._informers:
                tasks.create_task(informer.run(), name=f"informer {informer.kind}")
            tasks.create_task(Tunnel(self._config, self._node).run(self._node.address), name="tunnel")
            tasks.create_task(self._health.run(), name="health")
            tasks.create_task(self._keep_pod_rules(), name="rules for pods")
            tasks.create_task(self._recorder.run(), name="write events")
            tasks.create_task(self._troubles.run(), name="troubles")
            for informer in (self._services, self._slices, self._nodes):
                await informer.synced()
            with contextlib.suppress(TimeoutError):  # it spares a switch of modes, but rules do not depend on it
                async with asyncio.timeout(1):
                    await self._modes.synced()
            self._changed()
            await self._syncer.run()

    def _service_changed(self, old: Object | None, new: Object | None) -> None:
        present = new or old
        assert present is not None
        if self._tracker.set_service(key_of(present), new):
            self._changed()

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        if self._tracker.set_slice(old, new):
            self._changed()

    def _node_changed(self, _: Object | None, node: Object | None) -> None:
        labels: dict[str, str] = (node or {}).get("metadata", {}).get("labels") or {}
        if self._tracker.set_zone(labels.get(_ZONE, "")):
            self._changed()

    async def _keep_pod_rules(self) -> None:
        for informer in (self._pods, self._namespaces, self._policies):
            await informer.synced()
        self._pod_rules.notify()
        await self._pod_rules.run()

    def _pods_changed(self, *_: object) -> None:
        if self._pods.is_synced and self._namespaces.is_synced and self._policies.is_synced:
            self._pod_rules.notify()

    def _for_pods(self) -> tuple[Cluster, list[Object]]:
        pods = [found for p in self._pods.objects.values() if (found := p["pod"]) is not None]
        namespaces = {
            n["metadata"]["name"]: n["metadata"].get("labels") or {} for n in self._namespaces.objects.values()
        }
        return Cluster(pods, namespaces), list(self._policies.objects.values())

    def _mode_changed(self, _: Object | None, configured: Object | None) -> None:
        try:
            self._syncer.use(self._backend(mode.mode_of(configured, self._config.proxy_mode)))
        except mode.UnknownMode as error:
            _LOG.warning("%s: the rules stay as they are", error)

    def _changed(self) -> None:
        if self._services.is_synced and self._slices.is_synced:
            self._health.update(self._tracker.health_checked())
            self._syncer.notify()


def node_views(config: LabConfig, node: NodeConfig) -> list[NodeView]:
    """What rules depend on, for each family of the lab, IPv4 first."""
    views = [NodeView(node.name, node.address, config.pod_cidr, config.service_cidr)]
    if config.ip_family == "dual":
        views.append(NodeView(node.name, node.address6, config.pod_cidr6, config.service_cidr6))
    return views


def backend(views: Sequence[NodeView], wanted: mode.Mode) -> Backend:
    """The backend of a mode for all families of the lab. Imported only when it is used."""
    made: list[Backend]
    if wanted == "nftables":
        from labctl.proxy.nftables.backend import NftablesBackend

        made = [NftablesBackend(run, v.family) for v in views]
    else:
        from labctl.proxy.iptables.backend import IptablesBackend

        made = [IptablesBackend(run, v.family) for v in views]
    return DualStack(made[0], made[1], views[1]) if len(made) == 2 else made[0]


async def set_up(config: LabConfig, node: NodeConfig) -> None:
    """Make this container a router; each step may be repeated."""
    write_sysctls(Path(NET_SYSCTLS))
    for route in node_setup.routes(config, node):
        await run("ip", "route", "replace", *route)
    uplink = node_setup.default_route(await run("ip", "-o", "-4", "addr"), config)
    if uplink:
        await run("ip", "route", "replace", *uplink)
    if config.ip_family == "dual":
        for route in node_setup.routes6(config):
            await run("ip", "-6", "route", "replace", *route)
    await write_guard(config)


async def write_guard(config: LabConfig) -> None:
    """Masquerading, and what must never leave the node; may be repeated."""
    ranges = [(config.pod_cidr, config.service_cidr), (config.pod_cidr6, config.service_cidr6)]
    for pods, services in ranges:
        if pods:
            of = family.of(pods)
            await run(*of.restore, stdin=node_setup.guard_rules(pods, services))
            await _jump(of.tables)


async def _jump(iptables: str) -> None:
    for table, chain, rule in node_setup.JUMPS:
        try:
            await run(iptables, "-w", "5", "-t", table, "-C", chain, *rule)
        except CommandFailed:
            await run(iptables, "-w", "5", "-t", table, "-A", chain, *rule)


def write_sysctls(root: Path) -> None:
    """Forwarding on, redirects off: a redirect would send a pod's first packets past its node."""
    for name, value in node_setup.SYSCTLS.items():
        _write(root / name, value)
    for interface in (root / "ipv4" / "conf").iterdir():
        for name, value in node_setup.PER_INTERFACE.items():
            _write(interface / name, value)


def _write(path: Path, value: str) -> None:
    try:
        if path.read_text().strip() != value:
            path.write_text(value)
    except OSError as error:
        _LOG.warning("%s stays as it is: %s", path, error)


async def main() -> None:
    """Run the agent until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await Agent(LabConfig.from_environment()).run()


if __name__ == "__main__":
    if sys.version_info < (3, 12):  # later versions do so by themselves: no thread for each process that is started
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    tls.small_buffers()
    asyncio.run(main())
