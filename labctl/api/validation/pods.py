"""Pods and pod templates: the parts of pkg/apis/core/validation that a lab's pods can get wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation import meta, placement, security
from labctl.api.validation.causes import (
    address_complaints,
    all_invalid,
    duplicate,
    forbidden,
    invalid,
    listed,
    required,
    unsupported,
)

_RESTART = ("Always", "OnFailure", "Never")  # in Kubernetes' order
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PULL = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_MUTABLE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")


def validate(pod: Object) -> list[Cause]:
    """A Pod."""
    return spec("spec", pod["spec"])


def spec(path: str, pod: Object) -> list[Cause]:
    """A PodSpec at a path (`spec`, `spec.template.spec`)."""
    causes: list[Cause] = []
    volumes = _volumes(f"{path}.volumes", pod.get("volumes") or (), causes)
    seen: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(pod.get(field) or ()):
            causes += _container(f"{path}.{field}[{index}]", container, volumes, seen)
    if not pod.get("containers"):
        causes.append(required(f"{path}.containers"))
    for name, allowed in (("restartPolicy", _RESTART), ("dnsPolicy", _DNS)):
        if pod.get(name) not in allowed:
            causes.append(listed(f"{path}.{name}", pod.get(name, ""), allowed))
    causes += meta.labels(f"{path}.nodeSelector", pod.get("nodeSelector") or {})
    for name in ("hostname", "subdomain"):
        if value := pod.get(name):
            causes += all_invalid(f"{path}.{name}", value, names.dns1123_label(value))
    for name in ("nodeName", "serviceAccountName"):
        if value := pod.get(name):
            causes += all_invalid(f"{path}.{name}", value, names.dns1123_subdomain(value))
    grace = pod.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        causes.append(invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than or equal to 0"))
    causes += security.validate(path, pod) + placement.validate(path, pod)
    return causes + _host_aliases(path, pod) + _host_ports(path, pod)


def validate_update(new: Object, old: Object) -> list[Cause]:
    """Only images and a few fields of a pod may change."""
    causes = _gates_update(new["spec"], old["spec"])
    if _frozen(new["spec"]) == _frozen(old["spec"]):
        return causes
    detail = (
        "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
        "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
    )
    return [*causes, forbidden("spec", detail)]


def _gates_update(new: Object, old: Object) -> list[Cause]:
    known = {gate["name"] for gate in old.get("schedulingGates") or ()}
    return [
        forbidden(
            f"spec.schedulingGates[{index}].name",
            f"only deletion is allowed, but found new scheduling gate '{gate['name']}'",
        )
        for index, gate in enumerate(new.get("schedulingGates") or ())
        if gate["name"] not in known
    ]


def _frozen(pod: Object) -> Object:
    kept = {k: v for k, v in pod.items() if k not in _MUTABLE}
    for field in ("containers", "initContainers"):
        if kept.get(field):
            kept[field] = [{k: v for k, v in c.items() if k != "image"} for c in kept[field]]
    return kept


def _volumes(path: str, volumes: Iterable[Object], causes: list[Cause]) -> set[str]:
    known: set[str] = set()
    for index, volume in enumerate(volumes):
        name = volume.get("name", "")
        if not name:
            causes.append(required(f"{path}[{index}].name"))
        else:
            causes += all_invalid(f"{path}[{index}].name", name, names.dns1123_label(name))
        if name in known:
            causes.append(duplicate(f"{path}[{index}].name", name))
        known.add(name)
        sources = [k for k in volume if k != "name"]
        if not sources:
            causes.append(required(f"{path}[{index}]", "must specify a volume type"))
        causes += [
            forbidden(f"{path}[{index}].{extra}", "may not specify more than 1 volume type") for extra in sources[1:]
        ]
    return known


def _container(path: str, container: Object, volumes: set[str], seen: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    name = container.get("name", "")
    if not name:
        causes.append(required(f"{path}.name"))
    else:
        causes += all_invalid(f"{path}.name", name, names.dns1123_label(name))
    if name in seen:
        causes.append(duplicate(f"{path}.name", name))
    seen.add(name)
    image = container.get("image", "")
    if not image:
        causes.append(required(f"{path}.image"))
    elif image != image.strip():
        causes.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    if container.get("imagePullPolicy") not in _PULL:
        causes.append(unsupported(f"{path}.imagePullPolicy", container.get("imagePullPolicy", ""), _PULL))
    causes += _ports(f"{path}.ports", container.get("ports") or ())
    causes += _env(f"{path}.env", container.get("env") or ())
    causes += _mounts(f"{path}.volumeMounts", container.get("volumeMounts") or (), volumes)
    for probe in _PROBES:
        if container.get(probe):
            causes += _probe(f"{path}.{probe}", container[probe])
    return causes


def _ports(path: str, ports: Iterable[Object]) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        here = f"{path}[{index}]"
        if name := port.get("name"):
            causes += all_invalid(f"{here}.name", name, names.port_name(name))
            if name in seen:
                causes.append(duplicate(f"{here}.name", name))
            seen.add(name)
        number = port.get("containerPort", 0)
        if not number:
            causes.append(required(f"{here}.containerPort"))
        else:
            causes += all_invalid(f"{here}.containerPort", number, names.port_number(number))
        if host := port.get("hostPort"):
            causes += all_invalid(f"{here}.hostPort", host, names.port_number(host))
        if port.get("protocol") not in _PROTOCOLS:
            causes.append(unsupported(f"{here}.protocol", port.get("protocol"), _PROTOCOLS))
    return causes


def _env(path: str, variables: Iterable[Object]) -> list[Cause]:
    causes: list[Cause] = []
    for index, variable in enumerate(variables):
        here, name = f"{path}[{index}]", variable.get("name", "")
        if not name:
            causes.append(required(f"{here}.name"))
        else:
            causes += all_invalid(f"{here}.name", name, names.environment_variable_name(name))
        source = variable.get("valueFrom")
        if source and variable.get("value"):
            causes.append(invalid(f"{here}.valueFrom", "", "may not be specified when `value` is not empty"))
        elif source is not None and not source:
            detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
            causes.append(invalid(f"{here}.valueFrom", "", detail))
    return causes


def _mounts(path: str, mounts: Iterable[Object], volumes: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        here = f"{path}[{index}]"
        if not mount.get("name"):
            causes.append(required(f"{here}.name"))
        elif mount["name"] not in volumes:
            causes.append(Cause("FieldValueNotFound", f'Not found: "{mount["name"]}"', f"{here}.name"))
        target = mount.get("mountPath", "")
        if not target:
            causes.append(required(f"{here}.mountPath"))
        elif target in seen:
            causes.append(invalid(f"{here}.mountPath", target, "must be unique"))
        seen.add(target)
    return causes


def _probe(path: str, probe: Object) -> list[Cause]:
    causes: list[Cause] = []
    handlers = [h for h in _HANDLERS if probe.get(h) is not None]
    if not handlers:
        causes.append(required(path, "must specify a handler type"))
    causes += [forbidden(f"{path}.{h}", "may not specify more than 1 handler type") for h in handlers[1:]]
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if probe.get(name, 0) < 0:
            causes.append(invalid(f"{path}.{name}", probe[name], "must be greater than or equal to 0"))
    if path.endswith(("livenessProbe", "startupProbe")) and probe.get("successThreshold", 1) != 1:
        causes.append(invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1"))
    return causes


def _host_aliases(path: str, pod: Object) -> list[Cause]:
    causes: list[Cause] = []
    for index, alias in enumerate(pod.get("hostAliases") or ()):
        here = f"{path}.hostAliases[{index}]"
        causes += all_invalid(f"{here}.ip", alias.get("ip", ""), address_complaints(alias.get("ip", "")))
        for hostname in alias.get("hostnames") or ():
            causes += all_invalid(f"{here}.hostnames", hostname, names.dns1123_subdomain(hostname))
    return causes


def _host_ports(path: str, pod: Object) -> list[Cause]:
    causes: list[Cause] = []
    taken: set[tuple[Any, ...]] = set()
    for index, container in enumerate(pod.get("containers") or ()):
        for i, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            here = f"{path}.containers[{index}].ports[{i}]"
            key = (port.get("protocol"), port.get("hostIP", ""), port["hostPort"])
            if key in taken:
                causes.append(duplicate(f"{here}.hostPort", f"{key[0]}/{key[1]}/{key[2]}"))
            taken.add(key)
            if pod.get("hostNetwork") and port["hostPort"] != port.get("containerPort"):
                causes.append(
                    invalid(
                        f"{here}.containerPort",
                        port["containerPort"],
                        "must match `hostPort` when `hostNetwork` is true",
                    )
                )
    return causes
