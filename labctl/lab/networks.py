"""Which address ranges this machine uses already, and which of the lab's would collide with them."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.config import LABEL_LAB
from labctl.errors import MissingPrerequisite
from labctl.lab import engine, ipv6
from labctl.lab.paths import command
from labctl.lab.plan import Ranges, UpOptions

if TYPE_CHECKING:
    import docker

Network = ipaddress.IPv4Network

# Where a lab looks when the usual range is taken by another lab: 10.244 to 10.254, and the 192.168 networks above 123.
_POD_RANGES = tuple(f"10.{n}.0.0/16" for n in range(244, 255)) + tuple(f"172.{n}.0.0/16" for n in range(20, 32))
_LAN_RANGES = tuple(f"192.168.{n}.0/24" for n in (*range(123, 255), *range(2, 123)))


@dataclass(frozen=True, slots=True)
class Taken:
    """A range in use: by what, in words, and whether that is another lab of ours."""

    cidr: str
    holder: str
    lab: bool = False

    @property
    def network(self) -> Network:
        """The range as a network."""
        return ipaddress.IPv4Network(self.cidr, strict=False)


def host_routes(table: str) -> Iterator[Taken]:
    """Routes in the format of /proc/net/route, without the default route. Addresses there are in host byte order."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or fields[1] == fields[7] == "00000000":
            continue
        address, mask = (socket.inet_ntoa(struct.pack("=L", int(fields[n], 16))) for n in (1, 7))
        yield Taken(str(ipaddress.IPv4Network(f"{address}/{mask}", strict=False)), f"a route of this host, {fields[0]}")


def docker_networks(networks: Iterable[Mapping[str, Any]], *, but_of_lab: str) -> Iterator[Taken]:
    """Ranges of Docker's networks, without those of one lab."""
    for network in networks:
        lab = (network.get("Labels") or {}).get(LABEL_LAB, "")
        if lab == but_of_lab:
            continue
        for pool in (network.get("IPAM") or {}).get("Config") or ():
            subnet = pool.get("Subnet", "")
            if ":" not in subnet and subnet:
                holder = f"lab {lab}" if lab else f"Docker network {network['Name']}"
                yield Taken(subnet, holder, lab=bool(lab))


def bridges(networks: Iterable[Mapping[str, Any]]) -> set[str]:
    """The host's interfaces of Docker's networks."""
    named = "com.docker.network.bridge.name"
    return {"docker0"} | {(n.get("Options") or {}).get(named) or f"br-{n['Id'][:12]}" for n in networks}


def in_use(client: docker.DockerClient, *, but_of_lab: str) -> list[Taken]:
    """Every range in use on this machine. Docker's networks are named as such, not as routes to their bridges."""
    with engine.translated("listing Docker networks"):
        networks = client.api.networks()
    own = bridges(networks)
    table = Path("/proc/net/route")
    routes = host_routes(table.read_text()) if table.exists() else ()
    others = [taken for taken in routes if taken.holder.rsplit(" ", 1)[-1] not in own]
    return [*docker_networks(networks, but_of_lab=but_of_lab), *others]


def in_use6(client: docker.DockerClient) -> list[tuple[str, str]]:
    """Every range of IPv6 in use on this machine, and by what."""
    with engine.translated("listing Docker networks"):
        networks = client.api.networks()
    own = bridges(networks)
    table = Path("/proc/net/ipv6_route")
    routes = ipv6.host_routes(table.read_text()) if table.exists() else ()
    others = [route for route in routes if route[1].rsplit(" ", 1)[-1] not in own]
    return [*ipv6.docker_networks(networks), *others]


def choose(options: UpOptions, taken: Sequence[Taken]) -> Ranges:
    """The lab's ranges: those asked for, or the defaults; where another lab holds a default, the next free range.

    Raises MissingPrerequisite naming the range, who has it and a free one, when anything but a lab is in the way.
    """
    services = ipaddress.IPv4Network(options.service_cidr)
    up = command("up", options.name)
    pods = _one("pods", "--pod-cidr", options.pod_cidr, _POD_RANGES, taken, services, up)
    lan = _one("LAN", "--lan-cidr", options.lan_cidr, _LAN_RANGES, taken, services, up)
    return Ranges(pods=pods, lan=lan, services=options.service_cidr)


def _one(
    what: str,
    option: str,
    asked: str | None,
    candidates: Sequence[str],
    taken: Sequence[Taken],
    services: Network,
    up: str,
) -> str:
    def holders(cidr: str) -> list[Taken]:
        own = [Taken(str(services), "the lab's own service range")]
        return [t for t in (*own, *taken) if t.network.overlaps(ipaddress.IPv4Network(cidr))]

    wanted = asked or candidates[0]
    found = holders(wanted)
    if not found:
        return wanted
    free = next((cidr for cidr in candidates if not holders(cidr)), None)
    if free and asked is None and all(holder.lab for holder in found):
        return free
    raise MissingPrerequisite(
        f"address range {wanted} for the lab's {what} collides with {found[0].cidr} ({found[0].holder})",
        hint=f"{free} is free: {up} {option} {free}" if free else f"choose a free range with {option}",
    )


def free_port(wanted: int | None) -> int:
    """A free TCP port for the API server: the one asked for, else 6443 or the next. Raises MissingPrerequisite."""
    port = first_free_port([wanted] if wanted else range(6443, 6543))
    if port is None:
        raise MissingPrerequisite(
            f"port {wanted or '6443 to 6542'} on 127.0.0.1 is taken", hint="choose another with labctl up --port PORT"
        )
    return port


def first_free_port(ports: Iterable[int]) -> int | None:
    """The first TCP port that nobody holds on the host's loopback."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return None
