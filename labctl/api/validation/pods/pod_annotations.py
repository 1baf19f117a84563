"""Annotations of pods and templates that mean something to Kubernetes (ValidatePodSpecificAnnotations)."""

from __future__ import annotations

from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import forbidden, invalid
from labctl.api.validation.pods.paths import descending
from labctl.api.validation.pods.scope import Scope

MIRROR = "kubernetes.io/config.mirror"
_COST = "controller.kubernetes.io/pod-deletion-cost"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_LOCAL = "localhost/"
_SECCOMP = ("runtime/default", "docker/default", "unconfined")
_APP_ARMORS = ("", "runtime/default", "unconfined")
_FIELD_VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    "seccomp": {"Unconfined": ("unconfined",), "RuntimeDefault": ("runtime/default", "docker/default")},
    "apparmor": {"Unconfined": ("unconfined",), "RuntimeDefault": ("runtime/default",)},
}


def validate(path: str, annotations: dict[str, str], scope: Scope) -> list[Cause]:
    """The annotations of a pod or template."""
    causes: list[Cause] = []
    if MIRROR in annotations and not scope.spec.get("nodeName"):
        detail = "must set spec.nodeName if mirror pod annotation is set"
        causes.append(invalid(f"{path}[{MIRROR}]", annotations[MIRROR], detail))
    if _COST in annotations and not _is_int32(annotations[_COST]):
        causes.append(invalid(f"{path}[{_COST}]", annotations[_COST], "must be a 32bit integer"))
    for key, value in annotations.items():
        if key == _SECCOMP_POD or key.startswith(_SECCOMP_CONTAINER):
            causes += _seccomp(f"{path}.{key}", value)
    containers = {c.get("name") for _, c in scope.every_container()}
    for key, value in annotations.items():
        name = key.removeprefix(_APP_ARMOR)
        if name == key:
            continue
        if name not in containers:
            causes.append(invalid(f"{path}[{key}]", name, "container not found"))
        if value not in _APP_ARMORS and not value.startswith(_LOCAL):
            causes.append(invalid(f"{path}[{key}]", value, f'invalid AppArmor profile name: "{value}"'))
    return causes


def _is_int32(text: str) -> bool:
    """As Go reads it, and without zeros or a plus before it."""
    digits = text.removeprefix("-")
    plain = digits.isascii() and digits.isdigit() and (digits == "0" or not digits.startswith("0")) and text != "-0"
    return plain and -(2**31) <= int(text) < 2**31


def _seccomp(path: str, profile: str) -> list[Cause]:
    if profile in _SECCOMP:
        return []
    if profile.startswith(_LOCAL):
        return descending(path, profile.removeprefix(_LOCAL))
    return [invalid(path, profile, "must be a valid seccomp profile")]


def against_fields(path: str, annotations: dict[str, str], scope: Scope) -> list[Cause]:
    """Where an annotation and a field say the same, they have to agree."""
    causes: list[Cause] = []
    shared: Object = scope.context()
    if shared.get("seccompProfile") and _SECCOMP_POD in annotations:
        here = f"{path}.securityContext.seccompProfile"
        causes += _match("seccomp", here, annotations[_SECCOMP_POD], shared["seccompProfile"])
    for kind, field, prefix in (
        ("seccomp", "seccompProfile", _SECCOMP_CONTAINER),
        ("apparmor", "appArmorProfile", _APP_ARMOR),
    ):
        if kind == "apparmor" and scope.os == "windows":
            continue
        for container_path, container in scope.every_container():
            profile: Object | None = (container.get("securityContext") or {}).get(field)
            if not profile and kind == "apparmor":
                profile = shared.get(field)
            annotation = annotations.get(prefix + container.get("name", ""))
            if profile and annotation is not None:
                causes += _match(kind, f"{path}.{container_path}.securityContext.{field}", annotation, profile)
    return causes


def _match(kind: str, path: str, annotation: str, profile: Object) -> list[Cause]:
    values = _FIELD_VALUES[kind].get(profile.get("type", ""))
    if values is not None:
        wrong = "type" if annotation not in values else ""
    elif profile.get("type") != "Localhost":
        wrong = ""
    elif not annotation.startswith(_LOCAL):
        wrong = "type"
    else:
        wrong = "" if annotation.removeprefix(_LOCAL) == profile.get("localhostProfile") else "localhostProfile"
    what = "type" if wrong == "type" else "profile"
    return [forbidden(f"{path}.{wrong}", f"{kind} {what} in annotation and field must match")] if wrong else []


def kept(path: str, new: dict[str, str], old: dict[str, str]) -> list[Cause]:
    """What an update must not change (ValidatePodSpecificAnnotationUpdates)."""
    causes: list[Cause] = []
    for keys, verb in (
        ([k for k in old if new.get(k) != old[k]], "remove or update"),
        ([k for k in new if k not in old], "add"),
    ):
        for key in keys:
            if key.startswith(_APP_ARMOR):
                causes.append(forbidden(f"{path}[{key}]", f"may not {verb} AppArmor annotations"))
            if key == MIRROR:
                causes.append(forbidden(f"{path}[{key}]", f"may not {verb} mirror pod annotation"))
    return causes
