"""Keeping a node's rules for pods true: NetworkPolicies, hostPorts, and what the node has from the start (its guard).

Unlike Services' rules they are few, so they are computed whole at each change and written only when they differ.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping

from labctl.api.objects import Object
from labctl.proxy import hostports, policies
from labctl.proxy.family import Family
from labctl.proxy.runner import CommandFailed, Runner
from labctl.proxy.sync import Syncer

_LOG = logging.getLogger(__name__)
_RETRY_S = 1.0

Guard = Callable[[], Awaitable[None]]
"""Writes what the node has from the start. Raises CommandFailed."""

Wanted = Callable[[], tuple[policies.Cluster, Iterable[Object]]]
"""The present pods, namespaces and NetworkPolicies."""


class PodRules:
    """Policies and hostPorts of one node. `pod_cidrs` are the node's own ranges by family."""

    def __init__(
        self, run: Runner, wanted: Wanted, syncer: Syncer, *, node: str, pod_cidrs: Mapping[Family, str], guard: Guard
    ) -> None:
        self._run = run
        self._wanted = wanted
        self._syncer = syncer
        self._node = node
        self._pod_cidrs = pod_cidrs
        self._guard = guard
        self._is_guarded = True  # the node was set up before anything else
        self._dirty = asyncio.Event()
        # Unknown at first: an agent before this one may have left some.
        self._tables: dict[Family, str] = {}
        self._chains: dict[Family, hostports.Chains] = {}

    def notify(self) -> None:
        """Something has changed."""
        self._dirty.set()

    def rewrite(self) -> None:
        """Somebody else changed the packet filter: write everything anew."""
        self._is_guarded = False
        self._tables.clear()
        self._chains.clear()
        self._dirty.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await self.sync()
            except CommandFailed as error:
                _LOG.error("rules for pods could not be written, trying again: %s", error)
                await asyncio.sleep(_RETRY_S)
                self.rewrite()

    async def sync(self) -> None:
        """Write what differs. Raises CommandFailed."""
        if not self._is_guarded:
            await self._syncer.beside(self._guard)
            self._is_guarded = True
        everybody, found = self._wanted()
        listed = list(found)
        for family, pod_cidr in self._pod_cidrs.items():
            cluster = everybody.of(family)
            await self._sync_policies(family, policies.table(listed, cluster, node=self._node, family=family))
            chains = hostports.chains(cluster.pods, node=self._node, pod_cidr=pod_cidr, family=family)
            await self._sync_host_ports(family, chains)

    async def _sync_policies(self, family: Family, table: str) -> None:
        if table != self._tables.get(family):
            await self._syncer.beside(lambda: self._run("nft", "-f", "-", stdin=table))
            self._tables[family] = table

    async def _sync_host_ports(self, family: Family, chains: hostports.Chains) -> None:
        if chains != self._chains.get(family):
            await self._syncer.beside(lambda: self._write_host_ports(family, chains))
            self._chains[family] = chains

    async def _write_host_ports(self, family: Family, chains: hostports.Chains) -> None:
        text = hostports.restore(chains, await self._run(*family.save, "-t", "nat"))
        if text:
            await self._run(*family.restore, stdin=text)
