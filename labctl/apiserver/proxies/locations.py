"""Where a proxied request goes: the pod and port behind `[scheme:]name[:port]`. Reads the registry, does no I/O.

The choices and refusals of pkg/registry/core/{pod/strategy,service/storage/storage}.go.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from labctl.api import kinds, status
from labctl.api.objects import Object
from labctl.apiserver.registry import Registry

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Location:
    """A port of a pod. `scheme` is http or https; `address` is the pod's, for messages."""

    pod: Object
    address: str
    port: int
    scheme: str = "http"


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of `[scheme:]name[:port]`; what is left out is empty."""

    scheme: str
    name: str
    port: str


def parse_target(text: str) -> Target | None:
    """The parts of a proxied name, or None when it is none."""
    match text.split(":"):
        case [name]:
            target = Target("", name, "")
        case [name, port]:
            target = Target("", name, port)
        case [scheme, name, port]:
            target = Target(scheme, name, port)
        case _:
            return None
    return target if target.name and target.scheme in ("", *_DEFAULT_PORTS) else None


def of_pod(registry: Registry, namespace: str, text: str) -> Location:
    """The location of pods/TEXT/proxy. Raises ApiError 400, 404."""
    target = parse_target(text)
    if target is None:
        raise status.bad_request(f'invalid pod request "{text}"')
    pod = registry.get(kinds.POD, namespace, target.name)
    declared = (p["containerPort"] for c in pod["spec"]["containers"] for p in c.get("ports") or ())
    port = target.port or next(declared, "")
    address = (pod.get("status") or {}).get("podIP") or ""
    if not address:
        raise status.bad_request("address not allowed")
    return _location(pod, address, target.scheme, port)


def of_service(registry: Registry, namespace: str, text: str) -> Location:
    """The location of services/TEXT/proxy: one of the pods behind it, by chance. Raises ApiError 400, 404, 503."""
    target = parse_target(text)
    if target is None:
        raise status.bad_request(f'invalid service request "{text}"')
    name = target.port
    if name.isdecimal():
        name = _port_name(registry.get(kinds.SERVICE, namespace, target.name), int(name))
    endpoints = registry.get(kinds.ENDPOINTS, namespace, target.name)
    if not endpoints.get("subsets"):
        raise unavailable(f'no endpoints available for service "{target.name}"')
    choices = [
        (address, port["port"])
        for subset in endpoints["subsets"]
        for port in subset.get("ports") or ()
        if port.get("name", "") == name
        for address in subset.get("addresses") or ()
        if (address.get("targetRef") or {}).get("kind") == "Pod"  # never to an address that anybody wrote down
    ]
    for address, port in random.sample(choices, len(choices)):
        reference = address["targetRef"]
        try:
            pod = registry.get(kinds.POD, reference.get("namespace") or namespace, reference["name"])
        except status.ApiError:
            continue
        return _location(pod, address["ip"], target.scheme, port)
    raise unavailable(f'no endpoints available for service "{text}"')


def _port_name(service: Object, number: int) -> str:
    for port in service["spec"].get("ports") or ():
        if port["port"] == number:
            return str(port.get("name", ""))
    raise unavailable(f'no service port {number} found for service "{service["metadata"]["name"]}"')


def _location(pod: Object, address: str, scheme: str, port: str | int) -> Location:
    scheme = scheme or "http"
    number = port or _DEFAULT_PORTS[scheme]
    text = str(number)
    if not (text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise unreachable(f"dial tcp: lookup tcp/{text}: unknown port")
    return Location(pod, address, int(text), scheme)


def unavailable(message: str) -> status.ApiError:
    """503 ServiceUnavailable."""
    return status.ApiError(503, "ServiceUnavailable", message)


def unreachable(why: str) -> status.ApiError:
    """503 with the words for a connection that could not be made."""
    return unavailable(f"error trying to reach service: {why}")
