"""NetworkPolicies as packet filter rules of a node: a pure function of policies, pods and namespaces.

Every packet of a pod passes its node, so egress is judged on the node of the pod that sends and ingress on the node of the one
that receives; in both cases after a Service's address became an endpoint's, and with the sender's own address. What is not
allowed is dropped. Packets from and to the pod's own node are none of a policy's business: they are not forwarded.

All of it is one table of nft's in both proxy modes: it stands in the forward hook before all filtering of a proxy, whose rules
accept some packets for good.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from labctl.api import selectors
from labctl.api.objects import Object, key_of
from labctl.proxy.family import IPV4, Family
from labctl.proxy.pods import Pod

TABLE = "labctl-policy"
_PRIORITY = -150  # of iptables' mangle, before filter
_LONGEST = 200  # of a chain's name; nft allows 256
_CHAINS = {"Egress": "egress-pods", "Ingress": "ingress-pods"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """What policies select from: pods, and the labels of namespaces by name."""

    pods: Sequence[Pod]
    namespaces: Mapping[str, Mapping[str, str]]

    def of(self, family: Family) -> Cluster:
        """The same with pods' addresses of one family, and without pods that have none."""
        return Cluster([found for p in self.pods if (found := p.of(family)) is not None], self.namespaces)

    def selected(self, names: Iterable[str], selector: Object | None) -> list[Pod]:
        """Pods of some namespaces; an absent selector means all of them."""
        wanted, among = selectors.from_object(selector or {}), set(names)
        return [p for p in self.pods if p.namespace in among and wanted.matches(p.labels)]

    def peers(self, peer: Object, namespace: str) -> list[Pod]:
        """Pods that podSelector and namespaceSelector of a peer name together."""
        names = [namespace]
        if peer.get("namespaceSelector") is not None:
            wanted = selectors.from_object(peer["namespaceSelector"])
            names = [name for name, labels in self.namespaces.items() if wanted.matches(labels)]
        return self.selected(names, peer.get("podSelector"))


def removal(family: Family) -> str:
    """The transaction that takes the table away, whether it is there or not."""
    return f"add table {family.nft} {TABLE}\ndelete table {family.nft} {TABLE}\n"


def table(policies: Iterable[Object], cluster: Cluster, *, node: str, family: Family = IPV4) -> str:
    """The transaction that makes the table what it has to be on a node; only a removal when no local pod is isolated.

    The pods of `cluster` have their addresses of the table's family.
    """
    where = f"{family.nft} {TABLE}"
    by_name = {str(key_of(p)): p for p in sorted(policies, key=key_of)}
    groups: dict[tuple[str, tuple[str, ...]], list[Pod]] = {}
    for direction in _CHAINS:
        for pod, selecting in _isolated(by_name, cluster, direction, node).items():
            groups.setdefault((direction, tuple(selecting)), []).append(pod)
    if not groups:
        return removal(family)
    lines = [removal(family) + f'add table {where} {{ comment "NetworkPolicies of pods on {node}" ; }}']
    for (direction, names), pods in groups.items():
        chain = _chain(direction, names)
        lines.append(f"add chain {where} {chain}")
        for name in names:
            allowed = dict.fromkeys(_allowed(by_name[name], direction, pods, cluster, family))
            lines += [f'add rule {where} {chain} {rule}return comment "{name}"' for rule in allowed]
        lines.append(f'add rule {where} {chain} counter drop comment "{direction} that no policy allows"')
    return "\n".join([*lines, *_dispatch(groups, family), ""])


def _isolated(by_name: Mapping[str, Object], cluster: Cluster, direction: str, node: str) -> dict[Pod, list[str]]:
    """Local pods, and the policies of a direction that select them."""
    found: dict[Pod, list[str]] = {}
    for name, policy in by_name.items():
        if direction in (policy["spec"].get("policyTypes") or ("Ingress",)):
            for pod in cluster.selected([key_of(policy).namespace], policy["spec"].get("podSelector")):
                if pod.node == node:
                    found.setdefault(pod, []).append(name)
    return found


def _dispatch(groups: Mapping[tuple[str, tuple[str, ...]], Sequence[Pod]], family: Family) -> Iterator[str]:
    """From the kernel's hook to the chains of pods. A pod always reaches itself."""
    where, ip, kind = f"{family.nft} {TABLE}", family.nft, family.nft_address
    own = sorted({f"{p.address} . {p.address}" for pods in groups.values() for p in pods})
    yield f"add set {where} self {{ type {kind} . {kind} ; elements = {{ {', '.join(own)} }} ; }}"
    yield f"add chain {where} forward {{ type filter hook forward priority {_PRIORITY} ; }}"
    yield f"add rule {where} forward ct state established,related accept"
    yield f"add rule {where} forward {ip} saddr . {ip} daddr @self accept"
    for direction, container in _CHAINS.items():
        yield f"add map {where} {container} {{ type {kind} : verdict ; }}"
        verdicts = [
            f"{pod.address} : jump {_chain(of, names)}"
            for (of, names), pods in groups.items()
            if of == direction
            for pod in pods
        ]
        if verdicts:
            yield f"add element {where} {container} {{ {', '.join(sorted(verdicts))} }}"
        side = "saddr" if direction == "Egress" else "daddr"
        yield f"add rule {where} forward {ip} {side} vmap @{container}"


def _chain(direction: str, names: tuple[str, ...]) -> str:
    """`ingress-HASH-namespace/policy`; pods of the same policies share it."""
    hashed = base64.b32encode(hashlib.sha256("_".join(names).encode()).digest()).decode()[:8]
    text = f"{direction.lower()}-{hashed}-{'_'.join(names)}"
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def names_of(chain: str) -> list[str]:
    """The policies whose chain this is, as `namespace/name`; none for the others of the table, or where they are too many."""
    found = re.fullmatch(r"(?:in|e)gress-[A-Z2-7]{8}-(.+)", chain)
    return found[1].removesuffix("...").split("_") if found else []


def _allowed(policy: Object, direction: str, pods: Sequence[Pod], cluster: Cluster, family: Family) -> Iterator[str]:
    """Matches of everything that one policy allows, each ending with a space (or empty: everything)."""
    section, peers_of = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    for rule in policy["spec"].get(section) or ():
        for peer in _peers(rule.get(peers_of), key_of(policy).namespace, cluster, family):
            for port in rule.get("ports") or (None,):
                match = _match(direction, peer, port, pods, cluster, family)
                if match is not None:
                    yield match


@dataclass(frozen=True, slots=True)
class _Peer:
    """The other end: pods, or a block of addresses; with neither, everybody."""

    pods: tuple[Pod, ...] | None = None
    block: str = ""
    excepted: tuple[str, ...] = ()


def _peers(listed: Sequence[Object] | None, namespace: str, cluster: Cluster, family: Family) -> Iterator[_Peer]:
    if not listed:
        yield _Peer()
        return
    pods: dict[Pod, None] = {}
    for peer in listed:
        if block := peer.get("ipBlock"):
            if not family.owns(block["cidr"]):
                continue  # the table of the other family has it
            yield _Peer(block=block["cidr"], excepted=tuple(block.get("except") or ()))
        else:
            pods |= dict.fromkeys(cluster.peers(peer, namespace))
    if pods:
        yield _Peer(tuple(pods))


def _match(
    direction: str, peer: _Peer, port: Object | None, pods: Sequence[Pod], cluster: Cluster, family: Family
) -> str | None:
    """One peer and one port; None when nothing can match."""
    side = f"{family.nft} {'saddr' if direction == 'Ingress' else 'daddr'}"
    if port is None:
        return _address(side, peer)
    protocol = port.get("protocol", "TCP").lower()
    number = port.get("port")
    if not isinstance(number, str):
        return _address(side, peer) + _number(protocol, number, port.get("endPort"))
    # A named port is that of the pod which receives, and may be another number in each.
    receiving: Sequence[Pod] = pods
    if direction == "Egress":
        if peer.block:
            return None
        receiving = cluster.pods if peer.pods is None else peer.pods
    targets = sorted(
        f"{p.address} . {n}" for p in receiving for name, of, n in p.ports if (name, of) == (number, protocol)
    )
    if not targets:
        return None
    sender = _address(side, peer) if direction == "Ingress" else ""
    return f"{sender}{family.nft} daddr . {protocol} dport {{ {', '.join(targets)} }} "


def _number(protocol: str, number: int | None, end: int | None) -> str:
    if number is None:
        return f"meta l4proto {protocol} "
    return f"{protocol} dport {number}-{end} " if end and end != number else f"{protocol} dport {number} "


def _address(side: str, peer: _Peer) -> str:
    if peer.block:
        excepted = f"{side} != {{ {', '.join(peer.excepted)} }} " if peer.excepted else ""
        return f"{side} {peer.block} {excepted}"
    if peer.pods is None:
        return ""
    return f"{side} {{ {', '.join(sorted(p.address for p in peer.pods))} }} "
