"""Addresses for the pods of one node: the next free one after the last given, so that a replaced pod gets a new one."""

from __future__ import annotations

import ipaddress

from labctl.errors import LabctlError


class RangeExhausted(LabctlError):
    """Every address of the node's range is taken."""


class PodAddresses:
    """Allocator of one range; the first address, the last one and those in `reserved` are never given out."""

    def __init__(self, cidr: str, *, reserved: tuple[str, ...] = ()) -> None:
        network = ipaddress.ip_network(cidr)
        self._cidr = cidr
        self._first = int(network.network_address) + 1
        self._size = min(network.num_addresses - 2, 2**16)
        self._make = ipaddress.IPv6Address if network.version == 6 else ipaddress.IPv4Address
        self._reserved = {int(ipaddress.ip_address(a)) for a in reserved if a}
        self._taken: set[int] = set()
        self._last = self._first

    def allocate(self) -> str:
        """A free address. Raises RangeExhausted."""
        for step in range(1, self._size + 1):
            candidate = self._first + (self._last - self._first + step) % self._size
            if candidate not in self._taken and candidate not in self._reserved:
                self._taken.add(candidate)
                self._last = candidate
                return str(self._make(candidate))
        raise RangeExhausted(
            f"no free pod address in {self._cidr}", hint="delete pods, or make the lab with more nodes"
        )

    def take(self, address: str) -> None:
        """Note an address that is in use already; the next one given comes after it."""
        number = int(ipaddress.ip_address(address))
        self._taken.add(number)
        self._last = max(self._last, number)

    def release(self, address: str) -> None:
        """Give an address back."""
        self._taken.discard(int(ipaddress.ip_address(address)))
