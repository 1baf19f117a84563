"""Keeping a node's rules for pods true: NetworkPolicies, hostPorts, and what the node has from the start (its guard).

Unlike Services' rules they are few, so they are computed whole at each change and written only when they differ.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from labctl.api.objects import Object
from labctl.proxy import hostports, policies
from labctl.proxy.iptables.restore import COMMAND
from labctl.proxy.runner import CommandFailed, Runner
from labctl.proxy.sync import Syncer

_LOG = logging.getLogger(__name__)
_RETRY_S = 1.0

Guard = Callable[[], Awaitable[None]]
"""Writes what the node has from the start. Raises CommandFailed."""

Wanted = Callable[[], tuple[policies.Cluster, Iterable[Object]]]
"""The present pods, namespaces and NetworkPolicies."""


class PodRules:
    """Policies and hostPorts of one node. `pod_cidr` is the node's own range."""

    def __init__(self, run: Runner, wanted: Wanted, syncer: Syncer, *, node: str, pod_cidr: str, guard: Guard) -> None:
        self._run = run
        self._wanted = wanted
        self._syncer = syncer
        self._node = node
        self._pod_cidr = pod_cidr
        self._guard = guard
        self._is_guarded = True  # the node was set up before anything else
        self._dirty = asyncio.Event()
        self._table = ""  # unknown: an agent before this one may have left a table
        self._chains: hostports.Chains | None = None  # unknown too

    def notify(self) -> None:
        """Something has changed."""
        self._dirty.set()

    def rewrite(self) -> None:
        """Somebody else changed the packet filter: write everything anew."""
        self._is_guarded = False
        self._table = ""
        self._chains = None
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
        cluster, listed = self._wanted()
        table = policies.table(listed, cluster, node=self._node)
        if table != self._table:
            await self._syncer.beside(lambda: self._run("nft", "-f", "-", stdin=table))
            self._table = table
        chains = hostports.chains(cluster.pods, node=self._node, pod_cidr=self._pod_cidr)
        if chains != self._chains:
            await self._syncer.beside(lambda: self._write_host_ports(chains))
            self._chains = chains

    async def _write_host_ports(self, chains: hostports.Chains) -> None:
        text = hostports.restore(chains, await self._run("iptables-save", "-t", "nat"))
        if text:
            await self._run(*COMMAND, stdin=text)
