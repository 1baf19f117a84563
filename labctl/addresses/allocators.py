"""Allocation of ClusterIPs and nodePorts, as kube-apiserver does it.

Both ranges have a lower band that automatic allocation uses only when the rest is full, so that addresses chosen by hand
rarely collide: 16 to 256 addresses (KEP-3070), 16 to 128 ports (KEP-3668).
"""

from __future__ import annotations

import random
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network


class AllocationError(Exception):
    """Why an address or port cannot be had, in Kubernetes' words."""


class ClusterIPs:
    """The addresses of one service range that are in use."""

    def __init__(self, cidr: str, *, rng: random.Random | None = None) -> None:
        self.network: IPv4Network | IPv6Network = ip_network(cidr)
        # The network address and, in IPv4, the broadcast address are nobody's; of a huge range the first 2**16 do.
        self._first = 1
        self._last = min(self.network.num_addresses, 1 << 20) - (2 if self.network.version == 4 else 1)
        self._band = min(max(16, self._last // 16), 256)
        self._used: set[int] = set()
        self._rng = rng or random.Random()  # noqa: S311  # addresses are not secrets

    def take(self, address: str) -> None:
        """Mark an address as used. Raises AllocationError."""
        offset = self._offset(address)
        if offset in self._used:
            raise AllocationError("provided IP is already allocated")
        self._used.add(offset)

    def next(self) -> str:
        """A free address, taken. Raises AllocationError when the range is full."""
        offset = _free(self._used, self._first + self._band, self._last, self._rng)
        if offset is None:
            offset = _free(self._used, self._first, min(self._first + self._band - 1, self._last), self._rng)
        if offset is None:
            raise AllocationError("range is full")
        self._used.add(offset)
        return str(self.network.network_address + offset)

    def release(self, address: str) -> None:
        """Free an address; one that is not ours or not used is no error."""
        value = ip_address(address)
        if value in self.network:
            self._used.discard(int(value) - int(self.network.network_address))

    def _offset(self, address: str) -> int:
        value = ip_address(address)
        if value.version != self.network.version or value not in self.network:
            raise AllocationError("the provided network does not match the current range")
        offset = int(value) - int(self.network.network_address)
        if not self._first <= offset <= self._last:
            raise AllocationError(f"provided IP is not in the valid range. The range of valid IPs is {self.network}")
        return offset


class NodePorts:
    """The ports of the nodePort range that are in use."""

    def __init__(self, low: int = 30000, high: int = 32767, *, rng: random.Random | None = None) -> None:
        self._low, self._high = low, high
        self._band = min(max(16, (high - low + 1) // 32), 128)
        self._used: set[int] = set()
        self._rng = rng or random.Random()  # noqa: S311  # ports are not secrets

    def take(self, port: int) -> None:
        """Mark a port as used. Raises AllocationError."""
        if not self._low <= port <= self._high:
            raise AllocationError(
                f"provided port is not in the valid range. The range of valid ports is {self._low}-{self._high}"
            )
        if port in self._used:
            raise AllocationError("provided port is already allocated")
        self._used.add(port)

    def next(self) -> int:
        """A free port, taken. Raises AllocationError when all are used."""
        port = _free(self._used, self._low + self._band, self._high, self._rng)
        if port is None:
            port = _free(self._used, self._low, min(self._low + self._band - 1, self._high), self._rng)
        if port is None:
            raise AllocationError("range is full")
        self._used.add(port)
        return port

    def release(self, port: int) -> None:
        """Free a port."""
        self._used.discard(port)


def _free(used: set[int], low: int, high: int, rng: random.Random) -> int | None:
    """A number of low..high that is not used, found by chance, then by scanning from there."""
    if low > high:
        return None
    start = rng.randint(low, high)
    for number in range(start, high + 1):
        if number not in used:
            return number
    return next((number for number in range(low, start) if number not in used), None)
