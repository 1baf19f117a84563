"""Containers of a pod: what all kinds share, and what only some may have (validateContainers, validateInitContainers)."""

from __future__ import annotations

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import (
    all_invalid,
    duplicate,
    forbidden,
    invalid,
    listed,
    not_found,
    one_of,
    required,
    too_many,
)
from labctl.api.validation.pods import environment, mounts, network, probes, requirements, security
from labctl.api.validation.pods.scope import Scope

_MESSAGES = ("File", "FallbackToLogsOnError")  # in Kubernetes' order
_PULL = ("Always", "IfNotPresent", "Never")
_RESTART = ("Always", "Never", "OnFailure")
_ACTIONS = ("Restart", "RestartAllContainers")
_OPERATORS = ("In", "NotIn")
_MAX_RULES, _MAX_CODES = 20, 255
_RESIZED = ("cpu", "memory")
_RESIZING = ("NotRequired", "RestartContainer")
_NOT_EPHEMERAL = (
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
)


def regular(path: str, scope: Scope) -> list[Cause]:
    """`containers`, of which there has to be one."""
    containers, causes, seen = scope.spec.get("containers") or [], list[Cause](), set[str]()
    if not containers:
        return [required(path)]
    for index, container in enumerate(containers):
        here, name = f"{path}[{index}]", container.get("name", "")
        causes += _common(here, container, scope)
        if name in seen:
            causes.append(duplicate(f"{here}.name", name))
        seen.add(name)
        causes += _active(here, container, scope) + _restarts(here, container)
    return causes + network.host_ports(path, containers)


def initial(path: str, scope: Scope) -> list[Cause]:
    """`initContainers`; those that restart always are sidecars, and may have what regular ones have."""
    causes, seen = list[Cause](), {c.get("name", "") for c in scope.spec.get("containers") or ()}
    for index, container in enumerate(scope.spec.get("initContainers") or ()):
        here, name = f"{path}[{index}]", container.get("name", "")
        causes += _common(here, container, scope) + _restarts(here, container)
        if name in seen:
            causes.append(duplicate(f"{here}.name", name))
        seen |= {name} if name else set()
        causes += network.host_ports(path, [container])
        if container.get("restartPolicy") == "Always":
            causes += _active(here, container, scope)
            continue
        detail = "may not be set for init containers without restartPolicy=Always"
        causes += [
            forbidden(f"{here}.{f}", detail) for f in ("lifecycle", *probes.PROBES) if container.get(f) is not None
        ]
        detail = "must not be set to 'RestartContainer' for non-sidecar initContainers"
        causes += [
            invalid(f"{here}.resizePolicy[{i}].restartPolicy", policy["restartPolicy"], detail)
            for i, policy in enumerate(container.get("resizePolicy") or ())
            if policy.get("restartPolicy") == "RestartContainer"
        ]
    return causes


def ephemeral(path: str, scope: Scope) -> list[Cause]:
    """`ephemeralContainers`, what kubectl debug adds to a pod (validateEphemeralContainers)."""
    own = {c.get("name", "") for group in ("containers", "initContainers") for c in scope.spec.get(group) or ()}
    causes, seen = list[Cause](), set(own)
    for index, container in enumerate(scope.spec.get("ephemeralContainers") or ()):
        here, name, target = f"{path}[{index}]", container.get("name", ""), container.get("targetContainerName")
        causes += _common(here, container, scope) + image_padding(here, container)
        if name in seen:
            causes.append(duplicate(f"{here}.name", name))
        seen.add(name)
        if target and target not in own:
            causes.append(not_found(f"{here}.targetContainerName", target))
        detail = "cannot be set for an Ephemeral Container"
        causes += [forbidden(f"{here}.{field}", detail) for field in _NOT_EPHEMERAL if container.get(field)]
        for i, mount in enumerate(container.get("volumeMounts") or ()):
            given = [field for field in ("subPath", "subPathExpr") if mount.get(field)]
            causes += [forbidden(f"{here}.volumeMounts[{i}].{field}", detail) for field in given]
    return causes


def image_padding(path: str, container: Object) -> list[Cause]:
    """Only pods are this strict about images, templates are not (validateContainerOnlyForPod)."""
    image = container.get("image", "")
    if image == image.strip():
        return []
    return [invalid(f"{path}.image", image, "must not have leading or trailing whitespace")]


def _common(path: str, container: Object, scope: Scope) -> list[Cause]:
    name, policy, pull = (container.get(f, "") for f in ("name", "terminationMessagePolicy", "imagePullPolicy"))
    causes = all_invalid(f"{path}.name", name, names.dns1123_label(name)) if name else [required(f"{path}.name")]
    if not container.get("image"):
        causes.append(required(f"{path}.image"))
    if policy not in _MESSAGES:
        causes.append(listed(f"{path}.terminationMessagePolicy", policy, _MESSAGES))
    causes += network.ports(f"{path}.ports", container.get("ports") or ())
    causes += environment.variables(f"{path}.env", container.get("env") or ())
    causes += environment.sources(f"{path}.envFrom", container.get("envFrom") or ())
    causes += mounts.mounts(f"{path}.volumeMounts", container, scope)
    causes += mounts.devices(f"{path}.volumeDevices", container, scope)
    causes += one_of(f"{path}.imagePullPolicy", pull, _PULL) if pull else [required(f"{path}.imagePullPolicy")]
    causes += requirements.container(f"{path}.resources", container.get("resources") or {}, scope)
    causes += _resizing(f"{path}.resizePolicy", container, scope)
    return causes + security.container(f"{path}.securityContext", container.get("securityContext") or {}, scope)


def _active(path: str, container: Object, scope: Scope) -> list[Cause]:
    hooks = container.get("lifecycle")
    causes = probes.lifecycle(f"{path}.lifecycle", hooks, scope) if hooks is not None else []
    return causes + probes.probes(path, container, scope)


def _resizing(path: str, container: Object, scope: Scope) -> list[Cause]:
    causes, seen = list[Cause](), set[str]()
    for index, each in enumerate(container.get("resizePolicy") or ()):
        resource, policy = each.get("resourceName", ""), each.get("restartPolicy", "")
        if resource in seen:
            causes.append(duplicate(f"{path}[{index}]", resource))
        seen.add(resource)
        for value, allowed in ((resource, _RESIZED), (policy, _RESIZING)):
            causes += one_of(path, value, allowed) if value else [required(path)]
        if scope.spec.get("restartPolicy") == "Never" and policy != "NotRequired":
            causes.append(invalid(path, policy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"))
    return causes


def _restarts(path: str, container: Object) -> list[Cause]:
    """A container's own restartPolicy and its rules (validateContainerRestartPolicy)."""
    policy, rules, causes = container.get("restartPolicy"), container.get("restartPolicyRules") or [], list[Cause]()
    if policy is not None:
        causes += one_of(f"{path}.restartPolicy", policy, _RESTART)
    elif rules:
        causes.append(required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used"))
    if len(rules) > _MAX_RULES:
        causes.append(too_many(f"{path}.restartPolicyRules", len(rules), _MAX_RULES))
    for index, rule in enumerate(rules):
        here, codes = f"{path}.restartPolicyRules[{index}]", rule.get("exitCodes")
        causes += one_of(f"{here}.action", rule.get("action", ""), _ACTIONS)
        if codes is None:
            causes.append(required(f"{here}.exitCodes", "must be specified"))
            continue
        causes += one_of(f"{here}.exitCodes.operator", codes.get("operator", ""), _OPERATORS)
        if len(codes.get("values") or ()) > _MAX_CODES:
            causes.append(too_many(f"{here}.exitCodes.values", len(codes["values"]), _MAX_CODES))
    return causes
