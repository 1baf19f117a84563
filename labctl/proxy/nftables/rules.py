"""The rules of kube-proxy's nftables mode, as a pure function of service ports.

Chains, maps and sets are those of pkg/proxy/nftables/proxier.go (Kubernetes 1.36), rules in the form in which `nft list` prints
them. Each service port makes a `Fragment`, independent of all others.

Every `map { … }` within a rule is a set without a name to the kernel, which looks through all of them to number a new one: ten
thousand take minutes. So above MANY service ports endpoints are chosen by one rule each, as in iptables mode, with the
same probabilities; chains and their names stay.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

from labctl.proxy.family import Family
from labctl.proxy.model import Categorised, Endpoint, NodeView, ServicePort, categorise
from labctl.proxy.nftables import names

MANY = 1000
MARK = f"meta mark set meta mark | {names.MASQUERADE_MARK}"
_KEY = "meta l4proto . th dport"


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a set or map; `value` is a verdict, or empty in a set."""

    container: str
    key: str
    value: str = ""
    comment: str = ""


@dataclass(slots=True)
class Fragment:
    """What one service port needs. `affinity` are sets of clients and how many seconds they are remembered."""

    chains: dict[str, list[str]] = field(default_factory=dict)
    elements: list[Element] = field(default_factory=list)
    affinity: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A chain that the kernel calls."""

    name: str
    kind: str
    hook: str
    priority: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Container:
    """A set or (with a verdict in its type) a map."""

    name: str
    type: str
    comment: str

    @property
    def kind(self) -> str:
        """The word nft has for it."""
        return "map" if "verdict" in self.type else "set"


_NEW = "ct state new jump"
BASE_CHAINS = (
    BaseChain("filter-prerouting-pre-dnat", "filter", "prerouting", "dstnat - 10", (f"{_NEW} {names.FIREWALL_CHECK}",)),
    BaseChain("filter-output-pre-dnat", "filter", "output", "-110", (f"{_NEW} {names.FIREWALL_CHECK}",)),
    BaseChain(
        "filter-input",
        "filter",
        "input",
        "filter",
        (f"{_NEW} {names.NODEPORT_ENDPOINTS_CHECK}", f"{_NEW} {names.SERVICE_ENDPOINTS_CHECK}"),
    ),
    BaseChain(
        "filter-forward",
        "filter",
        "forward",
        "filter",
        (f"{_NEW} {names.SERVICE_ENDPOINTS_CHECK}", f"{_NEW} {names.CLUSTER_IPS_CHECK}"),
    ),
    BaseChain(
        "filter-output",
        "filter",
        "output",
        "filter",
        (f"{_NEW} {names.SERVICE_ENDPOINTS_CHECK}", f"{_NEW} {names.CLUSTER_IPS_CHECK}"),
    ),
    BaseChain("nat-prerouting", "nat", "prerouting", "dstnat", (f"jump {names.SERVICES}",)),
    BaseChain("nat-output", "nat", "output", "-100", (f"jump {names.SERVICES}",)),
    BaseChain("nat-postrouting", "nat", "postrouting", "srcnat", (f"jump {names.MASQUERADING}",)),
)
_TO_NODE_PORT = "inet_proto . inet_service : verdict"


def containers(family: Family) -> tuple[Container, ...]:
    """The sets and maps of a family."""
    address = family.nft_address
    to_service = f"{address} . inet_proto . inet_service : verdict"
    return (
        Container(names.HAIRPIN, f"{address} . {address} . inet_proto . inet_service", "service hairpin connections"),
        Container(names.CLUSTER_IPS, address, "Active ClusterIPs"),
        Container(names.NODEPORT_IPS, address, "IPs that accept NodePort traffic"),
        Container(
            names.NO_ENDPOINT_SERVICES, to_service, "vmap to drop or reject packets to services with no endpoints"
        ),
        Container(
            names.NO_ENDPOINT_NODEPORTS,
            _TO_NODE_PORT,
            "vmap to drop or reject packets to service nodeports with no endpoints",
        ),
        Container(names.FIREWALL_IPS, to_service, "destinations that are subject to LoadBalancerSourceRanges"),
        Container(names.SERVICE_IPS, to_service, "ClusterIP, ExternalIP and LoadBalancer IP traffic"),
        Container(names.SERVICE_NODEPORTS, _TO_NODE_PORT, "NodePort traffic"),
    )


def base(view: NodeView) -> Fragment:
    """Chains and elements that are there without any Service."""
    ip = view.family.nft
    service, node_port = f"{ip} daddr . {_KEY}", f"{ip} daddr @{names.NODEPORT_IPS} {_KEY}"
    check = [f'{ip} daddr @{names.CLUSTER_IPS} reject comment "Reject traffic to invalid ports of ClusterIPs"']
    if view.service_cidr:
        check.append(f'{ip} daddr {view.service_cidr} drop comment "Drop traffic to unallocated ClusterIPs"')
    masquerade = "masquerade fully-random"
    mark = names.MASQUERADE_MARK
    return Fragment(
        chains={
            names.NODEPORT_ENDPOINTS_CHECK: [f"{node_port} vmap @{names.NO_ENDPOINT_NODEPORTS}"],
            names.SERVICE_ENDPOINTS_CHECK: [f"{service} vmap @{names.NO_ENDPOINT_SERVICES}"],
            names.FIREWALL_CHECK: [f"{service} vmap @{names.FIREWALL_IPS}"],
            names.SERVICES: [
                f"{ip} daddr @{names.CLUSTER_IPS} {ip} saddr != {view.pod_cidr} {MARK} "
                'comment "masquerade clusterIP traffic from outside cluster"',
                f"{service} vmap @{names.SERVICE_IPS}",
                f"{node_port} vmap @{names.SERVICE_NODEPORTS}",
            ],
            names.MASQUERADING: [
                f"meta mark & {mark} != 0x00000000 meta mark set meta mark ^ {mark} {masquerade}",
                f"ct status dnat {ip} saddr . {service} @{names.HAIRPIN} {masquerade}",
            ],
            names.CLUSTER_IPS_CHECK: check,
            names.REJECT: ["reject"],
        },
        elements=[Element(names.NODEPORT_IPS, view.address)],
    )


def fragment(port: ServicePort, view: NodeView, *, many: bool = False) -> Fragment:
    """Everything that one service port contributes; `many` tells that there are more than MANY of them."""
    targets = categorise(port, node=view.name, zone=view.zone)
    found = Fragment()
    base_name = names.service_base(port)
    for endpoint in targets.all_reachable:
        if endpoint.is_local:
            hairpin = f"{endpoint.ip} . {endpoint.ip} . {port.protocol} . {endpoint.port}"
            found.elements.append(Element(names.HAIRPIN, hairpin))
        if port.affinity_s:
            _affinity(found, port, endpoint)
    for prefix, endpoints in (("service", targets.cluster), ("local", targets.local)):
        if endpoints:
            balance = _balance_with_affinity if port.affinity_s else _balance
            found.chains[f"{prefix}-{base_name}"] = balance(port, endpoints, many=many)
    _cluster_ip(found, port, targets, base_name)
    if port.is_external:
        _external(found, port, targets, base_name, view)
    return found


def _verdict(targets: Categorised) -> str:
    """What happens to packets that find no endpoint here."""
    return "drop" if targets.has_any else f"goto {names.REJECT}"


def _cluster_ip(found: Fragment, port: ServicePort, targets: Categorised, base_name: str) -> None:
    found.elements.append(Element(names.CLUSTER_IPS, port.cluster_ip))
    key = f"{port.cluster_ip} . {port.protocol} . {port.port}"
    if targets.has_internal(port):
        chain = f"{'local' if port.internal_local else 'service'}-{base_name}"
        found.elements.append(Element(names.SERVICE_IPS, key, f"goto {chain}"))
    else:
        found.elements.append(Element(names.NO_ENDPOINT_SERVICES, key, _verdict(targets), port.full_name))


def _external(found: Fragment, port: ServicePort, targets: Categorised, base_name: str, view: NodeView) -> None:
    chain = f"external-{base_name}"
    if targets.has_any:
        found.chains[chain] = _external_chain(port, targets, base_name, view)
    guarded = bool(port.load_balancer_ips and port.source_ranges)
    if guarded:
        found.chains[f"firewall-{base_name}"] = [_firewall(port, view)]
    for address in (*port.external_ips, *port.load_balancer_ips):
        key = f"{address} . {port.protocol} . {port.port}"
        _destination(found, port, targets, key, chain, (names.SERVICE_IPS, names.NO_ENDPOINT_SERVICES))
        if guarded and address in port.load_balancer_ips:
            found.elements.append(Element(names.FIREWALL_IPS, key, f"goto firewall-{base_name}"))
    if port.node_port:
        key = f"{port.protocol} . {port.node_port}"
        _destination(found, port, targets, key, chain, (names.SERVICE_NODEPORTS, names.NO_ENDPOINT_NODEPORTS))


def _destination(
    found: Fragment, port: ServicePort, targets: Categorised, key: str, chain: str, maps: tuple[str, str]
) -> None:
    if targets.has_any:
        found.elements.append(Element(maps[0], key, f"goto {chain}"))
    if not targets.has_external(port):
        found.elements.append(Element(maps[1], key, _verdict(targets), port.full_name))


def _external_chain(port: ServicePort, targets: Categorised, base_name: str, view: NodeView) -> list[str]:
    cluster = f"service-{base_name}"
    if not port.external_local:
        return [f'{MARK} comment "masquerade"', f"goto {cluster}"]
    rules = [
        f'{view.family.nft} saddr {view.pod_cidr} goto {cluster} comment "short-circuit pod traffic"',
        f'fib saddr type local {MARK} comment "masquerade local traffic"',
        f'fib saddr type local goto {cluster} comment "short-circuit local traffic"',
    ]
    if targets.local:
        rules.append(f"goto local-{base_name}")
    return rules


def _firewall(port: ServicePort, view: NodeView) -> str:
    """loadBalancerSourceRanges; a node that is in one may hold the load balancer's address, and then comes from there."""
    sources = list(port.source_ranges)
    node = ipaddress.ip_address(view.address)
    if any(node in ipaddress.ip_network(cidr) for cidr in port.source_ranges):
        sources += port.load_balancer_ips
    listed = sources[0] if len(sources) == 1 else "{ " + ", ".join(sources) + " }"
    return f"{view.family.nft} saddr != {listed} drop"


def _balance(port: ServicePort, endpoints: Sequence[Endpoint], *, many: bool) -> list[str]:
    protocol, count = f"meta l4proto {port.protocol}", len(endpoints)
    if many:
        return [f"{protocol} {_chance(count - index)}dnat to {endpoint}" for index, endpoint in enumerate(endpoints)]
    listed = ", ".join(f"{index} : {e.ip} . {e.port}" for index, e in enumerate(endpoints))
    return [f"{protocol} dnat {port.family.nft} to numgen random mod {count} map {{ {listed} }}"]


def _chance(left: int) -> str:
    """The next of `left` endpoints is as probable as each of the others."""
    return "" if left == 1 else f"numgen random mod {left} 0 "


def _balance_with_affinity(port: ServicePort, endpoints: Sequence[Endpoint], *, many: bool) -> list[str]:
    chains = [names.endpoint_base(port, e) for e in endpoints]
    rules = [f"{port.family.nft} saddr @affinity-{name} goto endpoint-{name}" for name in chains]
    if many:
        return rules + [f"{_chance(len(chains) - i)}goto endpoint-{name}" for i, name in enumerate(chains)]
    listed = ", ".join(f"{index} : goto endpoint-{name}" for index, name in enumerate(chains))
    return [*rules, f"numgen random mod {len(chains)} vmap {{ {listed} }}"]


def _affinity(found: Fragment, port: ServicePort, endpoint: Endpoint) -> None:
    name = names.endpoint_base(port, endpoint)
    found.affinity[f"affinity-{name}"] = port.affinity_s
    found.chains[f"endpoint-{name}"] = [
        f"update @affinity-{name} {{ {port.family.nft} saddr }}",
        f"meta l4proto {port.protocol} dnat to {endpoint}",
    ]
