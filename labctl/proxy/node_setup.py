"""What a node is before any Service exists: a router between pods, other nodes and the LAN. Pure texts and lists.

Chains of labctl's own carry its name, so that they are never mistaken for kube-proxy's.
"""

from __future__ import annotations

import ipaddress

from labctl.config import LabConfig, NodeConfig
from labctl.proxy import family
from labctl.proxy.family import IPV6

MASQUERADE = "LABCTL-MASQ"
GUARD = "LABCTL-GUARD"

SYSCTLS = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv4/conf/all/route_localnet": "1",  # NodePorts on the node's 127.0.0.1
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "netfilter/nf_conntrack_tcp_be_liberal": "1",
}
PER_INTERFACE = {"send_redirects": "0", "rp_filter": "0", "route_localnet": "1"}


def routes(config: LabConfig, node: NodeConfig) -> list[tuple[str, ...]]:
    """Arguments of `ip route replace`: to each other node's pods through that node."""
    others = [n for n in config.nodes if n.name != node.name]
    behind = [(n.pod_cidr, n.pod_address) for n in others]
    behind += [(n.pod_cidr6, n.pod_address6) for n in others if n.pod_cidr6]
    return [(pods, "via", address) for pods, address in behind]


def routes6(config: LabConfig) -> list[tuple[str, ...]]:
    """Arguments of `ip -6 route replace`: none to the world, but one for services, which the guard keeps from leaving.

    Packets without a route never reach the proxy's REJECT of a Service without endpoints.

    Docker's own default route, with a metric of 1024, leads out of the machine through the LAN, and nothing there would give
    packets another source than an address of the lab.
    """
    gateway = str(ipaddress.ip_network(config.lan_cidr6)[1])
    return [("unreachable", "default", "metric", "1"), (config.service_cidr6, "via", gateway)]


def default_route(addresses: str, config: LabConfig) -> tuple[str, ...] | None:
    """Arguments of `ip route replace`: to the world through the one network that is neither LAN nor pods.

    `addresses` is what `ip -o -4 addr` prints, a line each: `2: eth0    inet 172.20.0.3/16 brd …`. Docker's gateway is the
    first address of a network.
    """
    inner = [ipaddress.ip_network(cidr) for cidr in (config.lan_cidr, config.pod_cidr, "127.0.0.0/8")]
    for line in addresses.splitlines():
        words = line.split()
        own = ipaddress.ip_interface(words[words.index("inet") + 1])
        if not any(own.ip in network for network in inner):
            return "default", "via", str(own.network[1]), "dev", words[1]
    return None


def guard_rules(pod_cidr: str, service_cidr: str) -> str:
    """An iptables-restore text of one family: masquerading, and what must never leave the node.

    Pods' packets to anything beyond the pods' range get the node's address. A service address that is still a service address
    when it leaves the node belongs to no Service or port: it is dropped, as it hangs in a real cluster. That is done in
    mangle's POSTROUTING, the first hook after all filtering, so that a proxy's REJECT in FORWARD or OUTPUT always comes before
    it, in whatever order and by whatever backend its rules are written.
    """
    redirects = []
    if family.of(pod_cidr) is IPV6:  # which has no send_redirects to switch off
        comment = '-m comment --comment "labctl: pods are not to go past their node"'
        redirects = [f"-A {GUARD} -p ipv6-icmp {comment} -m icmp6 --icmpv6-type 137 -j DROP"]
    lines = [
        "*nat",
        f":{MASQUERADE} - [0:0]",
        f"-A {MASQUERADE} -s {pod_cidr} ! -d {pod_cidr} "
        '-m comment --comment "labctl: pods leave with the address of their node" -j MASQUERADE --random-fully',
        "COMMIT",
        "*mangle",
        f":{GUARD} - [0:0]",
        f'-A {GUARD} -d {service_cidr} -m comment --comment "labctl: no Service has this address and port" -j DROP',
        *redirects,
        "COMMIT\n",
    ]
    return "\n".join(lines)


# Our jumps: (table, chain, arguments).
JUMPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("nat", "POSTROUTING", ("-j", MASQUERADE)),
    ("mangle", "POSTROUTING", ("-j", GUARD)),
)
