"""Environment variables: names and where their values come from (ValidateEnv, ValidateEnvFrom)."""

from __future__ import annotations

from collections.abc import Iterable

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, invalid, not_found, required
from labctl.api.validation.pods import fields
from labctl.api.validation.pods.paths import no_backsteps
from labctl.api.validation.pods.scope import Scope

_MANY = "may not have more than one field specified at a time"


def variables(path: str, env: Iterable[Object]) -> list[Cause]:
    """`env` of a container."""
    causes: list[Cause] = []
    for index, variable in enumerate(env):
        here, name = f"{path}[{index}]", variable.get("name", "")
        causes += (
            all_invalid(f"{here}.name", name, names.environment_variable_name(name))
            if name
            else [required(f"{here}.name")]
        )
        if variable.get("valueFrom") is not None:
            causes += _source(f"{here}.valueFrom", variable["valueFrom"], variable.get("value", ""))
    return causes


def _source(path: str, source: Object, value: str) -> list[Cause]:
    causes, found = list[Cause](), 0
    for name, check in _SOURCES.items():
        if source.get(name) is not None:
            found += 1
            causes += check(f"{path}.{name}", source[name])
    if not found:
        detail = (
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        )
        causes.append(invalid(path, "", detail))
    elif value:
        causes.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif found > 1:
        causes.append(invalid(path, "", _MANY))
    return causes


def _key(path: str, reference: Object) -> list[Cause]:
    name, key = reference.get("name", ""), reference.get("key", "")
    causes = all_invalid(f"{path}.name", name, names.dns1123_subdomain(name))
    return causes + (all_invalid(f"{path}.key", key, names.config_map_key(key)) if key else [required(f"{path}.key")])


def _file(path: str, reference: Object) -> list[Cause]:
    causes: list[Cause] = []
    for name, check in (("key", names.environment_variable_name), ("volumeName", names.dns1123_label)):
        value = reference.get(name, "")
        causes += all_invalid(f"{path}.{name}", value, check(value)) if value else [required(f"{path}.{name}")]
    file = reference.get("path", "")
    return causes + (no_backsteps(f"{path}.path", file) if file else [required(f"{path}.path")])


_SOURCES = {
    "fieldRef": lambda path, ref: fields.field(path, ref, fields.ENV_FIELDS),
    "resourceFieldRef": lambda path, ref: fields.resource(path, ref, in_volume=False),
    "configMapKeyRef": _key,
    "secretKeyRef": _key,
    "fileKeyRef": _file,
}


def sources(path: str, env_from: Iterable[Object]) -> list[Cause]:
    """`envFrom` of a container. Of several sources, Kubernetes does not say which one lacks what."""
    causes: list[Cause] = []
    for index, source in enumerate(env_from):
        here, found = f"{path}[{index}]", 0
        if prefix := source.get("prefix"):
            causes += all_invalid(f"{here}.prefix", prefix, names.environment_variable_name(prefix))
        for kind in ("configMapRef", "secretRef"):
            if source.get(kind) is None:
                continue
            found += 1
            name, field = source[kind].get("name", ""), f"{here}.{kind}.name"
            causes += all_invalid(field, name, names.dns1123_subdomain(name)) if name else [required(field)]
        if not found:
            causes.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif found > 1:
            causes.append(invalid(path, "", _MANY))
    return causes


def files(path: str, scope: Scope) -> list[Cause]:
    """Variables read from files: these have to lie in an emptyDir of the pod (validateFileKeyRefVolumes)."""
    volumes = {v.get("name", ""): v for v in scope.spec.get("volumes") or ()}
    causes: list[Cause] = []
    for container_path, container in scope.every_container():
        for index, variable in enumerate(container.get("env") or ()):
            reference = (variable.get("valueFrom") or {}).get("fileKeyRef")
            if reference is None:
                continue
            here = f"{path}.{container_path}.env[{index}].valueFrom.fileKeyRef.volumeName"
            name = reference.get("volumeName", "")
            if name not in volumes:
                causes.append(not_found(here, name))
            elif volumes[name].get("emptyDir") is None:
                causes.append(invalid(here, name, "referenced volume must be of type emptyDir"))
    return causes
