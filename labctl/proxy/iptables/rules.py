"""The rules of kube-proxy's iptables mode, as a pure function of service ports.

Each service port makes a `Fragment`, independent of all others; the rule set is the base with all fragments. So one change
costs the old and the new fragment of one Service, however many there are.

Chains and rules are those of pkg/proxy/iptables/proxier.go (Kubernetes 1.36), in the form `iptables-save` prints, so that a
learner finds in a lab what a book or a cluster shows.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from labctl.proxy.family import IPV4, IPV6, Family
from labctl.proxy.iptables import chains
from labctl.proxy.model import Categorised, Endpoint, NodeView, ServicePort, categorise

NAT, FILTER = "nat", "filter"
_LAST = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"'


@dataclass(slots=True)
class Ruleset:
    """Rules by table and chain, in order; rules are texts without `-A CHAIN`."""

    nat: dict[str, list[str]] = field(default_factory=dict)
    filter: dict[str, list[str]] = field(default_factory=dict)

    def table(self, name: str) -> dict[str, list[str]]:
        """The chains of a table."""
        return self.nat if name == NAT else self.filter


@dataclass(slots=True)
class Fragment:
    """What one service port needs: chains of its own in table nat, and (table, chain, rule) in shared chains."""

    own: dict[str, list[str]] = field(default_factory=dict)
    shared: list[tuple[str, str, str]] = field(default_factory=list)


_NEW = "-m conntrack --ctstate NEW -m comment --comment"
_PORTALS = f'{_NEW} "kubernetes service portals" -j {chains.SERVICES}'
_VISIBLE = f'{_NEW} "kubernetes externally-visible service portals" -j {chains.EXTERNAL_SERVICES}'
_BALANCER = f'{_NEW} "kubernetes load balancer firewall" -j {chains.PROXY_FIREWALL}'
_NAT_PORTALS = f'-m comment --comment "kubernetes service portals" -j {chains.SERVICES}'

# Where the kernel's chains lead into ours: (table, chain, rule).
JUMPS: tuple[tuple[str, str, str], ...] = (
    (NAT, "PREROUTING", _NAT_PORTALS),
    (NAT, "OUTPUT", _NAT_PORTALS),
    (NAT, "POSTROUTING", f'-m comment --comment "kubernetes postrouting rules" -j {chains.POSTROUTING}'),
    (FILTER, "INPUT", _BALANCER),
    (FILTER, "INPUT", f'-m comment --comment "kubernetes health check service ports" -j {chains.NODEPORTS}'),
    (FILTER, "INPUT", _VISIBLE),
    (FILTER, "INPUT", f"-j {chains.FIREWALL}"),
    (FILTER, "FORWARD", _BALANCER),
    (FILTER, "FORWARD", f'-m comment --comment "kubernetes forwarding rules" -j {chains.FORWARD}'),
    (FILTER, "FORWARD", _PORTALS),
    (FILTER, "FORWARD", _VISIBLE),
    (FILTER, "OUTPUT", _BALANCER),
    (FILTER, "OUTPUT", _PORTALS),
    (FILTER, "OUTPUT", f"-j {chains.FIREWALL}"),
)


def last(family: Family) -> str:
    """The rule that ends KUBE-SERVICES; all other rules of shared chains may stand in any order.

    The kernel has no route_localnet for IPv6: NodePorts never work on ::1.
    """
    loopback = f"! -d {family.loopback} " if family is IPV6 else ""
    return f"{loopback}{_LAST} -m addrtype --dst-type LOCAL -j {chains.NODEPORTS}"


def rules(ports: Iterable[ServicePort], view: NodeView) -> Ruleset:
    """All chains and rules for the service ports of one family on one node."""
    found = base(view.family)
    for port in sorted(ports, key=lambda p: (p.full_name, p.protocol)):
        made = fragment(port, view)
        found.nat.update(made.own)
        for table, chain, rule in made.shared:
            found.table(table)[chain].append(rule)
    found.nat[chains.SERVICES].append(last(view.family))
    return found


def base(family: Family) -> Ruleset:
    """The chains that are there without any Service, KUBE-SERVICES still without its last rule."""
    mark = chains.MASQUERADE_MARK
    forwarding = '-m comment --comment "kubernetes forwarding'
    localnet = (
        '! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" '
        "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
    )
    return Ruleset(
        nat={
            chains.SERVICES: [],
            chains.NODEPORTS: [],
            chains.POSTROUTING: [
                f"-m mark ! --mark {mark}/{mark} -j RETURN",
                f"-j MARK --set-xmark {mark}/0x0",
                '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
            ],
            chains.MARK_MASQ: [f"-j MARK --set-xmark {mark}/{mark}"],
        },
        filter={
            chains.SERVICES: [],
            chains.EXTERNAL_SERVICES: [],
            chains.FORWARD: [
                "-m conntrack --ctstate INVALID -j DROP",
                f'{forwarding} rules" -m mark --mark {mark}/{mark} -j ACCEPT',
                f'{forwarding} conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
            ],
            chains.NODEPORTS: [],
            chains.PROXY_FIREWALL: [],
            chains.FIREWALL: [localnet] if family is IPV4 else [],
        },
    )


def fragment(port: ServicePort, view: NodeView) -> Fragment:
    """Everything that one service port contributes."""
    targets = categorise(port, node=view.name, zone=view.zone)
    found = Fragment()
    _cluster_ip(found, port, targets)
    if port.is_external:
        _external(found, port, targets, view)
    if port.health_check_port:
        comment = f"{port.namespace}/{port.name} health check node port"
        rule = f'-p tcp -m comment --comment "{comment}" -m tcp --dport {port.health_check_port} -j ACCEPT'
        found.shared.append((FILTER, chains.NODEPORTS, rule))
    if targets.cluster:
        found.own[chains.cluster(port)] = _balancing(port, targets.cluster, view, internal=not port.internal_local)
    if targets.local:
        found.own[chains.local(port)] = _balancing(port, targets.local, view, internal=port.internal_local)
    for endpoint in targets.all_reachable:
        found.own[chains.endpoint(port, endpoint)] = _endpoint_rules(port, endpoint)
    return found


def _match(address: str, port: ServicePort, comment: str, number: int) -> str:
    to, protocol = f"-d {address}/{port.family.bits}", port.protocol
    return f'{to} -p {protocol} -m comment --comment "{comment}" -m {protocol} --dport {number}'


def _cluster_ip(found: Fragment, port: ServicePort, targets: Categorised) -> None:
    if targets.has_internal(port):
        chain = chains.local(port) if port.internal_local else chains.cluster(port)
        rule = f"{_match(port.cluster_ip, port, f'{port.full_name} cluster IP', port.port)} -j {chain}"
        found.shared.append((NAT, chains.SERVICES, rule))
    else:
        found.shared.append((FILTER, chains.SERVICES, _without(port, targets, port.cluster_ip)))


def _verdict(port: ServicePort, targets: Categorised) -> tuple[str, str]:
    """What happens to packets that find no endpoint here, and the words for it."""
    if targets.has_any:
        return "has no local endpoints", "DROP"
    return "has no endpoints", f"REJECT --reject-with {port.family.refusal}"


def _without(port: ServicePort, targets: Categorised, address: str) -> str:
    words, action = _verdict(port, targets)
    return f"{_match(address, port, f'{port.full_name} {words}', port.port)} -j {action}"


def _external(found: Fragment, port: ServicePort, targets: Categorised, view: NodeView) -> None:
    """NodePort, load balancer and external addresses lead to KUBE-EXT-, which knows the policies."""
    chain = chains.external(port)
    guarded = bool(targets.has_any and port.source_ranges and port.load_balancer_ips)
    for address in port.external_ips:
        _destination(found, port, targets, address, what="external IP", chain=chain)
    for address in port.load_balancer_ips:
        target = chains.firewall(port) if guarded else chain
        _destination(found, port, targets, address, what="loadbalancer IP", chain=target)
        if guarded:
            comment = f"{port.full_name} traffic not accepted by {chains.firewall(port)}"
            rule = f"{_match(address, port, comment, port.port)} -j DROP"
            found.shared.append((FILTER, chains.PROXY_FIREWALL, rule))
    if port.node_port:
        _node_port(found, port, targets, chain)
    if guarded:
        found.own[chains.firewall(port)] = _firewall(port, chain, view)
    if targets.has_any:
        found.own[chain] = _external_chain(port, targets, view)


def _destination(
    found: Fragment, port: ServicePort, targets: Categorised, address: str, *, what: str, chain: str
) -> None:
    if targets.has_any:
        rule = f"{_match(address, port, f'{port.full_name} {what}', port.port)} -j {chain}"
        found.shared.append((NAT, chains.SERVICES, rule))
    if not targets.has_external(port):
        found.shared.append((FILTER, chains.EXTERNAL_SERVICES, _without(port, targets, address)))


def _node_port(found: Fragment, port: ServicePort, targets: Categorised, chain: str) -> None:
    protocol, number = port.protocol, port.node_port
    if targets.has_any:
        rule = f'-p {protocol} -m comment --comment "{port.full_name}" -m {protocol} --dport {number} -j {chain}'
        found.shared.append((NAT, chains.NODEPORTS, rule))
    if not targets.has_external(port):
        words, action = _verdict(port, targets)
        rule = (
            f'-p {protocol} -m comment --comment "{port.full_name} {words}" -m addrtype --dst-type LOCAL '
            f"-m {protocol} --dport {number} -j {action}"
        )
        found.shared.append((FILTER, chains.EXTERNAL_SERVICES, rule))


def _firewall(port: ServicePort, chain: str, view: NodeView) -> list[str]:
    """loadBalancerSourceRanges; who is not let through meets KUBE-PROXY-FIREWALL, undelivered.

    A node that is in a range may have the load balancer's address itself, and then it comes from there.
    """
    sources = list(port.source_ranges)
    node = ipaddress.ip_address(view.address)
    if any(node in ipaddress.ip_network(cidr) for cidr in port.source_ranges):
        sources += [f"{address}/{port.family.bits}" for address in port.load_balancer_ips]
    rules = [f'-s {cidr} -m comment --comment "{port.full_name} loadbalancer IP" -j {chain}' for cidr in sources]
    rules.append(f'-m comment --comment "other traffic to {port.full_name} will be dropped by {chains.PROXY_FIREWALL}"')
    return rules


def _external_chain(port: ServicePort, targets: Categorised, view: NodeView) -> list[str]:
    destinations = f"{port.full_name} external destinations"
    cluster = chains.cluster(port)
    if not port.external_local:
        return [
            f'-m comment --comment "masquerade traffic for {destinations}" -j {chains.MARK_MASQ}',
            f"-j {cluster}",
        ]
    rules = [
        f'-s {view.pod_cidr} -m comment --comment "pod traffic for {destinations}" -j {cluster}',
        f'-m comment --comment "masquerade LOCAL traffic for {destinations}" '
        f"-m addrtype --src-type LOCAL -j {chains.MARK_MASQ}",
        f'-m comment --comment "route LOCAL traffic for {destinations}" -m addrtype --src-type LOCAL -j {cluster}',
    ]
    if targets.local:
        rules.append(f"-j {chains.local(port)}")
    return rules


def _balancing(port: ServicePort, endpoints: tuple[Endpoint, ...], view: NodeView, *, internal: bool) -> list[str]:
    """The chain of a policy. Traffic to the ClusterIP from beyond the pods' range must come back this way: it is marked."""
    rules = _balance(port, endpoints)
    if not internal:
        return rules
    match = _match(port.cluster_ip, port, f"{port.full_name} cluster IP", port.port)
    return [f"! -s {view.pod_cidr} {match} -j {chains.MARK_MASQ}", *rules]


def _balance(port: ServicePort, endpoints: tuple[Endpoint, ...]) -> list[str]:
    """Affinity first, then chance: 1/n, 1/(n-1), …, 1."""
    rules = []
    if port.affinity_s:
        for endpoint in endpoints:
            name = chains.endpoint(port, endpoint)
            rules.append(
                f'-m comment --comment "{port.full_name} -> {endpoint}" -m recent --rcheck --seconds {port.affinity_s} '
                f"--reap --name {name} --mask {port.family.full_mask} --rsource -j {name}"
            )
    count = len(endpoints)
    for index, endpoint in enumerate(endpoints):
        chance = "" if index == count - 1 else f" -m statistic --mode random --probability {_share(count - index)}"
        name = chains.endpoint(port, endpoint)
        rules.append(f'-m comment --comment "{port.full_name} -> {endpoint}"{chance} -j {name}')
    return rules


def _share(count: int) -> str:
    """1/count as the kernel keeps it: kube-proxy writes ten digits, the kernel rounds to 31 bits, iptables-save shows that."""
    written = float(f"{1 / count:.10f}")
    return f"{int(written * 0x80000000 + 0.5) / 0x80000000:.11f}"


def _endpoint_rules(port: ServicePort, endpoint: Endpoint) -> list[str]:
    name = chains.endpoint(port, endpoint)
    comment = f'-m comment --comment "{port.full_name}"'
    affinity = f" -m recent --set --name {name} --mask {port.family.full_mask} --rsource" if port.affinity_s else ""
    return [
        f"-s {endpoint.ip}/{port.family.bits} {comment} -j {chains.MARK_MASQ}",
        f"-p {port.protocol} {comment}{affinity} -m {port.protocol} -j DNAT --to-destination {endpoint}",
    ]
