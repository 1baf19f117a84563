"""kube-proxy's nftables mode in this network namespace."""

from __future__ import annotations

from collections.abc import Iterable

from labctl.proxy.family import IPV4, Family
from labctl.proxy.model import NodeView, ServicePort
from labctl.proxy.nftables import names, script
from labctl.proxy.nftables.rules import MANY, fragment
from labctl.proxy.runner import CommandFailed, Runner

_APPLY = ("nft", "-f", "-")
_FEWER = (
    MANY * 3 // 4
)  # back to kube-proxy's layout only well below the limit, or every change at it would be a full sync


class NftablesBackend:
    """Writes table `kube-proxy` of one family through nft."""

    name = "nftables"

    def __init__(self, run: Runner, family: Family = IPV4) -> None:
        self._run = run
        self._family = family
        self._elements = script.Elements()
        self._emptied: set[str] = set()
        self._count = 0
        self._many = False

    async def full(self, ports: Iterable[ServicePort], view: NodeView) -> None:
        """Replace the table by a new one, in one transaction."""
        listed = list(ports)
        many = len(listed) > MANY
        elements = script.Elements()
        await self._run(*_APPLY, stdin=script.full(listed, view, elements, many=many))
        self._elements, self._emptied, self._many, self._count = elements, set(), many, len(listed)

    async def update(self, old: Iterable[ServicePort], new: Iterable[ServicePort], view: NodeView) -> bool:
        """Write the difference between two states of some Services; False when the whole layout has to change."""
        before, after = list(old), list(new)
        self._count += len(after) - len(before)
        if self._many != (self._count > (_FEWER if self._many else MANY)):
            return False
        made = script.difference(
            (fragment(p, view, many=self._many) for p in before),
            (fragment(p, view, many=self._many) for p in after),
            self._elements,
            self._family,
        )
        if made.text:
            await self._run(*_APPLY, stdin=made.text)
        self._emptied.update(made.emptied)
        for port in after:
            self._emptied.difference_update(fragment(port, view, many=self._many).chains)
        return True

    async def intact(self, ports: Iterable[ServicePort], view: NodeView) -> bool:
        """Whether every rule and element is there, by number."""
        try:
            listed = await self._run("nft", "list", "table", self._family.nft, names.TABLE)
        except CommandFailed:
            return False
        there = script.counted(listed)
        wanted = script.expected(ports, view, many=self._many)
        # Emptied chains have no rules, so they do not count.
        return all(there.get(name, 0) == wanted.get(name, 0) for name in {*there, *wanted})

    async def tidy(self) -> None:
        """Delete emptied chains. Kernels before 6.2 notice late that no element leads to them: not in the same transaction."""
        if self._emptied:
            await self._run(*_APPLY, stdin=script.deletion(sorted(self._emptied), self._family))
            self._emptied = set()

    async def remove(self) -> None:
        """Take the whole table away."""
        await self._run(*_APPLY, stdin=script.removal(self._family))
