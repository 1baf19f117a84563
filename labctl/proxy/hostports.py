"""hostPort: ports of the node that lead to one of its pods, with the chains of CNI's portmap plugin. Pure.

They are iptables rules in both proxy modes, as the plugin's are, and come after the Services' rules: a NodePort wins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from labctl.proxy.family import IPV4, Family
from labctl.proxy.iptables.restore import chains_in, rules_in
from labctl.proxy.pods import HostPort, Pod

DNAT, SET_MARK, MASQUERADE = "CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ"
_PER_POD, _MARK = "CNI-DN-", "0x2000/0x2000"
_OURS = ("CNI-HOSTPORT-", _PER_POD)
_LONGEST = 28  # of a chain's name in iptables

# Our jumps: (chain of table nat, rule).
JUMPS: tuple[tuple[str, str], ...] = (
    ("PREROUTING", f"-m addrtype --dst-type LOCAL -j {DNAT}"),
    ("OUTPUT", f"-m addrtype --dst-type LOCAL -j {DNAT}"),
    ("POSTROUTING", f'-m comment --comment "CNI portfwd requiring masquerade" -j {MASQUERADE}'),
)

Chains = dict[str, list[str]]


def chain_of(pod: Pod) -> str:
    """The chain of one pod."""
    hashed = hashlib.sha512(f"{pod.namespace}/{pod.name}".encode()).hexdigest()
    return (_PER_POD + hashed)[:_LONGEST]


def chains(pods: Iterable[Pod], *, node: str, pod_cidr: str, family: Family = IPV4) -> Chains:
    """All chains of a node, none when no pod of it has a hostPort.

    `pod_cidr` is the node's own range of a family, whose pods come back to it only if masqueraded.
    """
    found: Chains = {
        DNAT: [],
        SET_MARK: [f'-m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark {_MARK}'],
        MASQUERADE: [f"-m mark --mark {_MARK} -j MASQUERADE"],
    }
    for pod in sorted(pods, key=lambda p: (p.namespace, p.name)):
        host_ports = [p for p in pod.host_ports if not p.address or family.owns(p.address)]
        if pod.node != node or not host_ports:
            continue
        name = chain_of(pod)
        for protocol in dict.fromkeys(p.protocol for p in host_ports):
            ports = ",".join(str(p.port) for p in host_ports if p.protocol == protocol)
            comment = f'-m comment --comment "dnat name: labctl id: {pod.namespace}/{pod.name}"'
            found[DNAT].append(f"-p {protocol} {comment} -m multiport --dports {ports} -j {name}")
        found[name] = [rule for port in host_ports for rule in _rules(pod, port, pod_cidr, family)]
    return found if found[DNAT] else {}


def _rules(pod: Pod, port: HostPort, pod_cidr: str, family: Family) -> list[str]:
    match = f"-p {port.protocol} -m {port.protocol} --dport {port.port}"
    destination = f"-d {port.address}/{family.bits} " if port.address else ""
    target = f"{pod.address}:{port.container_port}" if family is IPV4 else f"[{pod.address}]:{port.container_port}"
    # IPv6 has no route_localnet: packets to ::1 never leave loopback, so the plugin has no rule for them.
    loopback = [f"-s 127.0.0.1/32 {destination}{match} -j {SET_MARK}"] if family is IPV4 else []
    return [
        f"-s {pod_cidr} {destination}{match} -j {SET_MARK}",
        *loopback,
        f"{destination}{match} -j DNAT --to-destination {target}",
    ]


def restore(wanted: Chains, saved: str) -> str:
    """The iptables-restore text that makes chains and jumps those wanted; `saved` is what iptables-save prints now.

    With the last hostPort of a node its jumps go too. Empty when there is nothing to do.
    """
    gone = sorted(c for c in chains_in(saved).get("nat", ()) if c.startswith(_OURS) and c not in wanted)
    jumps = [
        f"{'-A' if wanted else '-D'} {chain} {rule}"
        for chain, rule in JUMPS
        if (rule in rules_in(saved, "nat", chain)) != bool(wanted)
    ]
    if not (wanted or gone or jumps):
        return ""
    lines = ["*nat", *(f":{chain} - [0:0]" for chain in (*wanted, *gone))]
    lines += [f"-A {chain} {rule}" for chain, rules in wanted.items() for rule in rules]
    lines += jumps
    lines += [f"-X {chain}" for chain in gone]
    return "\n".join([*lines, "COMMIT\n"])
