"""IPv6 beside IPv4: the ranges of a dual-stack lab, and whether this machine can have one.

The ranges follow from those of IPv4, so that two labs side by side differ and a reader recognises them: pods 10.244.0.0/16
have fd00:10:244::/64 beside it, of which every node owns a /80 as it owns a /24. All are unique local addresses (RFC 4193). A
range of pods larger than /64 is not for Docker 20.10: it takes addresses for the same whose last 64 bits are the same.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from labctl.errors import MissingPrerequisite
from labctl.lab.plan import Ranges

_PROC = Path("/proc")
# What every machine has: loopback, link-local and multicast.
_COMMON = tuple(ipaddress.IPv6Network(n) for n in ("::/0", "::1/128", "fe80::/10", "ff00::/8"))


def beside(ranges: Ranges) -> Ranges:
    """The same ranges with those of IPv6 filled in."""
    return replace(
        ranges,
        pods6=_like(ranges.pods, words=2, prefix=64),
        lan6=_like(ranges.lan, words=3, prefix=64),
        services6=_like(ranges.services, words=2, prefix=108),
    )


def _like(cidr: str, *, words: int, prefix: int) -> str:
    """The first numbers of an IPv4 range as they are read, behind fd00."""
    numbers = cidr.split("/", 1)[0].split(".")[:words]
    return str(ipaddress.IPv6Network(f"fd00:{':'.join(numbers)}::/{prefix}"))


def require(proc: Path = _PROC) -> None:
    """Refuse where the kernel has no IPv6 for containers. Raises MissingPrerequisite."""
    settings = proc / "sys/net/ipv6/conf/all/disable_ipv6"
    try:
        disabled = settings.read_text().strip() != "0"
    except FileNotFoundError:
        if not proc.exists():
            return  # Docker runs in a virtual machine, whose kernel is not this one
        raise MissingPrerequisite(
            "this machine's kernel has no IPv6, which --ip-family dual needs",
            hint="boot without ipv6.disable=1, or leave the option out",
        ) from None
    if disabled:
        raise MissingPrerequisite(
            "IPv6 is switched off on this machine, and --ip-family dual needs it",
            hint="sysctl net.ipv6.conf.all.disable_ipv6=0, or leave the option out",
        )


def refuse_collisions(ranges: Ranges, taken: Iterable[tuple[str, str]]) -> None:
    """`taken` are ranges in use and by what. Raises MissingPrerequisite; another range of IPv4 brings another of IPv6."""
    listed = list(taken)
    for what, option, cidr in (("pods", "--pod-cidr", ranges.pods6), ("LAN", "--lan-cidr", ranges.lan6)):
        network = ipaddress.IPv6Network(cidr)
        for other, holder in listed:
            if network.overlaps(ipaddress.IPv6Network(other)):
                raise MissingPrerequisite(
                    f"address range {cidr} for the lab's {what} collides with {other} ({holder})",
                    hint=f"choose another {option}: the range of IPv6 follows it",
                )


def host_routes(table: str) -> Iterator[tuple[str, str]]:
    """Routes in the format of /proc/net/ipv6_route with their interface, without what every machine has."""
    for line in table.splitlines():
        fields = line.split()
        if len(fields) < 10:
            continue
        network = ipaddress.IPv6Network((int(fields[0], 16), int(fields[1], 16)), strict=False)
        if fields[9] != "lo" and network not in _COMMON and not network.is_link_local and not network.is_multicast:
            yield str(network), f"a route of this host, {fields[9]}"


def docker_networks(networks: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Ranges of Docker's networks, with the networks' names."""
    for network in networks:
        for pool in (network.get("IPAM") or {}).get("Config") or ():
            if ":" in pool.get("Subnet", ""):
                yield pool["Subnet"], f"Docker network {network['Name']}"
