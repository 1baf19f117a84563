"""The rules of kube-proxy's iptables mode, as a pure function of service ports.

Chains and rules are those of pkg/proxy/iptables/proxier.go (Kubernetes 1.36), in the form `iptables-save` prints, so that a
learner finds in a lab what a book or a cluster shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from labctl.proxy.iptables import chains
from labctl.proxy.model import Categorised, Endpoint, ServicePort, categorise

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


def rules(ports: Iterable[ServicePort], *, node: str, pod_cidr: str, zone: str = "") -> Ruleset:
    """All chains and rules for the service ports of one family on one node."""
    found = _base()
    for port in sorted(ports, key=lambda p: (p.full_name, p.protocol)):
        _service(found, port, categorise(port, node=node, zone=zone), pod_cidr)
    found.nat[chains.SERVICES].append(f"{_LAST} -m addrtype --dst-type LOCAL -j {chains.NODEPORTS}")
    return found


def _base() -> Ruleset:
    mark = chains.MASQUERADE_MARK
    forwarding = '-m comment --comment "kubernetes forwarding'
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
            chains.FIREWALL: [
                '! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" '
                "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
            ],
        },
    )


def _match(address: str, port: ServicePort, comment: str, number: int) -> str:
    return f'-d {address}/32 -p {port.protocol} -m comment --comment "{comment}" -m {port.protocol} --dport {number}'


def _service(found: Ruleset, port: ServicePort, targets: Categorised, pod_cidr: str) -> None:
    internal_endpoints = targets.local if port.internal_local else targets.cluster
    external_endpoints = targets.local if port.external_local else targets.cluster
    internal_chain = chains.local(port) if port.internal_local else chains.cluster(port)
    if internal_endpoints:
        comment = f"{port.full_name} cluster IP"
        found.nat[chains.SERVICES].append(f"{_match(port.cluster_ip, port, comment, port.port)} -j {internal_chain}")
    else:
        found.filter[chains.SERVICES].append(_without(port, targets, port.cluster_ip, local=port.internal_local))
    if port.is_external:
        _external(found, port, targets, external_endpoints)
        if targets.has_any:
            _external_chain(found, port, targets, pod_cidr)
    if port.health_check_port:
        comment = f"{port.namespace}/{port.name} health check node port"
        found.filter[chains.NODEPORTS].append(
            f'-p tcp -m comment --comment "{comment}" -m tcp --dport {port.health_check_port} -j ACCEPT'
        )
    used_cluster = bool(targets.cluster) and port.uses_cluster_endpoints
    if used_cluster or (port.is_external and port.external_local and targets.cluster):
        found.nat[chains.cluster(port)] = _masquerade(port, chains.cluster(port), pod_cidr) + _balance(
            port, targets.cluster
        )
    if port.uses_local_endpoints and targets.local:
        found.nat[chains.local(port)] = _masquerade(port, chains.local(port), pod_cidr) + _balance(port, targets.local)
    for endpoint in targets.all_reachable:
        found.nat[chains.endpoint(port, endpoint)] = _endpoint_rules(port, endpoint)


def _verdict(targets: Categorised, *, local: bool) -> tuple[str, str]:
    """What happens to packets without endpoints, and the words for it."""
    if local and targets.has_any:
        return "has no local endpoints", "DROP"
    return "has no endpoints", "REJECT --reject-with icmp-port-unreachable"


def _without(port: ServicePort, targets: Categorised, address: str, *, local: bool) -> str:
    words, action = _verdict(targets, local=local)
    return f"{_match(address, port, f'{port.full_name} {words}', port.port)} -j {action}"


def _external(found: Ruleset, port: ServicePort, targets: Categorised, endpoints: tuple[Endpoint, ...]) -> None:
    chain = chains.external(port)
    # Policy Local without local endpoints: pods and the node itself still reach the others through KUBE-EXT-.
    reachable = bool(endpoints) or (port.external_local and targets.has_any and bool(targets.cluster))
    guarded = bool(port.source_ranges and port.load_balancer_ips)
    for address in port.external_ips:
        _destination(found, port, targets, address, "external IP", chain, reachable=reachable, dropped=not endpoints)
    for address in port.load_balancer_ips:
        target = chains.firewall(port) if guarded else chain
        _destination(
            found, port, targets, address, "loadbalancer IP", target, reachable=reachable, dropped=not endpoints
        )
        if guarded:
            comment = f"{port.full_name} traffic not accepted by {chains.firewall(port)}"
            found.filter[chains.PROXY_FIREWALL].append(f"{_match(address, port, comment, port.port)} -j DROP")
    if guarded:
        _firewall(found, port, chain)
    if port.node_port:
        if reachable:
            found.nat[chains.NODEPORTS].append(
                f'-p {port.protocol} -m comment --comment "{port.full_name}" -m {port.protocol} '
                f"--dport {port.node_port} -j {chain}"
            )
        if not endpoints:
            words, action = _verdict(targets, local=port.external_local)
            found.filter[chains.EXTERNAL_SERVICES].append(
                f'-p {port.protocol} -m comment --comment "{port.full_name} {words}" -m addrtype --dst-type LOCAL '
                f"-m {port.protocol} --dport {port.node_port} -j {action}"
            )


def _destination(
    found: Ruleset,
    port: ServicePort,
    targets: Categorised,
    address: str,
    what: str,
    chain: str,
    *,
    reachable: bool,
    dropped: bool,
) -> None:
    if reachable:
        comment = f"{port.full_name} {what}"
        found.nat[chains.SERVICES].append(f"{_match(address, port, comment, port.port)} -j {chain}")
    if dropped:
        found.filter[chains.EXTERNAL_SERVICES].append(_without(port, targets, address, local=port.external_local))


def _firewall(found: Ruleset, port: ServicePort, chain: str) -> None:
    name = chains.firewall(port)
    rules = [
        f'-s {cidr} -m comment --comment "{port.full_name} loadbalancer IP" -j {chain}' for cidr in port.source_ranges
    ]
    rules.append(f'-m comment --comment "other traffic to {port.full_name} will be dropped by {chains.PROXY_FIREWALL}"')
    found.nat[name] = rules


def _external_chain(found: Ruleset, port: ServicePort, targets: Categorised, pod_cidr: str) -> None:
    destinations = f"{port.full_name} external destinations"
    cluster = chains.cluster(port)
    if not port.external_local:
        if targets.cluster:
            found.nat[chains.external(port)] = [
                f'-m comment --comment "masquerade traffic for {destinations}" -j {chains.MARK_MASQ}',
                f"-j {cluster}",
            ]
        return
    if not targets.cluster and not targets.local:
        return
    rules = []
    if targets.cluster:
        rules = [
            f'-s {pod_cidr} -m comment --comment "pod traffic for {destinations}" -j {cluster}',
            f'-m comment --comment "masquerade LOCAL traffic for {destinations}" '
            f"-m addrtype --src-type LOCAL -j {chains.MARK_MASQ}",
            f'-m comment --comment "route LOCAL traffic for {destinations}" -m addrtype --src-type LOCAL -j {cluster}',
        ]
    if targets.local:
        rules.append(f"-j {chains.local(port)}")
    found.nat[chains.external(port)] = rules


def _masquerade(port: ServicePort, chain: str, pod_cidr: str) -> list[str]:
    """Traffic to the ClusterIP from outside the pods' range must come back this way: only its chain says so."""
    if chain != (chains.local(port) if port.internal_local else chains.cluster(port)):
        return []
    match = _match(port.cluster_ip, port, f"{port.full_name} cluster IP", port.port)
    return [f"! -s {pod_cidr} {match} -j {chains.MARK_MASQ}"]


def _balance(port: ServicePort, endpoints: tuple[Endpoint, ...]) -> list[str]:
    """Affinity first, then chance: 1/n, 1/(n-1), …, 1."""
    rules = []
    if port.affinity_s:
        for endpoint in endpoints:
            name = chains.endpoint(port, endpoint)
            rules.append(
                f'-m comment --comment "{port.full_name} -> {endpoint}" -m recent --rcheck --seconds {port.affinity_s} '
                f"--reap --name {name} --mask 255.255.255.255 --rsource -j {name}"
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
    affinity = f" -m recent --set --name {name} --mask 255.255.255.255 --rsource" if port.affinity_s else ""
    return [
        f"-s {endpoint.ip}/32 {comment} -j {chains.MARK_MASQ}",
        f"-p {port.protocol} {comment}{affinity} -m {port.protocol} -j DNAT --to-destination {endpoint}",
    ]
