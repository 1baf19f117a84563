"""Security contexts of pods and containers: the rules of pkg/apis/core/validation that do not depend on a cluster."""

from __future__ import annotations

import re

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, duplicate, invalid, required

_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"({_SEGMENT}[\./])*{_SEGMENT}"
_SYSCTL_MAX = 253
_IDS = ("runAsUser", "runAsGroup")


def validate(path: str, spec: Object) -> list[Cause]:
    """The security contexts of a PodSpec at a path."""
    shared = spec.get("securityContext") or {}
    here = f"{path}.securityContext"
    causes = _ids(here, shared, (*_IDS, "fsGroup"))
    for index, group in enumerate(shared.get("supplementalGroups") or ()):
        causes += all_invalid(f"{here}.supplementalGroups[{index}]", group, names.user_id(group))
    causes += _sysctls(f"{here}.sysctls", list(shared.get("sysctls") or ()))
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            causes += _container(f"{path}.{field}[{index}].securityContext", container.get("securityContext") or {})
    return causes


def _container(path: str, context: Object) -> list[Cause]:
    causes = _ids(path, context, _IDS)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            causes.append(invalid(path, context, detail))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            causes.append(invalid(path, context, detail))
    return causes


def _ids(path: str, context: Object, fields: tuple[str, ...]) -> list[Cause]:
    return [
        cause
        for field in fields
        if context.get(field) is not None
        for cause in all_invalid(f"{path}.{field}", context[field], names.user_id(context[field]))
    ]


def _sysctls(path: str, sysctls: list[Object]) -> list[Cause]:
    causes, seen = list[Cause](), set[str]()
    for index, sysctl in enumerate(sysctls):
        here, name = f"{path}[{index}].name", sysctl.get("name", "")
        if not name:
            causes.append(required(here))
        elif len(name) > _SYSCTL_MAX or not re.fullmatch(_SYSCTL, name):
            detail = f"must have at most {_SYSCTL_MAX} characters and match regex ^{_SYSCTL}$"
            causes.append(invalid(here, name, detail))
        elif name in seen:
            causes.append(duplicate(here, name))
        seen.add(name)
    return causes
