"""Which NetworkPolicies keep one pod from another, and what would let it through.

A pod that a policy selects is isolated in the policy's direction: only what some policy lists gets through
(https://kubernetes.io/docs/concepts/services-networking/network-policies/). All other packets are dropped, silently.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labctl.api import selectors
from labctl.api.objects import Object, key_of
from labctl.proxy import family
from labctl.why import commands
from labctl.why import facts as f
from labctl.why.findings import Finding, note, problem

_NAMESPACE_NAME = "kubernetes.io/metadata.name"
_GENERATED = "pod-template-hash"


@dataclass(frozen=True, slots=True)
class _Side:
    """One direction: which rules a policy has for it, and what they call the other end."""

    name: str
    rules: str
    peers: str


_INGRESS, _EGRESS = _Side("Ingress", "ingress", "from"), _Side("Egress", "egress", "to")


def isolating(facts: f.Facts, pod: Object, direction: str) -> list[Object]:
    """The policies that select a pod for `Ingress` or `Egress`."""
    return [
        p
        for p in facts.in_namespace(facts.policies, key_of(pod).namespace)
        if direction in (p["spec"].get("policyTypes") or ("Ingress",))
        and selectors.from_object(p["spec"].get("podSelector") or {}).matches(f.labels_of(pod))
    ]


def explain_policies(facts: f.Facts, pods: Sequence[Object]) -> list[Finding]:
    """A note for each policy that isolates one of the pods."""
    names = sorted({key_of(p) for pod in pods for p in isolating(facts, pod, "Ingress")})
    return [
        note(
            f"netpol/{key.name}",
            "lets only listed traffic reach these pods; all other packets are dropped (a hang)",
            see=f"kubectl describe netpol {key.name} -n {key.namespace}",
        )
        for key in names
    ]


def explain_blocked(
    facts: f.Facts, source: Object, address: str, target: Object | None, port: int, *, protocol: str = "TCP"
) -> list[Finding]:
    """Why packets from a pod to an address (and the pod there, if it is one's) are dropped; nothing when they are not."""
    if target is not None and key_of(target) == key_of(source):
        return []  # a pod always reaches itself
    found = _side(facts, _EGRESS, source, address, target, (port, protocol), named_by=target)
    if target is not None:
        of = family.of(address)
        own = next(filter(of.owns, f.addresses_of(source)), "")
        found += _side(facts, _INGRESS, target, own, source, (port, protocol), named_by=target)
    return found


def _side(
    facts: f.Facts,
    side: _Side,
    pod: Object,
    address: str,
    peer: Object | None,
    port: tuple[int, str],
    *,
    named_by: Object | None,
) -> list[Finding]:
    policies = isolating(facts, pod, side.name)
    if not policies or any(_allows(facts, p, side, address, peer, port, named_by) for p in policies):
        return []
    namespace, name = key_of(policies[0])
    who = f"pod {key_of(peer).name}" if peer is not None else address
    way = f"from {who} to" if side is _INGRESS else f"to {who} from"
    beside = "" if len(policies) == 1 else f" (nor does {', '.join(key_of(p).name for p in policies[1:])})"
    text = (
        f"allows nothing on port {port[0]}/{port[1]} {way} pod {key_of(pod).name}{beside}: packets are dropped (a hang)"
    )
    rule = _opening(side, address, peer, port, namespace)
    has_rules = bool(policies[0]["spec"].get(side.rules))
    path, value = (f"/spec/{side.rules}/-", rule) if has_rules else (f"/spec/{side.rules}", [rule])
    fix = commands.json_patch("netpol", name, namespace, path, value, op="add")
    return [problem(f"netpol/{name}", text, fix=fix, see=f"kubectl describe netpol {name} -n {namespace}")]


def _opening(side: _Side, address: str, peer: Object | None, port: tuple[int, str], namespace: str) -> dict[str, Any]:
    """The narrowest rule that lets the peer through."""
    if peer is None:
        end: dict[str, Any] = {"ipBlock": {"cidr": f"{address}/{ipaddress.ip_address(address).max_prefixlen}"}}
    else:
        labels = {k: v for k, v in f.labels_of(peer).items() if k != _GENERATED}
        end = {"podSelector": {"matchLabels": labels} if labels else {}}
        if key_of(peer).namespace != namespace:
            end["namespaceSelector"] = {"matchLabels": {_NAMESPACE_NAME: key_of(peer).namespace}}
    return {side.peers: [end], "ports": [{"port": port[0], "protocol": port[1]}]}


def _allows(
    facts: f.Facts,
    policy: Object,
    side: _Side,
    address: str,
    peer: Object | None,
    port: tuple[int, str],
    named_by: Object | None,
) -> bool:
    namespace = key_of(policy).namespace
    return any(
        _is_port_listed(rule.get("ports"), port, named_by)
        and (
            not rule.get(side.peers)
            or any(_is_peer(facts, entry, address, peer, namespace) for entry in rule[side.peers])
        )
        for rule in policy["spec"].get(side.rules) or ()
    )


def _is_peer(facts: f.Facts, entry: Object, address: str, peer: Object | None, namespace: str) -> bool:
    if block := entry.get("ipBlock"):
        there = ipaddress.ip_address(address)
        inside = there in ipaddress.ip_network(block["cidr"], strict=False)
        return inside and not any(there in ipaddress.ip_network(e, strict=False) for e in block.get("except") or ())
    if peer is None:
        return False
    if (wanted := entry.get("namespaceSelector")) is not None:
        home = next((n for n in facts.namespaces if key_of(n).name == key_of(peer).namespace), None)
        labels = {_NAMESPACE_NAME: key_of(peer).namespace, **(f.labels_of(home) if home else {})}
        if not selectors.from_object(wanted).matches(labels):
            return False
    elif key_of(peer).namespace != namespace:
        return False
    return selectors.from_object(entry.get("podSelector") or {}).matches(f.labels_of(peer))


def _is_port_listed(ports: Sequence[Object] | None, port: tuple[int, str], named_by: Object | None) -> bool:
    number, protocol = port
    if not ports:
        return True
    for entry in ports:
        wanted = entry.get("port")
        if entry.get("protocol", "TCP") != protocol:
            continue
        if wanted is None:
            return True
        first = wanted if named_by is None else port_number(named_by, wanted, protocol)
        if isinstance(first, int) and first <= number <= entry.get("endPort", first):
            return True
    return False


def port_number(pod: Object, target: int | str, protocol: str) -> int | None:
    """The number of a port of a pod that is given by number or name; None when it has no such name."""
    if isinstance(target, int):
        return target
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None
