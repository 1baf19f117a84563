"""A pod's names, resolvers and host ports."""

from __future__ import annotations

from collections.abc import Iterable

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import (
    address_complaints,
    all_invalid,
    duplicate,
    forbidden,
    invalid,
    one_of,
    required,
    too_long,
)
from labctl.api.validation.pods.scope import Scope

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_MAX_SERVERS, _MAX_SEARCHES, _MAX_SEARCH_LIST = 3, 32, 2048  # what resolvers of Linux take
_MAX_HOST_NAME = 64


def dns_config(path: str, scope: Scope) -> list[Cause]:
    """`dnsConfig`, which dnsPolicy None needs (validatePodDNSConfig)."""
    config = scope.spec.get("dnsConfig")
    if scope.spec.get("dnsPolicy") == "None":
        if config is None:
            return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [required(f"{path}.nameservers", detail)]
    return _resolvers(path, config or {})


def _resolvers(path: str, config: Object) -> list[Cause]:
    servers, searches, causes = config.get("nameservers") or [], config.get("searches") or [], list[Cause]()
    if len(servers) > _MAX_SERVERS:
        causes.append(invalid(f"{path}.nameservers", servers, f"must not have more than {_MAX_SERVERS} nameservers"))
    for index, server in enumerate(servers):
        causes += all_invalid(f"{path}.nameservers[{index}]", server, address_complaints(server))
    if len(searches) > _MAX_SEARCHES:
        causes.append(invalid(f"{path}.searches", searches, f"must not have more than {_MAX_SEARCHES} search paths"))
    if len(" ".join(searches).encode()) > _MAX_SEARCH_LIST:
        detail = f"must not have more than {_MAX_SEARCH_LIST} characters (including spaces) in the search list"
        causes.append(invalid(f"{path}.searches", searches, detail))
    for index, search in enumerate(searches):
        if search != ".":
            name = search.removesuffix(".")
            causes += all_invalid(f"{path}.searches[{index}]", name, names.dns1123_subdomain_with_underscore(name))
    return causes + [
        required(f"{path}.options[{index}]", "must not be empty")
        for index, option in enumerate(config.get("options") or ())
        if not option.get("name")
    ]


def host_name(path: str, spec: Object) -> list[Cause]:
    """`hostnameOverride` (validatePodHostName)."""
    name, here = spec.get("hostnameOverride"), f"{path}.hostnameOverride"
    if name is None:
        return []
    causes = [
        forbidden(here, f"may not be specified when {other} is true")
        for other in ("setHostnameAsFQDN", "hostNetwork")
        if spec.get(other)
    ]
    if len(name.encode()) > _MAX_HOST_NAME:
        causes.append(too_long(here, _MAX_HOST_NAME))
    return causes + all_invalid(here, name, names.dns1123_subdomain(name))


def host_aliases(path: str, aliases: Iterable[Object]) -> list[Cause]:
    """Lines for /etc/hosts."""
    causes: list[Cause] = []
    for index, alias in enumerate(aliases):
        here, address = f"{path}[{index}]", alias.get("ip", "")
        causes += all_invalid(f"{here}.ip", address, address_complaints(address))
        for i, name in enumerate(alias.get("hostnames") or ()):
            causes += all_invalid(f"{here}.hostnames[{i}]", name, names.dns1123_subdomain(name))
    return causes


def ports(path: str, wanted: Iterable[Object]) -> list[Cause]:
    """The ports of a container (validateContainerPorts)."""
    causes, seen = list[Cause](), set[str]()
    for index, port in enumerate(wanted):
        here, name, number = f"{path}[{index}]", port.get("name", ""), port.get("containerPort", 0)
        wrong = names.port_name(name) if name else []
        causes += all_invalid(f"{here}.name", name, wrong)
        if not wrong and name in seen:
            causes.append(duplicate(f"{here}.name", name))
        seen |= {name} if name and not wrong else set()
        causes += (
            all_invalid(f"{here}.containerPort", number, names.port_number(number))
            if number
            else [required(f"{here}.containerPort")]
        )
        if host := port.get("hostPort"):
            causes += all_invalid(f"{here}.hostPort", host, names.port_number(host))
        causes += one_of(f"{here}.protocol", port.get("protocol", ""), _PROTOCOLS)
    return causes


def host_ports(path: str, containers: Iterable[Object]) -> list[Cause]:
    """No two containers want the same port of the node (AccumulateUniqueHostPorts)."""
    causes, taken = list[Cause](), set[str]()
    for index, container in enumerate(containers):
        for i, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if key in taken:
                causes.append(duplicate(f"{path}[{index}].ports[{i}].hostPort", key))
            taken.add(key)
    return causes


def node_ports(path: str, scope: Scope) -> list[Cause]:
    """In the node's network, a port is the node's (validatePodHostNetworkDeps)."""
    causes: list[Cause] = []
    if not scope.spec.get("hostNetwork"):
        return causes
    for index, container in enumerate(scope.spec.get("containers") or ()):
        for i, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort", 0)
            if (host or scope.is_pod) and host != port.get("containerPort", 0):
                detail = "must match `containerPort` when `hostNetwork` is true"
                causes.append(invalid(f"{path}.containers[{index}].ports[{i}].hostPort", host, detail))
    return causes
