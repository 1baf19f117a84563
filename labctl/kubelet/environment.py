"""A container's environment: envFrom, env, and the variables of the Services in its namespace. Pure."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from labctl.api import kinds, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.kubelet import fields
from labctl.kubelet.expansion import expand

Lookup = Callable[[Kind, str, str], Object | None]
"""Finds a ConfigMap or Secret by namespace and name."""


class ConfigError(Exception):
    """The container cannot be configured (CreateContainerConfigError); the text is the kubelet's."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where values come from."""

    lookup: Lookup
    identity: fields.Identity
    services: Iterable[Object] = ()


def environment(pod: Object, container: Object, sources: Sources) -> dict[str, str]:
    """All variables of the container. Raises ConfigError when a needed ConfigMap, Secret or key is missing."""
    links = pod["spec"].get("enableServiceLinks", True)
    service_env = service_variables(visible_services(pod["metadata"]["namespace"], sources.services, links=links))
    result: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        result.update(_from_object(pod, source, sources.lookup))
    for variable in container.get("env") or ():
        value = _value(pod, container, variable, (result, service_env), sources)
        if value is not None:
            result[variable["name"]] = value
    return service_env | result


def data_of(kind: Kind, obj: Object) -> dict[str, bytes]:
    """The entries of a ConfigMap or Secret as bytes."""
    if kind is kinds.SECRET:
        return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
    texts = {key: value.encode() for key, value in (obj.get("data") or {}).items()}
    return texts | {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}


def _from_object(pod: Object, source: Mapping[str, Any], lookup: Lookup) -> dict[str, str]:
    kind, reference = (
        (kinds.CONFIG_MAP, source["configMapRef"]) if "configMapRef" in source else (kinds.SECRET, source["secretRef"])
    )
    found = _find(pod, kind, reference, lookup)
    if found is None:
        return {}
    prefix = source.get("prefix") or ""
    if kind is kinds.CONFIG_MAP:  # binaryData is not for environments
        return {prefix + key: value for key, value in (found.get("data") or {}).items()}
    return {prefix + key: value.decode(errors="replace") for key, value in data_of(kind, found).items()}


def _find(pod: Object, kind: Kind, reference: Mapping[str, Any], lookup: Lookup) -> Object | None:
    found = lookup(kind, pod["metadata"]["namespace"], reference.get("name") or "")
    if found is None and not reference.get("optional"):
        raise ConfigError(status.not_found(kind, reference.get("name") or "").message)
    return found


def _value(
    pod: Object, container: Object, variable: Mapping[str, Any], scopes: tuple[dict[str, str], ...], sources: Sources
) -> str | None:
    if variable.get("value"):
        return expand(variable["value"], *scopes)
    source = variable.get("valueFrom")
    if not source:
        return ""
    if "fieldRef" in source:
        return fields.field_value(pod, source["fieldRef"]["fieldPath"], sources.identity)
    if "resourceFieldRef" in source:
        reference = source["resourceFieldRef"]
        about = fields.container_named(pod, reference.get("containerName") or container["name"]) or container
        return fields.resource_value(reference, about, sources.identity)
    if "configMapKeyRef" in source:
        return _key(pod, kinds.CONFIG_MAP, source["configMapKeyRef"], sources.lookup)
    if "secretKeyRef" in source:
        return _key(pod, kinds.SECRET, source["secretKeyRef"], sources.lookup)
    raise ConfigError(f"environment variable {variable['name']}: its valueFrom is not supported by this lab's kubelet")


def _key(pod: Object, kind: Kind, reference: Mapping[str, Any], lookup: Lookup) -> str | None:
    found = _find(pod, kind, reference, lookup)
    if found is None:
        return None
    data = found.get("data") or {}
    if reference["key"] in data:
        return data_of(kind, found)[reference["key"]].decode(errors="replace")
    if reference.get("optional"):
        return None
    namespace, name = pod["metadata"]["namespace"], reference["name"]
    raise ConfigError(f"couldn't find key {reference['key']} in {kind.kind} {namespace}/{name}")


def visible_services(namespace: str, services: Iterable[Object], *, links: bool) -> list[Object]:
    """The Services whose variables a pod of this namespace gets: its own namespace's and always default/kubernetes."""
    chosen: dict[str, Object] = {}
    for service in services:
        meta = service["metadata"]
        if service["spec"].get("clusterIP") in (None, "", "None"):
            continue
        if meta["namespace"] == "default" and meta["name"] == "kubernetes":
            chosen.setdefault("kubernetes", service)
        elif links and meta["namespace"] == namespace:
            chosen[meta["name"]] = service
    return [chosen[name] for name in sorted(chosen)]


def service_variables(services: Iterable[Object]) -> dict[str, str]:
    """`FOO_SERVICE_HOST`, `FOO_SERVICE_PORT`, `FOO_SERVICE_PORT_NAME` and the Docker links of each Service."""
    result: dict[str, str] = {}
    for service in services:
        ports = service["spec"].get("ports") or ()
        if not ports:
            continue
        prefix, ip = _variable(service["metadata"]["name"]), service["spec"]["clusterIP"]
        result[f"{prefix}_SERVICE_HOST"] = ip
        result[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
        for port in ports:
            if port.get("name"):
                result[f"{prefix}_SERVICE_PORT_{_variable(port['name'])}"] = str(port["port"])
        result.update(_links(prefix, ip, ports))
    return result


def _links(prefix: str, ip: str, ports: Iterable[Object]) -> dict[str, str]:
    host = f"[{ip}]" if ":" in ip else ip
    result: dict[str, str] = {}
    for port in ports:
        protocol = port.get("protocol") or "TCP"
        url = f"{protocol.lower()}://{host}:{port['port']}"
        name = f"{prefix}_PORT_{port['port']}_{protocol.upper()}"
        result.setdefault(f"{prefix}_PORT", url)
        result |= {
            name: url,
            f"{name}_PROTO": protocol.lower(),
            f"{name}_PORT": str(port["port"]),
            f"{name}_ADDR": ip,
        }
    return result


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")
