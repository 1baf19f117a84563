"""Both address families of a dual-stack node as one backend: each has its own tables, as with kube-proxy's two proxiers."""

from __future__ import annotations

from collections.abc import Iterable

from labctl.proxy.family import IPV4
from labctl.proxy.model import NodeView, ServicePort
from labctl.proxy.sync import Backend


class DualStack:
    """Two backends of the same mode. IPv4 is written first: what is wrong with IPv6 does not hold it up."""

    def __init__(self, ipv4: Backend, ipv6: Backend, view6: NodeView) -> None:
        """`view6` has the node's address and the ranges of IPv6; name and zone are those of the view of IPv4."""
        self._ipv4 = ipv4
        self._ipv6 = ipv6
        self._view6 = view6

    @property
    def name(self) -> str:
        """The proxy mode, which is that of both."""
        return self._ipv4.name

    async def full(self, ports: Iterable[ServicePort], view: NodeView) -> None:
        """Write everything anew, and remove what earlier Services left."""
        ours, theirs = _by_family(ports)
        await self._ipv4.full(ours, view)
        await self._ipv6.full(theirs, self._beside(view))

    async def update(self, old: Iterable[ServicePort], new: Iterable[ServicePort], view: NodeView) -> bool:
        """Write the difference in each family; False when only a full sync will do."""
        (before, before6), (after, after6) = _by_family(old), _by_family(new)
        written = True
        if before != after:
            written = await self._ipv4.update(before, after, view)
        if written and before6 != after6:
            written = await self._ipv6.update(before6, after6, self._beside(view))
        return written

    async def intact(self, ports: Iterable[ServicePort], view: NodeView) -> bool:
        """Whether every rule of both families is there."""
        ours, theirs = _by_family(ports)
        return await self._ipv4.intact(ours, view) and await self._ipv6.intact(theirs, self._beside(view))

    async def tidy(self) -> None:
        """Delete what could not be deleted with the last change."""
        await self._ipv4.tidy()
        await self._ipv6.tidy()

    async def remove(self) -> None:
        """Take every rule of both families away."""
        await self._ipv4.remove()
        await self._ipv6.remove()

    def _beside(self, view: NodeView) -> NodeView:
        six = self._view6
        return NodeView(view.name, six.address, six.pod_cidr, six.service_cidr, view.zone)


def _by_family(ports: Iterable[ServicePort]) -> tuple[list[ServicePort], list[ServicePort]]:
    listed: tuple[list[ServicePort], list[ServicePort]] = ([], [])
    for port in ports:
        listed[port.family is not IPV4].append(port)
    return listed
