"""Keeping the kernel's rules equal to the wanted ones.

The first sync writes everything and removes what an earlier agent left; later ones write only chains that changed, in one
atomic restore. After a failure the next one is full again (as kube-proxy does). A check every few seconds finds rules
that somebody flushed, and writes everything anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from labctl.proxy import restore
from labctl.proxy.iptables import chains
from labctl.proxy.iptables.rules import JUMPS, NAT
from labctl.proxy.model import ServicePort
from labctl.proxy.restore import Tables
from labctl.proxy.runner import CommandFailed, Runner

_LOG = logging.getLogger(__name__)
_RETRY_S, _CHECK_S = 1.0, 5.0
_MINE = "KUBE-"
_RESTORE = ("iptables-restore", "-w", "5", "--noflush")

Wanted = Callable[[], tuple[list[ServicePort], Tables]]
"""Computes the present service ports and the tables they make."""


class Syncer:
    """One packet filter, brought up to date whenever `notify` was called."""

    def __init__(self, run: Runner, wanted: Wanted) -> None:
        self._run = run
        self._wanted = wanted
        self._dirty = asyncio.Event()
        self._programmed: Tables | None = None
        self._udp: dict[tuple[str, int], set[str]] = {}
        self.last_error = ""

    def notify(self) -> None:
        """Something has changed: sync as soon as the loop is free. Changes that come together make one sync."""
        self._dirty.set()

    async def run(self) -> None:
        """Sync until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_CHECK_S):
                    await self._dirty.wait()
            except TimeoutError:
                await self._check()
                continue
            self._dirty.clear()
            await self._attempt()

    async def _attempt(self) -> None:
        try:
            await self.sync()
            self.last_error = ""
        except CommandFailed as error:
            self._programmed = None
            self.last_error = str(error)
            _LOG.error("rules could not be written, trying again as a full sync: %s", error)
            await asyncio.sleep(_RETRY_S)
            self._dirty.set()

    async def sync(self) -> None:
        """One sync. Raises CommandFailed; nothing is half written then."""
        ports, tables = self._wanted()
        if self._programmed is None:
            await self._full(tables)
        else:
            text = restore.difference(self._programmed, tables)
            if text:
                await self._run(*_RESTORE, stdin=text)
        self._programmed = tables
        await self._forget_stale_udp(ports)

    async def _full(self, tables: Tables) -> None:
        saved = await self._run("iptables-save")
        present = restore.chains_in(saved)
        stale = {
            name: sorted(
                c for c in present.get(name, ()) if c.startswith(_MINE) and c not in wanted and c != chains.CANARY
            )
            for name, wanted in tables.items()
        }
        with_canary = {
            name: {**wanted, **({chains.CANARY: []} if name == NAT else {})} for name, wanted in tables.items()
        }
        await self._run(*_RESTORE, stdin=restore.full(with_canary, stale) + _missing_jumps(saved))

    async def _check(self) -> None:
        """Somebody flushed or deleted our chains: write them anew."""
        if self._programmed is None:
            return
        try:
            saved = await self._run("iptables-save", "-t", NAT)
        except CommandFailed as error:
            _LOG.warning("cannot look at the rules: %s", error)
            return
        last = self._programmed[NAT][chains.SERVICES]
        jumps = [rule for table, chain, rule in JUMPS if table == NAT and chain == "PREROUTING"]
        intact = len(restore.rules_in(saved, NAT, chains.SERVICES)) == len(last) and all(
            rule in restore.rules_in(saved, NAT, "PREROUTING") for rule in jumps
        )
        if not intact:
            _LOG.warning("the rules were changed by somebody else: writing them anew")
            self._programmed = None
            self.notify()

    async def _forget_stale_udp(self, ports: list[ServicePort]) -> None:
        """UDP flows to endpoints that are gone would never end by themselves: their conntrack entries are deleted."""
        present = {
            (p.cluster_ip, p.port): {e.ip for e in p.endpoints if e.serving} for p in ports if p.protocol == "udp"
        }
        for key, before in self._udp.items():
            for endpoint in before - present.get(key, set()):
                await self._delete_flows("--orig-dst", key[0], "--dst-nat", endpoint)
        for key, now in present.items():
            if now and not self._udp.get(key):
                await self._delete_flows("--orig-dst", key[0], "--orig-port-dst", str(key[1]))
        self._udp = present

    async def _delete_flows(self, *match: str) -> None:
        try:
            await self._run("conntrack", "-D", "-p", "udp", *match)
        except CommandFailed as error:
            if "0 flow entries" not in error.stderr:
                _LOG.warning("stale UDP flows were not deleted: %s", error)


def _missing_jumps(saved: str) -> str:
    """Restore lines that put our jumps in front in the kernel's chains, where one is missing or they are out of order."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for table, chain, rule in JUMPS:
        wanted.setdefault((table, chain), []).append(rule)
    lines: dict[str, list[str]] = {}
    for (table, chain), rules in wanted.items():
        present = [rule for rule in restore.rules_in(saved, table, chain) if rule in rules]
        if present != rules:
            lines.setdefault(table, []).extend(f"-D {chain} {rule}" for rule in present)
            lines[table].extend(f"-I {chain} {rule}" for rule in reversed(rules))
    return "".join(f"*{table}\n" + "\n".join(listed) + "\nCOMMIT\n" for table, listed in lines.items())
