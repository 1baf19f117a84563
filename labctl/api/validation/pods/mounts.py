"""Where volumes appear in a container (ValidateVolumeMounts, ValidateVolumeDevices)."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import forbidden, invalid, not_found, one_of, required
from labctl.api.validation.pods.paths import descending, no_backsteps
from labctl.api.validation.pods.scope import Scope

_PROPAGATION = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")


def mounts(path: str, container: Object, scope: Scope) -> Iterator[Cause]:
    """`volumeMounts` of a container. Of several, Kubernetes does not say which one's sub-path is wrong."""
    devices = {d.get("name", ""): d.get("devicePath", "") for d in container.get("volumeDevices") or ()}
    seen = set[str]()
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        here, name, target = f"{path}[{index}]", mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            yield required(f"{here}.name")
        if name not in scope.volumes:
            yield not_found(f"{here}.name", name)
        if not target:
            yield required(f"{here}.mountPath")
        if target in seen:
            yield invalid(f"{here}.mountPath", target, "must be unique")
        seen.add(target)
        if name in devices:
            yield invalid(f"{here}.name", name, "must not already exist in volumeDevices")
        if target in devices.values():
            yield invalid(f"{here}.mountPath", target, "must not already exist as a path in volumeDevices")
        yield from _parts(path, here, mount)
        yield from _propagation(path, mount, container)


def _parts(path: str, here: str, mount: Object) -> Iterator[Cause]:
    if part := mount.get("subPath"):
        yield from descending(f"{path}.subPath", part)
    if expression := mount.get("subPathExpr"):
        if part:
            yield invalid(f"{here}.subPathExpr", expression, "subPathExpr and subPath are mutually exclusive")
        yield from descending(f"{path}.subPathExpr", expression)


def _propagation(path: str, mount: Object, container: Object) -> Iterator[Cause]:
    wanted, recursive = mount.get("mountPropagation"), mount.get("recursiveReadOnly")
    if wanted is not None:
        yield from one_of(f"{path}.mountPropagation", wanted, _PROPAGATION)
        if wanted == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
            detail = "Bidirectional mount propagation is available only to privileged containers"
            yield forbidden(f"{path}.mountPropagation", detail)
    if recursive is None:
        return
    yield from one_of(f"{path}.recursiveReadOnly", recursive, _RECURSIVE)
    if recursive in ("Enabled", "IfPossible"):
        if not mount.get("readOnly"):
            yield forbidden(f"{path}.recursiveReadOnly", "may only be specified when readOnly is true")
        if wanted not in (None, "None"):
            detail = "may only be specified when mountPropagation is None or not specified"
            yield forbidden(f"{path}.recursiveReadOnly", detail)


def devices(path: str, container: Object, scope: Scope) -> Iterator[Cause]:
    """`volumeDevices` of a container."""
    mounted = {m.get("name", ""): m.get("mountPath", "") for m in container.get("volumeMounts") or ()}
    seen, names = set[str](), set[str]()
    for index, device in enumerate(container.get("volumeDevices") or ()):
        here, name, target = f"{path}[{index}]", device.get("name", ""), device.get("devicePath", "")
        volume = scope.volumes.get(name)
        if not name:
            yield required(f"{here}.name")
        if name in names:
            yield invalid(f"{here}.name", name, "must be unique")
        if volume is None:
            yield not_found(f"{here}.name", name)
        elif volume.get("persistentVolumeClaim") is None and volume.get("ephemeral") is None:
            detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            yield invalid(f"{here}.name", name, detail)
        if not target:
            yield required(f"{here}.devicePath")
        if target in seen:
            yield invalid(f"{here}.devicePath", target, "must be unique")
        if target and no_backsteps("", target):
            yield invalid(f"{here}.devicePath", target, "can not contain backsteps ('..')")
        else:
            seen.add(target)
        if name in mounted:
            yield invalid(f"{here}.name", name, "must not already exist in volumeMounts")
        if target in mounted.values():
            yield invalid(f"{here}.devicePath", target, "must not already exist as a path in volumeMounts")
        names |= {name} if name else set()
