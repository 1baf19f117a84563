"""hostPort: ports of the node that lead to one of its pods, with the chains of CNI's portmap plugin. Pure.

They are iptables rules in both proxy modes, as the plugin's are, and come after the Services' rules: a NodePort wins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from labctl.proxy.pods import HostPort, Pod

DNAT, SET_MARK, MASQUERADE = "CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ"
_PER_POD, _MARK = "CNI-DN-", "0x2000/0x2000"
_LONGEST = 28  # of a chain's name in iptables
_NODE = "-m addrtype --dst-type LOCAL"

# Our jumps: (chain of table nat, arguments).
JUMPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("PREROUTING", (*_NODE.split(), "-j", DNAT)),
    ("OUTPUT", (*_NODE.split(), "-j", DNAT)),
    ("POSTROUTING", ("-m", "comment", "--comment", "CNI portfwd requiring masquerade", "-j", MASQUERADE)),
)

Chains = dict[str, list[str]]


def chain_of(pod: Pod) -> str:
    """The chain of one pod."""
    hashed = hashlib.sha512(f"{pod.namespace}/{pod.name}".encode()).hexdigest()
    return (_PER_POD + hashed)[:_LONGEST]


def chains(pods: Iterable[Pod], *, node: str, pod_cidr: str) -> Chains:
    """All chains of a node; `pod_cidr` is the node's own range, whose pods come back to it only if masqueraded."""
    found: Chains = {
        DNAT: [],
        SET_MARK: [f'-m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark {_MARK}'],
        MASQUERADE: [f"-m mark --mark {_MARK} -j MASQUERADE"],
    }
    for pod in sorted(pods, key=lambda p: (p.namespace, p.name)):
        if pod.node != node or not pod.host_ports:
            continue
        name = chain_of(pod)
        for protocol in dict.fromkeys(p.protocol for p in pod.host_ports):
            ports = ",".join(str(p.port) for p in pod.host_ports if p.protocol == protocol)
            comment = f'-m comment --comment "dnat name: labctl id: {pod.namespace}/{pod.name}"'
            found[DNAT].append(f"-p {protocol} {comment} -m multiport --dports {ports} -j {name}")
        found[name] = [rule for port in pod.host_ports for rule in _rules(pod, port, pod_cidr)]
    return found


def _rules(pod: Pod, port: HostPort, pod_cidr: str) -> list[str]:
    match = f"-p {port.protocol} -m {port.protocol} --dport {port.port}"
    destination = f"-d {port.address}/32 " if port.address else ""
    return [
        f"-s {pod_cidr} {destination}{match} -j {SET_MARK}",
        f"-s 127.0.0.1/32 {destination}{match} -j {SET_MARK}",
        f"{destination}{match} -j DNAT --to-destination {pod.address}:{port.container_port}",
    ]


def restore(wanted: Chains, stale: Iterable[str]) -> str:
    """The iptables-restore text that writes all chains and deletes those of pods that are gone."""
    gone = sorted(set(stale) - set(wanted))
    lines = ["*nat", *(f":{chain} - [0:0]" for chain in (*wanted, *gone))]
    lines += [f"-A {chain} {rule}" for chain, rules in wanted.items() for rule in rules]
    lines += [f"-X {chain}" for chain in gone]
    return "\n".join([*lines, "COMMIT\n"])
