"""Endpoints and EndpointSlices: pkg/apis/core/validation and pkg/apis/discovery/validation."""

from __future__ import annotations

import ipaddress
from typing import Any

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import (
    address_complaints,
    all_invalid,
    duplicate,
    endpoint_address_complaints,
    invalid,
    required,
    too_many,
    unsupported,
)

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_MAX_ENDPOINTS, _MAX_PORTS, _MAX_ADDRESSES, _MAX_HINTS = 1000, 100, 100, 8


def validate_endpoints(endpoints: Object) -> list[Cause]:
    """Hand-made and generated v1 Endpoints."""
    causes: list[Cause] = []
    for index, subset in enumerate(endpoints.get("subsets") or ()):
        path = f"subsets[{index}]"
        ready, not_ready = subset.get("addresses") or [], subset.get("notReadyAddresses") or []
        if not ready and not not_ready:
            causes.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
        for name, addresses in (("addresses", ready), ("notReadyAddresses", not_ready)):
            for i, address in enumerate(addresses):
                causes += _address(f"{path}.{name}[{i}]", address)
        ports = subset.get("ports") or []
        for i, port in enumerate(ports):
            causes += _port(f"{path}.ports[{i}]", port, name_required=len(ports) > 1)
    return causes


def _address(path: str, address: Object) -> list[Cause]:
    ip = address.get("ip", "")
    wrong = address_complaints(ip)
    complaints = [*wrong, "must be a valid IP address"] if wrong else endpoint_address_complaints(ip)  # it looks twice
    causes = all_invalid(f"{path}.ip", ip, complaints)
    if hostname := address.get("hostname"):
        causes += all_invalid(f"{path}.hostname", hostname, names.dns1123_label(hostname))
    if (node := address.get("nodeName")) is not None:
        causes += all_invalid(f"{path}.nodeName", node, names.dns1123_subdomain(node))
    return causes


def _port(path: str, port: Object, *, name_required: bool) -> list[Cause]:
    causes: list[Cause] = []
    name = port.get("name", "")
    if name_required and not name:
        causes.append(required(f"{path}.name"))
    elif name:
        causes += all_invalid(f"{path}.name", name, names.dns1123_label(name))
    causes += all_invalid(f"{path}.port", port.get("port"), names.port_number(port.get("port") or 0))
    if port.get("protocol") not in _PROTOCOLS:
        causes.append(unsupported(f"{path}.protocol", port.get("protocol"), _PROTOCOLS))
    return causes + _app_protocol(path, port)


def _app_protocol(path: str, port: Object) -> list[Cause]:
    name = port.get("appProtocol")
    return [] if name is None else all_invalid(f"{path}.appProtocol", name, names.qualified_name(name))


def validate_slice(slice_: Object) -> list[Cause]:
    """EndpointSlices."""
    causes: list[Cause] = []
    kind = slice_.get("addressType", "")
    if not kind:
        causes.append(required("addressType"))
    elif kind not in _ADDRESS_TYPES:
        causes.append(unsupported("addressType", kind, _ADDRESS_TYPES))
    endpoints = slice_.get("endpoints") or []
    if len(endpoints) > _MAX_ENDPOINTS:
        return [*causes, too_many("endpoints", len(endpoints), _MAX_ENDPOINTS)]
    for index, endpoint in enumerate(endpoints):
        causes += _endpoint(f"endpoints[{index}]", endpoint, kind)
    return causes + _slice_ports(slice_.get("ports") or [])


def validate_slice_update(new: Object, old: Object) -> list[Cause]:
    """The address type of a slice never changes."""
    if new.get("addressType") != old.get("addressType"):
        return [invalid("addressType", new.get("addressType"), "field is immutable")]
    return []


def _endpoint(path: str, endpoint: Object, kind: str) -> list[Cause]:
    addresses = endpoint.get("addresses") or []
    causes: list[Cause] = []
    if not addresses:
        causes.append(required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(addresses) > _MAX_ADDRESSES:
        causes.append(too_many(f"{path}.addresses", len(addresses), _MAX_ADDRESSES))
    for index, address in enumerate(addresses):
        causes += all_invalid(f"{path}.addresses[{index}]", address, _complaints(address, kind))
    if (node := endpoint.get("nodeName")) is not None:
        causes += all_invalid(f"{path}.nodeName", node, names.dns1123_subdomain(node))
    if (hostname := endpoint.get("hostname")) is not None:
        causes += all_invalid(f"{path}.hostname", hostname, names.dns1123_label(hostname))
    return causes + _hints(f"{path}.hints", endpoint.get("hints") or {})


def _hints(path: str, hints: Object) -> list[Cause]:
    causes: list[Cause] = []
    for field, check in (("forZones", names.label_value), ("forNodes", names.dns1123_subdomain)):
        wanted, seen = hints.get(field) or [], set[str]()
        if len(wanted) > _MAX_HINTS:
            causes.append(too_many(f"{path}.{field}", len(wanted), _MAX_HINTS))
            continue
        for index, hint in enumerate(wanted):
            here, name = f"{path}.{field}[{index}].name", hint.get("name", "")
            if name in seen:
                causes.append(duplicate(here, name))
            seen.add(name)
            causes += all_invalid(here, name, check(name))
    return causes


def _complaints(address: str, kind: str) -> list[str]:
    if kind == "FQDN":
        return names.dns1123_subdomain(address)
    if complaints := address_complaints(address):
        return complaints
    if kind in ("IPv4", "IPv6") and f"IPv{ipaddress.ip_address(address).version}" != kind:
        return [f"must be an {kind} address"]
    return endpoint_address_complaints(address)


def _slice_ports(ports: list[Any]) -> list[Cause]:
    if len(ports) > _MAX_PORTS:
        return [too_many("ports", len(ports), _MAX_PORTS)]
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"ports[{index}]", port.get("name") or ""
        if name in seen:
            causes.append(duplicate(f"{path}.name", name))
        seen.add(name)
        if name:
            causes += all_invalid(f"{path}.name", name, names.dns1123_label(name))
        if port.get("protocol") not in _PROTOCOLS:
            causes.append(unsupported(f"{path}.protocol", port.get("protocol"), _PROTOCOLS))
        causes += _app_protocol(path, port)
    return causes
