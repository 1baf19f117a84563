"""A PodSpec as a whole, in the order in which Kubernetes looks at it (ValidatePodSpec)."""

from __future__ import annotations

from dataclasses import replace

from labctl.api import names
from labctl.api.status import Cause
from labctl.api.validation import meta
from labctl.api.validation.causes import all_invalid, duplicate, forbidden, invalid, listed, required
from labctl.api.validation.pods import (
    containers,
    environment,
    network,
    placement,
    requirements,
    security,
    tolerations,
    volumes,
    windows,
)
from labctl.api.validation.pods.scope import Scope

_RESTART = ("Always", "OnFailure", "Never")  # in Kubernetes' order, as the two below
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION = ("PreemptLowerPriority", "Never")
_CLAIMS = ("resourceClaimName", "resourceClaimTemplateName")
_MAX_DEADLINE = 2**31 - 1


def validate(path: str, scope: Scope) -> list[Cause]:
    """Every field of a PodSpec at a path (`spec`, `spec.template.spec`)."""
    spec = scope.spec
    causes, right = volumes.validate(f"{path}.volumes", spec.get("volumes") or [], scope)
    scope = replace(scope, volumes=right)
    causes += _resource_claims(f"{path}.resourceClaims", scope)
    causes += containers.regular(f"{path}.containers", scope)
    causes += containers.initial(f"{path}.initContainers", scope)
    causes += containers.ephemeral(f"{path}.ephemeralContainers", scope)
    causes += requirements.pod(f"{path}.resources", scope) + network.node_ports(path, scope)
    for name, allowed in (("restartPolicy", _RESTART), ("dnsPolicy", _DNS)):
        if spec.get(name) not in allowed:
            causes.append(listed(f"{path}.{name}", spec.get(name, ""), allowed))
    causes += meta.labels(f"{path}.nodeSelector", spec.get("nodeSelector") or {})
    causes += security.pod(f"{path}.securityContext", scope)
    causes += placement.affinity(f"{path}.affinity", spec.get("affinity") or {})
    causes += network.dns_config(f"{path}.dnsConfig", scope)
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType", "")
        causes += all_invalid(f"{path}.readinessGates[{index}].conditionType", kind, names.qualified_name(kind))
    causes += placement.gates(f"{path}.schedulingGates", spec.get("schedulingGates") or ())
    causes += placement.spread(f"{path}.topologySpreadConstraints", list(spec.get("topologySpreadConstraints") or ()))
    causes += windows.host_processes(path, scope) + _host_users(path, scope) + network.host_name(path, spec)
    return causes + _scalars(path, scope) + _last(path, scope)


def _resource_claims(path: str, scope: Scope) -> list[Cause]:
    causes, seen = list[Cause](), set[str]()
    for index, claim in enumerate(scope.spec.get("resourceClaims") or ()):
        here, name = f"{path}[{index}]", claim.get("name", "")
        if not name:
            causes.append(required(f"{here}.name"))
        elif name in seen:
            causes.append(duplicate(f"{here}.name", name))
        else:
            causes += all_invalid(f"{here}.name", name, names.dns1123_label(name))
            seen.add(name)
        given = [field for field in _CLAIMS if claim.get(field) is not None]
        if len(given) != 1:
            shown = {"Name": name, "ResourceClaimName": claim.get(_CLAIMS[0])}
            shown["ResourceClaimTemplateName"] = claim.get(_CLAIMS[1])
            text = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            none = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            causes.append(invalid(here, shown, text if given else none))
        for field in given:
            causes += all_invalid(f"{here}.{field}", claim[field], names.dns1123_subdomain(claim[field]))
    return causes


def _host_users(path: str, scope: Scope) -> list[Cause]:
    """A user namespace of its own goes with no namespace of the node (validateHostUsers)."""
    if scope.host_users:
        return []
    detail = "when `hostUsers` is false"
    fields = (
        ("hostNetwork", "hostNetwork"),
        ("hostPID", "HostPID"),
        ("hostIPC", "HostIPC"),
    )  # their messages' spelling
    causes = [forbidden(f"{path}.{spelled}", detail) for field, spelled in fields if scope.spec.get(field)]
    return causes + [
        forbidden(f"{path}.{here}.volumeDevices", detail)
        for here, container in scope.every_container()
        if container.get("volumeDevices")
    ]


def _scalars(path: str, scope: Scope) -> list[Cause]:
    spec, causes = scope.spec, list[Cause]()
    for name in ("serviceAccountName", "nodeName"):
        if value := spec.get(name):
            causes += all_invalid(f"{path}.{name}", value, names.dns1123_subdomain(value))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None:
        wrong = names.number_in_range(deadline, 1, _MAX_DEADLINE)
        causes += all_invalid(f"{path}.activeDeadlineSeconds", deadline, wrong)
    for name in ("hostname", "subdomain"):
        if value := spec.get(name):
            causes += all_invalid(f"{path}.{name}", value, names.dns1123_label(value))
    return causes


def _last(path: str, scope: Scope) -> list[Cause]:
    spec = scope.spec
    causes = tolerations.validate(f"{path}.tolerations", spec.get("tolerations") or ())
    causes += network.host_aliases(f"{path}.hostAliases", spec.get("hostAliases") or ())
    for name in ("priorityClassName", "runtimeClassName"):
        value = spec.get(name)
        if value or (value is not None and name == "runtimeClassName"):
            causes += all_invalid(f"{path}.{name}", value, names.dns1123_subdomain(value))
    preemption = spec.get("preemptionPolicy")
    if preemption == "":
        causes.append(required(f"{path}.preemptionPolicy"))
    elif preemption is not None and preemption not in _PREEMPTION:
        causes.append(listed(f"{path}.preemptionPolicy", preemption, _PREEMPTION))
    if spec.get("overhead") is not None:
        causes += requirements.overhead(f"{path}.overhead", spec["overhead"])
    return causes + windows.system(path, scope) + environment.files(path, scope)
