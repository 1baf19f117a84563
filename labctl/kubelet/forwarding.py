"""What a Service publishes on the host, and the rules with which its container forwards it to the nodes. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from labctl.api.objects import Object, ObjectKey, key_of
from labctl.config import NodeConfig

Protocol = Literal["tcp", "udp", "sctp"]


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """Host port `port` leads to `target` of every node; a `target` of 0 means the ClusterIP's own port."""

    port: int
    protocol: Protocol
    target: int

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol.upper()}"


@dataclass(frozen=True, slots=True)
class Published:
    """Everything one Service wants published. `cluster_ip` is used for ports without a nodePort."""

    service: ObjectKey
    ports: tuple[PublishedPort, ...]
    is_load_balancer: bool
    cluster_ip: str = ""

    @property
    def digest(self) -> str:
        """Changes when the container has to be made anew."""
        return hashlib.sha256(repr((self.ports, self.cluster_ip)).encode()).hexdigest()[:16]


def published(service: Object) -> Published | None:
    """What a Service publishes on the host: its ports (LoadBalancer) or its nodePorts (NodePort); None for others.

    The host's 127.0.0.1 is IPv4, and so is everything up to the nodes.
    """
    spec = service["spec"]
    cluster_ip = _ipv4(spec)
    kind = spec.get("type")
    if (
        kind not in ("LoadBalancer", "NodePort")
        or not cluster_ip
        or spec.get("loadBalancerClass")
        or "deletionTimestamp" in service["metadata"]
    ):
        return None
    is_balancer = kind == "LoadBalancer"
    ports = tuple(
        PublishedPort(port["port"] if is_balancer else port["nodePort"], _protocol(port), port.get("nodePort") or 0)
        for port in spec.get("ports") or ()
        if is_balancer or port.get("nodePort")
    )
    if not ports:
        return None
    return Published(key_of(service), ports, is_balancer, cluster_ip)


def lacks_ipv4(service: Object) -> bool:
    """Whether this is a load balancer that is not published because it has addresses of IPv6 only."""
    spec = service["spec"]
    wanted = spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass")
    return bool(wanted and spec.get("clusterIP") and not _ipv4(spec))


def _ipv4(spec: Object) -> str:
    addresses: list[str] = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    return next((a for a in addresses if ":" not in a), "")


def _protocol(port: Object) -> Protocol:
    match port.get("protocol"):
        case "UDP":
            return "udp"
        case "SCTP":
            return "sctp"
    return "tcp"


def target_nodes(service: Object, slices: Iterable[Object], nodes: Sequence[NodeConfig]) -> list[NodeConfig]:
    """The nodes that may be sent this Service's traffic: all, or with policy Local those that have endpoints."""
    if service["spec"].get("externalTrafficPolicy") != "Local":
        return list(nodes)
    own = [
        s
        for s in slices
        if (s["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == key_of(service).name
    ]
    ready = [e for s in own for e in s.get("endpoints") or () if (e.get("conditions") or {}).get("ready", True)]
    if not ready:  # as kube-proxy: terminating endpoints that still serve are better than none
        ready = [e for s in own for e in s.get("endpoints") or () if (e.get("conditions") or {}).get("serving")]
    local = {endpoint.get("nodeName") for endpoint in ready}
    return [node for node in nodes if node.name in local]


def render_rules(wanted: Published, nodes: Sequence[NodeConfig]) -> str:
    """The nat table of the Service's container for iptables-restore: spread over the nodes, by chance."""
    lines = ["*nat", ":PREROUTING ACCEPT [0:0]", ":POSTROUTING ACCEPT [0:0]"]
    for port in wanted.ports:
        for number, node in enumerate(nodes):
            left = len(nodes) - number
            chance = f" -m statistic --mode random --probability {1 / left:.10f}" if left > 1 else ""
            to = f"{node.address}:{port.target}" if port.target else f"{wanted.cluster_ip}:{port.port}"
            match = f"-p {port.protocol} -m {port.protocol} --dport {port.port}"
            lines.append(f"-A PREROUTING {match}{chance} -j DNAT --to-destination {to}")
            if not port.target:
                break  # one rule: the route decides on the node
    lines += ["-A POSTROUTING -j MASQUERADE", "COMMIT"]
    return "\n".join(lines) + "\n"
