"""NetworkPolicies: pkg/apis/networking/validation."""

from __future__ import annotations

import ipaddress

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation import meta
from labctl.api.validation.causes import all_invalid, cidr_complaints, forbidden, invalid, listed, required

_PROTOCOLS = ("TCP", "UDP", "SCTP")
_TYPES = ("Ingress", "Egress")


def validate(policy: Object) -> list[Cause]:
    """A NetworkPolicy."""
    spec = policy.get("spec") or {}
    causes = meta.label_selector("spec.podSelector", spec.get("podSelector") or {})
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            path = f"spec.{direction}[{index}]"
            for i, port in enumerate(rule.get("ports") or ()):
                causes += _port(f"{path}.ports[{i}]", port)
            for i, peer in enumerate(rule.get(peers) or ()):
                causes += _peer(f"{path}.{peers}[{i}]", peer)
    types = spec.get("policyTypes") or []
    if len(types) > len(_TYPES):
        return [*causes, invalid("spec.policyTypes", types, "may not specify more than two policyTypes")]
    return causes + [
        listed(f"spec.policyTypes[{index}]", kind, _TYPES) for index, kind in enumerate(types) if kind not in _TYPES
    ]


def _port(path: str, port: Object) -> list[Cause]:
    causes: list[Cause] = []
    if port.get("protocol") not in (*_PROTOCOLS, None):
        causes.append(listed(f"{path}.protocol", port["protocol"], _PROTOCOLS))
    number, end = port.get("port"), port.get("endPort")
    if isinstance(number, str):
        if end is not None:
            causes.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric"))
        return causes + all_invalid(f"{path}.port", number, names.port_name(number))
    if number is None:
        detail = "may not be specified when `port` is not specified"
        return causes if end is None else [*causes, invalid(f"{path}.endPort", end, detail)]
    causes += all_invalid(f"{path}.port", number, names.port_number(number))
    if end is not None:
        if end < number:  # the value shown is that of `port`, as Kubernetes has it
            causes.append(invalid(f"{path}.endPort", number, "must be greater than or equal to `port`"))
        causes += all_invalid(f"{path}.endPort", end, names.port_number(end))
    return causes


def _peer(path: str, peer: Object) -> list[Cause]:
    causes: list[Cause] = []
    for name in ("podSelector", "namespaceSelector"):
        if peer.get(name) is not None:
            causes += meta.label_selector(f"{path}.{name}", peer[name])
    block = peer.get("ipBlock")
    if block is not None:
        causes += _block(f"{path}.ipBlock", block)
    given = [n for n in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(n) is not None]
    if not given:
        causes.append(required(path, "must specify a peer"))
    elif block is not None and len(given) > 1:
        causes.append(forbidden(path, "may not specify both ipBlock and another peer"))
    return causes


def _block(path: str, block: Object) -> list[Cause]:
    cidr = block.get("cidr", "")
    if not cidr:
        return [required(f"{path}.cidr")]
    causes = all_invalid(f"{path}.cidr", cidr, cidr_complaints(cidr))
    for index, inner in enumerate(block.get("except") or ()):
        here = f"{path}.except[{index}]"
        wrong = all_invalid(here, inner, cidr_complaints(inner))
        if not wrong and not causes and not _strictly_inside(inner, cidr):
            wrong = [invalid(here, inner, "must be a strict subset of `cidr`")]
        causes += wrong
    return causes


def _strictly_inside(inner: str, outer: str) -> bool:
    one, other = ipaddress.ip_network(inner, strict=False), ipaddress.ip_network(outer, strict=False)
    if one.version != other.version or one.prefixlen <= other.prefixlen:
        return False
    return one.network_address in other
