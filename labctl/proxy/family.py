"""The two address families as packet filters spell them. Rules of one family never meet packets of the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Family:
    """`tables` is what iptables' programs are called, `nft` the family of nft's tables and the word before its fields."""

    name: Literal["IPv4", "IPv6"]
    bits: int
    tables: str
    nft: str
    nft_address: str
    loopback: str
    full_mask: str
    refusal: str

    def __str__(self) -> str:
        return self.name

    @property
    def save(self) -> tuple[str, ...]:
        """The command that prints all rules."""
        return (f"{self.tables}-save",)

    @property
    def restore(self) -> tuple[str, ...]:
        """The command that writes rules and leaves those alone that it is not told of."""
        return (f"{self.tables}-restore", "-w", "5", "--noflush")

    def owns(self, address: str) -> bool:
        """Whether an address or range is of this family."""
        return (":" in address) == (self.bits == 128)


IPV4 = Family("IPv4", 32, "iptables", "ip", "ipv4_addr", "127.0.0.0/8", "255.255.255.255", "icmp-port-unreachable")
IPV6 = Family(
    "IPv6",
    128,
    "ip6tables",
    "ip6",
    "ipv6_addr",
    "::1/128",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "icmp6-port-unreachable",
)


def of(address: str) -> Family:
    """The family of an address or range."""
    return IPV6 if ":" in address else IPV4


def by_name(name: str) -> Family:
    """`IPv4` or `IPv6`, as the API has them."""
    return IPV6 if name == "IPv6" else IPV4


def with_port(host: str, port: int) -> str:
    """`10.96.0.10:53`, `[fd00:10:96::a]:53`, `web:80`; without a port the host alone."""
    if not port:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
