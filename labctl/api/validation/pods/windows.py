"""Operating systems: what a pod says of Windows, and what does not go with the system it names."""

from __future__ import annotations

import re

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, forbidden, invalid, required, unsupported
from labctl.api.validation.pods.scope import Scope

_SYSTEMS = ("linux", "windows")
_MAX_CREDENTIALS_KIB = 64
_MAX_DOMAIN, _MAX_USER = 256, 104
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NETBIOS = re.compile(r"""[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}""")
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_DNS = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_BAD_IN_USER = re.compile(r'["/\\:;|=,+*?<>@\[\]]')
_SHARED_ONLY = ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace")  # fields of the PodSpec itself
_NOT_OF_POD = (
    "appArmorProfile",
    "seLinuxOptions",
    *("hostUsers", "hostPID", "hostIPC"),
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "shareProcessNamespace",
    *("runAsUser", "runAsGroup", "supplementalGroups", "supplementalGroupsPolicy", "seLinuxChangePolicy"),
)
_NOT_OF_CONTAINER = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    *("runAsUser", "runAsGroup"),
)


def options(path: str, wanted: Object) -> list[Cause]:
    """`windowsOptions` of a security context (validateWindowsSecurityContextOptions)."""
    causes: list[Cause] = []
    name, spec, user = (wanted.get(n) for n in ("gmsaCredentialSpecName", "gmsaCredentialSpec", "runAsUserName"))
    if name is not None:
        causes += all_invalid(f"{path}.gmsaCredentialSpecName", name, names.dns1123_subdomain(name))
    if spec is not None:
        if not spec:
            causes.append(invalid(f"{path}.gmsaCredentialSpec", spec, "gmsaCredentialSpec cannot be an empty string"))
        elif len(spec.encode()) > _MAX_CREDENTIALS_KIB * 1024:
            detail = f"gmsaCredentialSpec size must be under {_MAX_CREDENTIALS_KIB} KiB"
            causes.append(invalid(f"{path}.gmsaCredentialSpec", spec, detail))
    if user is not None:
        causes += all_invalid(f"{path}.runAsUserName", user, [f"runAsUserName{text}" for text in _user_name(user)])
    return causes


def _user_name(text: str) -> list[str]:
    """What is wrong with `DOMAIN\\user`."""
    if not text:
        return [" cannot be an empty string"]
    if _CONTROL.search(text):
        return [" cannot contain control characters"]
    if text.count("\\") > 1:
        return [" cannot contain more than one backslash"]
    domain, backslash, user = text.rpartition("\\")
    wrong = []
    if len(domain) >= _MAX_DOMAIN:
        wrong.append(f"'s Domain length must be under {_MAX_DOMAIN} characters")
    if backslash and not (_NETBIOS.fullmatch(domain) or _DNS.fullmatch(domain)):
        wrong.append("'s Domain doesn't match the NetBios nor the DNS format")
    if not user:
        wrong.append("'s User cannot be empty")
    elif len(user) > _MAX_USER:
        wrong.append(f"'s User length must not be longer than {_MAX_USER} characters")
    if user and not user.strip(". "):
        wrong.append("'s User cannot contain only periods or spaces")
    if _BAD_IN_USER.search(user):
        wrong.append("'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]")
    return wrong


def host_processes(path: str, scope: Scope) -> list[Cause]:
    """Containers that are processes of a Windows host (validateWindowsHostProcessPod)."""
    causes: list[Cause] = []
    shared = (scope.context().get("windowsOptions") or {}).get("hostProcess")
    containers, count = scope.every_container(), 0
    for here, container in containers:
        own = ((container.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
        if shared is not None and own is not None and shared != own:
            detail = f"pod hostProcess value must be identical if both are specified, was {str(shared).lower()}"
            causes.append(invalid(f"{path}.{here}.securityContext.windowsOptions.hostProcess", own, detail))
        count += bool(shared if own is None else own)
    if not count:
        return causes
    if count != len(containers):
        detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        causes.append(invalid(path, "", detail))
    if not scope.spec.get("hostNetwork"):
        detail = "hostNetwork must be true if pod contains any hostProcess containers"
        causes.append(invalid(f"{path}.hostNetwork", False, detail))
    return causes


def system(path: str, scope: Scope) -> list[Cause]:
    """`os` of a PodSpec, and the fields that only another system has."""
    if scope.os is None:
        return []
    if not scope.os:
        return [required(f"{path}.os.name")]
    if scope.os not in _SYSTEMS:
        return [unsupported(f"{path}.os", scope.os, _SYSTEMS)]
    return _linux(path, scope) if scope.os == "linux" else _windows(path, scope)


def _linux(path: str, scope: Scope) -> list[Cause]:
    contexts = {"": scope.context(), **{f"{h}.": c.get("securityContext") or {} for h, c in scope.every_container()}}
    return [
        forbidden(f"{path}.{here}securityContext.windowsOptions", "windows options cannot be set for a linux pod")
        for here, context in contexts.items()
        if context.get("windowsOptions") is not None
    ]


def _windows(path: str, scope: Scope) -> list[Cause]:
    detail, causes = "cannot be set for a windows pod", list[Cause]()
    for name in _NOT_OF_POD:
        here, of = (path, scope.spec) if name in _SHARED_ONLY else (f"{path}.securityContext", scope.context())
        value = of.get(name)
        if value if name in ("hostPID", "hostIPC", "sysctls") else value is not None:
            causes.append(forbidden(f"{here}.{name}", detail))
    for here, container in scope.every_container():
        context = container.get("securityContext") or {}
        causes += [
            forbidden(f"{path}.{here}.securityContext.{name}", detail)
            for name in _NOT_OF_CONTAINER
            if context.get(name) is not None
        ]
    return causes
