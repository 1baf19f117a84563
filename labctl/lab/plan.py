"""What a new lab shall look like: options, addresses and names decided once, before anything is created. Pure.

Addresses on the LAN (192.168.123.0/24 unless told otherwise): .1 Docker's gateway, .2 the control plane, .11 onwards
the nodes, .64/26 what Docker gives away (load balancers); the rest belongs to hosts outside the cluster. Of the pods'
range every node owns one /24 and is its first address; the zeroth belongs to Docker's gateway. With IPv6 a node has the same
number on the LAN, and owns a /80 of the pods' range.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from labctl.config import Credentials, LabConfig, NodeConfig
from labctl.errors import UsageError
from labctl.lab import paths, resolvers

MAX_NODES = 50
OUTSIDE_HOST = 234  # the chapter's 192.168.123.234
STAND_IN_HOST = 235  # answers in place of raw.githubusercontent.com
STAND_IN_NAME = "raw.githubusercontent.com"
_CONTROL_PLANE, _FIRST_NODE = 2, 11
_DYNAMIC_PREFIX, _DYNAMIC_PREFIX6 = 26, 80


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the user may choose. None means: labctl's default, or another free one where a lab holds that already."""

    name: str = paths.DEFAULT_NAME
    nodes: int | None = None
    pod_cidr: str | None = None
    lan_cidr: str | None = None
    service_cidr: str = "10.96.0.0/12"
    api_port: int | None = None
    proxy_mode: Literal["iptables", "nftables"] | None = None
    dns_upstreams: tuple[str, ...] | None = None
    ip_family: Literal["ipv4", "dual"] | None = None


@dataclass(frozen=True, slots=True)
class Ranges:
    """The address ranges of one lab; those of IPv6 are empty where it has IPv4 only."""

    pods: str
    lan: str
    services: str
    pods6: str = ""
    lan6: str = ""
    services6: str = ""

    @classmethod
    def of(cls, config: LabConfig) -> Ranges:
        """The ranges of a lab that was decided before."""
        six = {"pods6": config.pod_cidr6, "lan6": config.lan_cidr6, "services6": config.service_cidr6}
        return cls(config.pod_cidr, config.lan_cidr, config.service_cidr, **six)

    def words(self) -> list[str]:
        """What `up` says of them, by family."""
        families = ((self.pods, self.services, self.lan), (self.pods6, self.services6, self.lan6))
        return [f"pods {pods}, services {services}, LAN {lan}" for pods, services, lan in families if pods]


def host(cidr: str, number: int) -> str:
    """The n-th address of a range."""
    return str(ipaddress.ip_network(cidr)[number])


def dynamic_range(lan_cidr: str) -> str:
    """The part of the LAN that Docker gives to containers without an address of their own: its second quarter.

    Of IPv6's LAN it is the second /80, fd00:192:168:123:1::/80.
    """
    network = ipaddress.ip_network(lan_cidr)
    parts = network.subnets(new_prefix=_DYNAMIC_PREFIX if network.version == 4 else _DYNAMIC_PREFIX6)
    return str(next(itertools.islice(parts, 1, None)))


def checked(options: UpOptions) -> UpOptions:
    """Refuse what cannot work, before Docker is asked anything. Raises UsageError."""
    paths.checked_name(options.name)
    if options.nodes is not None and not 1 <= options.nodes <= MAX_NODES:
        raise UsageError(f"a lab has 1 to {MAX_NODES} nodes, not {options.nodes}")
    _network("--pod-cidr", options.pod_cidr, longest=16, why="every node owns a /24 of it")
    _network("--lan-cidr", options.lan_cidr, longest=24, why="nodes and outside hosts have their addresses there")
    _network("--service-cidr", options.service_cidr, longest=24, why="every Service has an address in it")
    if options.api_port is not None and not 1 <= options.api_port <= 65535:
        raise UsageError(f"--port {options.api_port} is no port", hint="choose one from 1024 to 65535")
    if options.dns_upstreams is None:
        return options
    return replace(options, dns_upstreams=resolvers.checked(options.dns_upstreams))


def _network(option: str, text: str | None, *, longest: int, why: str) -> None:
    if text is None:
        return
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}", hint="such as 10.244.0.0/16") from None
    if network.prefixlen > longest:
        raise UsageError(f"{option} {text} is too small", hint=f"take a /{longest} or larger: {why}")


def node_configs(count: int, ranges: Ranges) -> tuple[NodeConfig, ...]:
    """The nodes, numbered from 1."""
    parts = ipaddress.IPv4Network(ranges.pods).subnets(new_prefix=24)
    next(parts)
    nodes = [
        NodeConfig(
            name=f"node-{number}",
            address=host(ranges.lan, _FIRST_NODE - 1 + number),
            pod_cidr=str(part),
            pod_address=str(part[1]),
        )
        for number, part in zip(range(1, count + 1), parts, strict=False)
    ]
    if not ranges.pods6:
        return tuple(nodes)
    parts6 = ipaddress.IPv6Network(ranges.pods6).subnets(new_prefix=80)
    next(parts6)
    return tuple(
        replace(
            node,
            address6=host(ranges.lan6, _FIRST_NODE - 1 + number),
            pod_cidr6=str(part),
            pod_address6=str(part[1]),
        )
        for number, node, part in zip(range(1, count + 1), nodes, parts6, strict=False)
    )


def config(
    options: UpOptions, ranges: Ranges, *, nodes: int, credentials: Credentials, pods_bridge: str = ""
) -> LabConfig:
    """The facts that the containers start with, without what depends on images."""
    project = paths.project_of(options.name)
    return LabConfig(
        name=options.name,
        nodes=node_configs(nodes, ranges),
        credentials=credentials,
        control_plane_address=host(ranges.lan, _CONTROL_PLANE),
        pod_cidr=ranges.pods,
        service_cidr=ranges.services,
        lan_cidr=ranges.lan,
        pod_cidr6=ranges.pods6,
        service_cidr6=ranges.services6,
        lan_cidr6=ranges.lan6,
        ip_family="dual" if ranges.pods6 else "ipv4",
        dns_address=host(ranges.services, 10),
        proxy_mode=options.proxy_mode or "iptables",
        pods_network=f"{project}-pods",
        lan_network=f"{project}-lan",
        pods_bridge=pods_bridge,
        state_volume=f"{project}-state",
    )


def api_server_addresses(ranges: Ranges) -> tuple[str, ...]:
    """Addresses at which the API server is reached: loopback, the LAN, and Service `kubernetes`."""
    return ("127.0.0.1", host(ranges.lan, _CONTROL_PLANE), host(ranges.services, 1))


def for_node(config: LabConfig, node: str) -> LabConfig:
    """What a node container may know: no private key, no other token than its own."""
    kept = Credentials(ca_certificate=config.credentials.ca_certificate, node_token=config.credentials.node_token)
    return replace(config, node=node, credentials=kept, addons=(), stand_ins={})


def stand_in_hosts(lan_cidr: str, upstreams: Sequence[str]) -> dict[str, str]:
    """Names of the internet that a host on the lab's LAN answers for: none when the internet is asked itself."""
    return {} if upstreams else {STAND_IN_NAME: host(lan_cidr, STAND_IN_HOST)}
