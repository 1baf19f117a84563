"""kube-proxy's iptables mode in this network namespace."""

from __future__ import annotations

from collections.abc import Iterable

from labctl.proxy.family import IPV4, Family
from labctl.proxy.iptables import restore
from labctl.proxy.iptables.rules import JUMPS, fragment, rules
from labctl.proxy.model import NodeView, ServicePort
from labctl.proxy.runner import Runner


class IptablesBackend:
    """Writes chains and rules of one family through iptables-restore."""

    name = "iptables"

    def __init__(self, run: Runner, family: Family = IPV4) -> None:
        self._run = run
        self._family = family

    async def full(self, ports: Iterable[ServicePort], view: NodeView) -> None:
        """Write everything anew, and remove what earlier Services left."""
        saved = await self._run(*self._family.save)
        for text in restore.full(ports, view, saved):
            await self._run(*self._family.restore, stdin=text)

    async def update(self, old: Iterable[ServicePort], new: Iterable[ServicePort], view: NodeView) -> bool:
        """Write the difference between two states of some Services; that is always enough."""
        text = restore.difference((fragment(p, view) for p in old), (fragment(p, view) for p in new))
        if text:
            await self._run(*self._family.restore, stdin=text)
        return True

    async def intact(self, ports: Iterable[ServicePort], view: NodeView) -> bool:
        """Whether all jumps are in their place and every rule is there, by number."""
        saved = await self._run(*self._family.save)
        if any(restore.missing_jumps(saved, table) for table in {t for t, _, _ in JUMPS}):
            return False
        return restore.count_in(saved) == restore.counted(rules(ports, view))

    async def tidy(self) -> None:
        """Nothing is left over for later."""

    async def remove(self) -> None:
        """Take everything of this backend away."""
        text = restore.removal(await self._run(*self._family.save))
        if text:
            await self._run(*self._family.restore, stdin=text)
