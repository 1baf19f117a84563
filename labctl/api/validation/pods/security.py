"""Security contexts of pods and containers: the rules of pkg/apis/core/validation that do not depend on a cluster."""

from __future__ import annotations

import re

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, duplicate, invalid, one_of, required, too_long
from labctl.api.validation.pods import windows
from labctl.api.validation.pods.paths import descending
from labctl.api.validation.pods.scope import Scope

_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"({_SEGMENT}[\./])*{_SEGMENT}"
_SYSCTL_MAX = 253
_IDS = ("runAsUser", "runAsGroup")
_NAMESPACED = {
    "hostNetwork": ("net",),
    "hostIPC": (
        *("kernel.sem", "kernel.shm", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"),
        *("kernel.msg", "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "fs.mqueue"),
    ),
}
_GROUP_CHANGES = ("Always", "OnRootMismatch")
_GROUPS = ("Merge", "Strict")
_LABELLING = ("Recursive",)
_PROC_MOUNTS = ("Default", "Unmasked")
_LOCALHOST = "Localhost"
_PROFILES = (_LOCALHOST, "RuntimeDefault", "Unconfined")
_MAX_PATH = 4095  # bytes: PATH_MAX without its end


def pod(path: str, scope: Scope) -> list[Cause]:
    """The security context of a PodSpec."""
    context = scope.context()
    causes = _ids(path, context, ("fsGroup", *_IDS))
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        causes += all_invalid(f"{path}.supplementalGroups[{index}]", group, names.user_id(group))
    if scope.spec.get("shareProcessNamespace") and scope.spec.get("hostPID"):
        detail = "ShareProcessNamespace and HostPID cannot both be enabled"
        causes.append(invalid(f"{path}.shareProcessNamespace", True, detail))
    causes += _sysctls(f"{path}.sysctls", scope)
    if context.get("fsGroupChangePolicy") is not None:
        causes += one_of(f"{path}.fsGroupChangePolicy", context["fsGroupChangePolicy"], _GROUP_CHANGES)
    causes += _profiles(path, context)
    for name, allowed in (("supplementalGroupsPolicy", _GROUPS), ("seLinuxChangePolicy", _LABELLING)):
        causes += one_of(f"{path}.{name}", context[name], allowed) if context.get(name) is not None else []
    return causes


def container(path: str, context: Object, scope: Scope) -> list[Cause]:
    """The security context of a container."""
    causes = _ids(path, context, _IDS)
    mount = context.get("procMount")
    if mount is not None:
        causes += one_of(f"{path}.procMount", mount, _PROC_MOUNTS)
        if mount == "Unmasked" and scope.host_users:
            causes.append(invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    causes += _seccomp(f"{path}.seccompProfile", context.get("seccompProfile"))
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            causes.append(invalid(path, _shown(context), detail))
        detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
        added = (context.get("capabilities") or {}).get("add") or ()
        causes += [invalid(path, _shown(context), detail) for name in added if name == "CAP_SYS_ADMIN"]
    causes += windows.options(f"{path}.windowsOptions", context.get("windowsOptions") or {})
    return causes + _app_armor(f"{path}.appArmorProfile", context.get("appArmorProfile"))


# A container's security context as Kubernetes shows it: its internal type, here with the fields of what is in it.
_INTERNAL: dict[str, tuple[str, ...]] = {
    "capabilities": ("Add", "Drop"),
    "privileged": (),
    "seLinuxOptions": ("User", "Role", "Type", "Level"),
    "windowsOptions": ("GMSACredentialSpecName", "GMSACredentialSpec", "RunAsUserName", "HostProcess"),
    "runAsUser": (),
    "runAsGroup": (),
    "runAsNonRoot": (),
    "readOnlyRootFilesystem": (),
    "allowPrivilegeEscalation": (),
    "procMount": (),
    "seccompProfile": ("Type", "LocalhostProfile"),
    "appArmorProfile": ("Type", "LocalhostProfile"),
}


def _shown(context: Object) -> Object:
    shown: Object = {}
    for name, inner in _INTERNAL.items():
        value, title = context.get(name), "SELinuxOptions" if name == "seLinuxOptions" else name[0].upper() + name[1:]
        if value is not None and inner:
            empty = "" if name == "seLinuxOptions" else None
            given = {key.lower(): item for key, item in value.items()}
            value = {field: given.get(field.lower(), empty) for field in inner}
        shown[title] = value
    return shown


def _profiles(path: str, context: Object) -> list[Cause]:
    causes = _seccomp(f"{path}.seccompProfile", context.get("seccompProfile"))
    causes += windows.options(f"{path}.windowsOptions", context.get("windowsOptions") or {})
    return causes + _app_armor(f"{path}.appArmorProfile", context.get("appArmorProfile"))


def _seccomp(path: str, profile: Object | None) -> list[Cause]:
    if profile is None:
        return []
    kind, file, here = profile.get("type", ""), profile.get("localhostProfile"), f"{path}.localhostProfile"
    causes = (
        one_of(f"{path}.type", kind, _PROFILES)
        if kind
        else [required(f"{path}.type", "type is required when seccompProfile is set")]
    )
    if kind != _LOCALHOST:
        shown = {"Type": kind, "LocalhostProfile": file}
        return (
            causes
            if file is None
            else [*causes, invalid(here, shown, "can only be set when seccomp type is Localhost")]
        )
    if file is None:
        return [*causes, required(here, "must be set when seccomp type is Localhost")]
    return causes + descending(here, file)


def _app_armor(path: str, profile: Object | None) -> list[Cause]:
    if profile is None:
        return []
    kind, file, here = profile.get("type", ""), profile.get("localhostProfile"), f"{path}.localhostProfile"
    if not kind:
        return [required(f"{path}.type", "type is required when appArmorProfile is set")]
    if kind not in _PROFILES:
        return one_of(f"{path}.type", kind, _PROFILES)
    if kind != _LOCALHOST:
        return [] if file is None else [invalid(here, file, "can only be set when AppArmor type is Localhost")]
    causes: list[Cause] = []
    if file is not None and file != file.strip():
        causes.append(invalid(here, file, "must not be padded with whitespace"))
    elif not file:
        causes.append(required(here, "must be set when AppArmor type is Localhost"))
    return causes + ([too_long(here, _MAX_PATH)] if len((file or "").encode()) > _MAX_PATH else [])


def _ids(path: str, context: Object, fields: tuple[str, ...]) -> list[Cause]:
    return [
        cause
        for field in fields
        if context.get(field) is not None
        for cause in all_invalid(f"{path}.{field}", context[field], names.user_id(context[field]))
    ]


def _sysctls(path: str, scope: Scope) -> list[Cause]:
    causes, seen = list[Cause](), set[str]()
    for index, sysctl in enumerate(scope.context().get("sysctls") or ()):
        here, name = f"{path}[{index}].name", sysctl.get("name", "")
        if not name:
            causes.append(required(here))
        elif len(name) > _SYSCTL_MAX or not re.fullmatch(_SYSCTL, name):
            detail = f"must have at most {_SYSCTL_MAX} characters and match regex ^{_SYSCTL}$"
            causes.append(invalid(here, name, detail))
        elif name in seen:
            causes.append(duplicate(here, name))
        causes += _of_host(here, name, scope.spec)
        seen.add(name)
    return causes


def _of_host(path: str, name: str, spec: Object) -> list[Cause]:
    """A pod that shares a namespace with its node must not change what belongs to that namespace."""
    plain = name.replace("/", ".")
    for field, prefixes in _NAMESPACED.items():
        if spec.get(field) and any(f"{plain}.".startswith(f"{prefix}.") for prefix in prefixes):
            return [invalid(path, name, f"may not be specified when '{field}' is true")]
    return []
