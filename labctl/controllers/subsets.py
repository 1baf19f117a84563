"""The subsets of v1 Endpoints in their canonical form. Pure.

Follows RepackSubsets of pkg/api/v1/endpoints: each port with the addresses that have it, then ports with the same addresses
together. Addresses are in the order of their texts, so 10.244.1.10 comes before 10.244.1.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from labctl.api.objects import Object
from labctl.controllers import port_order

MAX_ADDRESSES = 1000
_READY, _NOT_READY = "addresses", "notReadyAddresses"

AddressKey = tuple[str, str]  # address, uid of the pod
PortKey = tuple[str, int, str, str]


def repacked(subsets: Iterable[Object]) -> list[Object]:
    """Equal subsets for equal meanings; an address that is ready and not ready for one port is not ready."""
    addresses: dict[AddressKey, Object] = {}
    by_port: dict[PortKey | None, dict[AddressKey, bool]] = {}
    for subset in subsets:
        for port in map(_port_key, subset.get("ports") or [None]):
            states = by_port.setdefault(port, {})
            for name in (_READY, _NOT_READY):
                for address in subset.get(name) or ():
                    key = _address_key(address)
                    addresses.setdefault(key, address)
                    states[key] = name == _READY and states.get(key, True)
    groups: dict[frozenset[tuple[AddressKey, bool]], list[PortKey]] = {}
    for port, states in by_port.items():
        ports = groups.setdefault(frozenset(states.items()), [])
        if port is not None:
            ports.append(port)
    found = [_subset(addresses, dict(states), ports) for states, ports in groups.items()]
    return sorted(found, key=_first)


def _subset(addresses: dict[AddressKey, Object], states: dict[AddressKey, bool], ports: list[PortKey]) -> Object:
    subset: Object = {
        _READY: [addresses[k] for k in sorted(k for k, ready in states.items() if ready)],
        _NOT_READY: [addresses[k] for k in sorted(k for k, ready in states.items() if not ready)],
        "ports": sorted(map(_port, ports), key=port_order.of_endpoints),
    }
    return {k: v for k, v in subset.items() if v}


def _first(subset: Object) -> tuple[AddressKey, int]:
    """Kubernetes orders subsets by a hash with the pods' uids in it; ours is the order of addresses."""
    every = [*(subset.get(_READY) or ()), *(subset.get(_NOT_READY) or ())]
    ports = subset.get("ports") or []
    return min(map(_address_key, every)), port_order.of_endpoints(ports[0]) if ports else 0


def _address_key(address: Object) -> AddressKey:
    return address["ip"], (address.get("targetRef") or {}).get("uid", "")


def _port_key(port: Object | None) -> PortKey | None:
    if port is None:
        return None
    return port.get("name", ""), port["port"], port.get("protocol", "TCP"), port.get("appProtocol", "")


def _port(key: PortKey) -> Object:
    name, number, protocol, app_protocol = key
    port: Object = {"name": name, "port": number, "protocol": protocol, "appProtocol": app_protocol}
    return {k: v for k, v in port.items() if v}


def truncated(subsets: list[Object]) -> tuple[list[Object], bool]:
    """At most 1,000 addresses, ready ones first, each subset its share; and whether any had to go."""
    ready, not_ready = (sum(len(s.get(name) or ()) for s in subsets) for name in (_READY, _NOT_READY))
    if ready + not_ready <= MAX_ADDRESSES:
        return subsets, False
    cut = _READY if ready > MAX_ADDRESSES else _NOT_READY
    most = MAX_ADDRESSES if cut == _READY else MAX_ADDRESSES - ready
    total, room = (ready if cut == _READY else not_ready), most
    shortened = []
    for subset in subsets:
        present = subset.get(cut) or []
        kept = present[: min(math.ceil(len(present) / total * most), room)]
        room -= len(kept)
        changed = {**subset, cut: kept}
        if cut == _READY:
            changed[_NOT_READY] = []
        shortened.append({k: v for k, v in changed.items() if v})
    return shortened, True
