"""What the rules are made of: service ports and their endpoints on one node, of one address family. Pure.

Follows pkg/proxy (serviceport.go, endpointslicecache.go, topology.go) of Kubernetes 1.36.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from labctl.api.objects import Object, ObjectKey, key_of
from labctl.proxy import family
from labctl.proxy.family import Family

SERVICE_NAME = "kubernetes.io/service-name"
_OTHER_PROXY = "service.kubernetes.io/service-proxy-name"
_HEADLESS = "service.kubernetes.io/headless"


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One address and port behind a service port."""

    ip: str
    port: int
    is_local: bool = False
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    node: str = ""
    zone_hints: frozenset[str] = frozenset()
    node_hints: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return family.with_port(self.ip, self.port)


@dataclass(frozen=True, slots=True)
class NodeView:
    """What the rules of one node depend on besides Services: its name, zone, own address, and the cluster's ranges.

    Address and ranges are those of one family; a dual-stack node has two views.
    """

    name: str
    address: str
    pod_cidr: str
    service_cidr: str = ""
    zone: str = ""

    @property
    def family(self) -> Family:
        """The family of the addresses, and so of the rules."""
        return family.of(self.pod_cidr)


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service, in one address family. Protocols are lower case, as rules have them."""

    namespace: str
    name: str
    port_name: str
    protocol: str
    cluster_ip: str
    port: int
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity_s: int = 0
    external_local: bool = False
    internal_local: bool = False
    health_check_port: int = 0
    endpoints: tuple[Endpoint, ...] = ()

    @property
    def full_name(self) -> str:
        """`namespace/name:port`, as comments and hashes have it."""
        base = f"{self.namespace}/{self.name}"
        return f"{base}:{self.port_name}" if self.port_name else base

    @property
    def family(self) -> Family:
        """The family of its addresses."""
        return family.of(self.cluster_ip)

    @property
    def is_external(self) -> bool:
        """Whether it is reachable from outside the cluster."""
        return bool(self.node_port or self.external_ips or self.load_balancer_ips)

    @property
    def uses_cluster_endpoints(self) -> bool:
        """Whether any of its traffic may go to all nodes: with policy Local, that of pods and nodes still does."""
        return not self.internal_local or self.is_external

    @property
    def uses_local_endpoints(self) -> bool:
        """Whether any of its traffic must stay on the node."""
        return self.internal_local or (self.is_external and self.external_local)


@dataclass(frozen=True, slots=True)
class Categorised:
    """Endpoints by use: `cluster` for policy Cluster, `local` for Local, `all_reachable` is both without doubles.

    `has_any` tells whether there is a usable endpoint on any node, also where this node may not use it.
    """

    cluster: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]
    all_reachable: tuple[Endpoint, ...]
    has_any: bool

    def has_internal(self, port: ServicePort) -> bool:
        """Whether packets to the ClusterIP find an endpoint."""
        return bool(self.local) if port.internal_local else self.has_any

    def has_external(self, port: ServicePort) -> bool:
        """Whether packets from outside to an external destination find an endpoint."""
        return bool(self.local) if port.external_local else self.has_any


def categorise(port: ServicePort, *, node: str, zone: str = "") -> Categorised:
    """CategorizeEndpoints: ready ones, or (only if there are none) those that terminate but still serve."""
    cluster: tuple[Endpoint, ...] = ()
    local: tuple[Endpoint, ...] = ()
    if port.uses_cluster_endpoints:
        hinted = _hinted(port.endpoints, node=node, zone=zone)
        cluster = tuple(e for e in port.endpoints if e.ready and (hinted is None or e in hinted))
        if not cluster:
            cluster = tuple(e for e in port.endpoints if e.serving and e.terminating)
    if port.uses_local_endpoints:
        local = tuple(e for e in port.endpoints if e.ready and e.is_local)
        if not local:
            local = tuple(e for e in port.endpoints if e.serving and e.terminating and e.is_local)
    has_any = bool(cluster) or any(e.ready or (e.serving and e.terminating) for e in port.endpoints)
    merged = cluster if not local else tuple(sorted(dict.fromkeys((*cluster, *local)), key=_order))
    return Categorised(cluster, local, merged, has_any)


def _hinted(endpoints: Iterable[Endpoint], *, node: str, zone: str) -> frozenset[Endpoint] | None:
    """Endpoints that are meant for this node or its zone; None when hints are absent or leave nothing."""
    ready = [e for e in endpoints if e.ready]
    if ready and all(e.node_hints for e in ready):
        mine = frozenset(e for e in ready if node in e.node_hints)
        if mine:
            return mine
    if zone and ready and all(e.zone_hints for e in ready):
        return frozenset(e for e in ready if zone in e.zone_hints) or None
    return None


def _order(endpoint: Endpoint) -> tuple[Any, ...]:
    return str(endpoint), endpoint


def service_ports(
    services: Iterable[Object],
    slices: Mapping[ObjectKey, Iterable[Object]],
    *,
    node: str,
    ip_family: str = "IPv4",
) -> list[ServicePort]:
    """All service ports that a proxy programs. `slices` are grouped by the key of their Service."""
    found: list[ServicePort] = []
    for service in services:
        parsed = [parse_slice(s, node=node, ip_families=(ip_family,)) for s in slices.get(key_of(service), ())]
        found += (with_endpoints(p, parsed) for p in parse_service(service, ip_family=ip_family))
    return found


def group_slices(slices: Iterable[Object]) -> dict[ObjectKey, list[Object]]:
    """Slices by the key of the Service they belong to."""
    grouped: dict[ObjectKey, list[Object]] = {}
    for slice_ in slices:
        service = service_of(slice_)
        if service:
            grouped.setdefault(service, []).append(slice_)
    return grouped


def service_of(slice_: Object) -> ObjectKey | None:
    """The key of the Service an EndpointSlice belongs to."""
    name = (slice_["metadata"].get("labels") or {}).get(SERVICE_NAME)
    return ObjectKey(key_of(slice_).namespace, name) if name else None


PortKey = tuple[str, str, str]
"""Name and protocol (lower case) of a port, and family of addresses: what joins Service ports and slices' ports."""

ParsedSlice = Mapping[PortKey, tuple[Endpoint, ...]]
"""A slice's endpoints by port."""


def parse_service(service: Object, *, ip_family: str = "IPv4") -> tuple[ServicePort, ...]:
    """The service ports of one Service without their endpoints; none when a proxy has nothing to do with it."""
    if _skipped(service):
        return ()
    address = _address(service, ip_family)
    if not address:
        return ()
    return tuple(_service_port(service, p, address, ip_family=ip_family) for p in service["spec"].get("ports") or ())


def parse_slice(slice_: Object, *, node: str, ip_families: Container[str] = ("IPv4",)) -> ParsedSlice:
    """The endpoints of one EndpointSlice as seen from a node; empty in another address family than those given."""
    ip_family: str = slice_.get("addressType", "")
    if ip_family not in ip_families:
        return {}
    found: dict[PortKey, tuple[Endpoint, ...]] = {}
    for port in slice_.get("ports") or ():
        if port.get("port"):
            endpoints = (_endpoint(raw, port["port"], node=node) for raw in slice_.get("endpoints") or ())
            key = (port.get("name") or "", port.get("protocol", "TCP").lower(), ip_family)
            found[key] = (*found.get(key, ()), *(e for e in endpoints if e is not None))
    return found


def with_endpoints(port: ServicePort, slices: Iterable[ParsedSlice]) -> ServicePort:
    """The service port with its endpoints from all slices, in the order of rules."""
    key = (port.port_name, port.protocol, port.family.name)
    listed = [e for s in slices for e in s.get(key, ())]
    if not listed:
        return port
    unique = {(e.ip, e.port): e for e in listed}
    return replace(port, endpoints=tuple(sorted(unique.values(), key=_order)))


def _skipped(service: Object) -> bool:
    labels = service["metadata"].get("labels") or {}
    spec = service["spec"]
    return _OTHER_PROXY in labels or spec.get("clusterIP") in ("", "None", None) or spec.get("type") == "ExternalName"


def _address(service: Object, ip_family: str) -> str:
    wanted = 6 if ip_family == "IPv6" else 4
    addresses = service["spec"].get("clusterIPs") or [service["spec"]["clusterIP"]]
    return next((a for a in addresses if (6 if ":" in a else 4) == wanted), "")


def _service_port(service: Object, port: Object, address: str, *, ip_family: str) -> ServicePort:
    spec, key = service["spec"], key_of(service)
    version = 6 if ip_family == "IPv6" else 4
    affinity = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds", 10800)
    external = spec.get("type") in ("NodePort", "LoadBalancer") or bool(spec.get("externalIPs"))
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    local = external and spec.get("externalTrafficPolicy") == "Local"
    return ServicePort(
        key.namespace,
        key.name,
        port.get("name") or "",
        port.get("protocol", "TCP").lower(),
        address,
        port["port"],
        node_port=port.get("nodePort") or 0,
        external_ips=tuple(a for a in spec.get("externalIPs") or () if _version(a) == version),
        load_balancer_ips=tuple(
            i["ip"] for i in ingress if i.get("ip") and i.get("ipMode") != "Proxy" and _version(i["ip"]) == version
        ),
        source_ranges=_source_ranges(spec, version),
        affinity_s=affinity if spec.get("sessionAffinity") == "ClientIP" else 0,
        external_local=local,
        internal_local=spec.get("internalTrafficPolicy") == "Local",
        health_check_port=spec.get("healthCheckNodePort") or 0 if spec.get("type") == "LoadBalancer" and local else 0,
    )


def _source_ranges(spec: Object, version: int) -> tuple[str, ...]:
    """loadBalancerSourceRanges of one family; a range of all addresses means the same as none."""
    ranges = (c.strip() for c in spec.get("loadBalancerSourceRanges") or ())
    networks = [ipaddress.ip_network(c, strict=False) for c in ranges if _version(c) == version]
    return () if any(n.prefixlen == 0 for n in networks) else tuple(map(str, networks))


def _version(address: str) -> int:
    return 6 if ":" in address else 4


_NONE: frozenset[str] = frozenset()  # one for all: most endpoints have no hints


def _endpoint(raw: Object, port: int, *, node: str) -> Endpoint | None:
    parsed = ipaddress.ip_address(raw["addresses"][0])
    if parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified:
        return None  # never from the API server, which refuses them; but rules must not trust that
    conditions, hints = raw.get("conditions") or {}, raw.get("hints") or {}
    ready = conditions.get("ready") is not False
    serving = conditions.get("serving")
    return Endpoint(
        str(parsed),
        port,
        is_local=raw.get("nodeName") == node,
        ready=ready,
        serving=ready if serving is None else serving,
        terminating=bool(conditions.get("terminating")),
        node=sys.intern(raw.get("nodeName") or ""),
        zone_hints=frozenset(z["name"] for z in hints.get("forZones") or ()) or _NONE,
        node_hints=frozenset(n["name"] for n in hints.get("forNodes") or ()) or _NONE,
    )
