"""Ephemeral containers, what kubectl debug adds to a pod: ValidatePodEphemeralContainersUpdate of Kubernetes."""

from __future__ import annotations

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, duplicate, forbidden, required

_PATH = "spec.ephemeralContainers"
_NOT_THERE = ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resources", "resizePolicy")


def validate_create(pod: Object) -> list[Cause]:
    """A new pod has none."""
    return [forbidden(_PATH, "cannot be set on create")] if pod["spec"].get("ephemeralContainers") else []


def validate_update(new: Object, old: Object) -> list[Cause]:
    """They are only ever added."""
    containers = new["spec"].get("ephemeralContainers") or []
    causes = _containers(new["spec"], containers)
    present = {c.get("name"): c for c in containers}
    for known in old["spec"].get("ephemeralContainers") or ():
        name = known["name"]
        if name not in present:
            causes.append(forbidden(_PATH, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif present[name] != known:
            causes.append(forbidden(_PATH, f'existing ephemeral containers "{name}" may not be changed\n'))
    return causes


def _containers(spec: Object, containers: list[Object]) -> list[Cause]:
    own = {c["name"] for field in ("containers", "initContainers") for c in spec.get(field) or ()}
    seen, causes = set(own), list[Cause]()
    for index, container in enumerate(containers):
        path, name = f"{_PATH}[{index}]", container.get("name", "")
        causes += all_invalid(f"{path}.name", name, names.dns1123_label(name)) if name else [required(f"{path}.name")]
        if name in seen:
            causes.append(duplicate(f"{path}.name", name))
        seen.add(name)
        if not container.get("image"):
            causes.append(required(f"{path}.image"))
        target = container.get("targetContainerName")
        if target and target not in own:
            causes.append(Cause("FieldValueNotFound", f'Not found: "{target}"', f"{path}.targetContainerName"))
        for field in _NOT_THERE:
            if container.get(field):
                causes.append(forbidden(f"{path}.{field}", "cannot be set for an Ephemeral Container"))
        if any(mount.get("subPath") for mount in container.get("volumeMounts") or ()):
            causes.append(forbidden(f"{path}.volumeMounts", "cannot be set for an Ephemeral Container"))
    return causes
