"""Which TCP ports something listens on, from the kernel's own table (proc(5), /proc/net/tcp)."""

from __future__ import annotations

_LISTEN = "0A"  # TCP_LISTEN in include/net/tcp_states.h
COMMAND = ("cat", "/proc/net/tcp", "/proc/net/tcp6")


def listening_ports(table: str) -> frozenset[int]:
    """Ports in state LISTEN on any address other than loopback, IPv4 and IPv6."""
    ports = set()
    for line in table.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[3] == _LISTEN and ":" in fields[1]:
            address, _, port = fields[1].rpartition(":")
            if not _is_loopback(address):
                ports.add(int(port, 16))
    return frozenset(ports)


def _is_loopback(address: str) -> bool:
    # Addresses are printed in host byte order, four bytes at a time: 127.0.0.1 reads 0100007F on little endian.
    return address.endswith("7F") if len(address) == 8 else address == "0" * 24 + "01000000"
