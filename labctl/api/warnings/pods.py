"""Pods and pod templates: pkg/api/pod/warnings.go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labctl.api import quantities, volumes
from labctl.api.objects import Object
from labctl.api.warnings import addresses, pod_paths, pod_ports

_OLD_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
_OLD_VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_OLD_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_OLD_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_OLD_APP_ARMOR = 'deprecated since v1.30; use the "appArmorProfile" field instead'
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NO_SELECTOR = "a null labelSelector results in matching no pod"


def of_template(template: Object, path: str) -> list[str]:
    """Warnings of a Pod (path empty) or of the pod template at a path."""
    spec, here = template.get("spec") or {}, f"{path}.spec" if path else "spec"
    found = [
        f"{here}.nodeSelector[{key}]: {_OLD_LABELS[key]}"
        for key in spec.get("nodeSelector") or ()
        if key in _OLD_LABELS
    ]
    found += _node_affinity(spec, here)
    found += _spread(spec, here)
    notes = (template.get("metadata") or {}).get("annotations") or {}
    of_notes = f"{path}.metadata.annotations" if path else "metadata.annotations"
    found += [f"{of_notes}[{key}]: {_OLD_ANNOTATIONS[key]}" for key in notes if key in _OLD_ANNOTATIONS]
    for index, volume in enumerate(spec.get("volumes") or ()):
        found += [f"{here}.volumes[{index}].{name}: {text}" for name, text in _OLD_VOLUMES.items() if name in volume]
        found += [f"{here}.volumes[{index}]: {lack}"] if (lack := volumes.lack(volume)) else []
        found += _claim(volume, f"{here}.volumes[{index}].ephemeral.volumeClaimTemplate.spec.resources")
    found += pod_paths.overlaps(spec.get("volumes") or ())
    found += _twice(spec.get("hostAliases"), f"{here}.hostAliases", "ip")
    found += _pull_secrets(spec, here)
    found += _fractions(spec.get("overhead") or {}, f"{here}.overhead")
    shared = spec.get("securityContext") or {}
    if _SECCOMP_POD in notes and not shared.get("seccompProfile"):
        found.append(f"{of_notes}[{_SECCOMP_POD}]: {_OLD_SECCOMP}")
    containers = list(_containers(spec, here))
    for where, container in containers:
        found += _profiles(container, notes, of_notes, shared if path else None)
        sides = container.get("resources") or {}
        for resource in ("memory", "ephemeral-storage"):
            for side in ("limits", "requests"):
                found += _fractions(sides.get(side) or {}, f"{where}.resources.{side}", resource)
        found += _hidden_variables(container, where)
    found += pod_ports.clashes(containers) + pod_ports.names(containers)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        found.append(
            f"{here}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        )
    found += _pod_affinity(spec, here)
    found += addresses.warnings(f"{here}.dnsConfig.nameservers", (spec.get("dnsConfig") or {}).get("nameservers") or ())
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        found += addresses.warning(f"{here}.hostAliases[{index}].ip", alias.get("ip", ""))
    return found


def _profiles(container: Object, notes: Object, path: str, of_template: Object | None) -> list[str]:
    """Annotations that have become fields; `of_template` is the shared security context of a template's pods."""
    own, name, found = container.get("securityContext") or {}, container.get("name", ""), list[str]()
    if _SECCOMP_CONTAINER + name in notes and not own.get("seccompProfile"):
        found.append(f"{path}[{_SECCOMP_CONTAINER}{name}]: {_OLD_SECCOMP}")
    if of_template is None or own.get("appArmorProfile") or _APP_ARMOR + name not in notes:
        return found
    if (of_template.get("appArmorProfile") or {}) != _app_armor(notes[_APP_ARMOR + name]):
        found.append(f"{path}[{_APP_ARMOR}{name}]: {_OLD_APP_ARMOR}")
    return found


def _app_armor(annotation: str) -> Object:
    """The field that says the same as an annotation."""
    if annotation.startswith("localhost/"):
        return {"type": "Localhost", "localhostProfile": annotation.removeprefix("localhost/")}
    return {"type": {"unconfined": "Unconfined", "runtime/default": "RuntimeDefault"}.get(annotation, "")}


def _claim(volume: Object, path: str) -> list[str]:
    template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate") or {}
    resources = (template.get("spec") or {}).get("resources") or {}
    return [
        text
        for side in ("requests", "limits")
        for text in _fractions(resources.get(side) or {}, f"{path}.{side}", "storage")
    ]


def _containers(spec: Object, path: str) -> Iterator[tuple[str, Object]]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield f"{path}.{field}[{index}]", container


def _node_affinity(spec: Object, path: str) -> list[str]:
    rules, here = (spec.get("affinity") or {}).get("nodeAffinity") or {}, f"{path}.affinity.nodeAffinity"
    required = (rules.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()
    terms = [(f"{here}.{_REQUIRED}.nodeSelectorTerms[{i}]", term) for i, term in enumerate(required)]
    found = [t for where, term in terms for t in _node_term(term, where)]
    for index, wish in enumerate(rules.get(_PREFERRED) or ()):
        where = f"{here}.{_PREFERRED}[{index}].preference"
        found += _node_term(wish.get("preference") or {}, where)
    return found


def _node_term(term: Object, path: str) -> list[str]:
    return [
        f"{path}.matchExpressions[{index}].key: {key} is {_OLD_LABELS[key]}"
        for index, expression in enumerate(term.get("matchExpressions") or ())
        if (key := expression.get("key")) in _OLD_LABELS
    ]


def _spread(spec: Object, path: str) -> list[str]:
    found = []
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        here, key = f"{path}.topologySpreadConstraints[{index}]", constraint.get("topologyKey")
        if key in _OLD_LABELS:
            found.append(f"{here}.topologyKey: {key} is {_OLD_LABELS[key]}")
        if constraint.get("labelSelector") is None:
            found.append(f"{here}.labelSelector: {_NO_SELECTOR}")
    return found


def _twice(items: Any, path: str, field: str) -> list[str]:
    seen, found = set[str](), []
    for index, item in enumerate(items or ()):
        value = item.get(field, "")
        if value in seen:
            found.append(f'{path}[{index}].{field}: duplicate {field} "{value}"')
        seen.add(value)
    return found


def _pull_secrets(spec: Object, path: str) -> list[str]:
    secrets, here = spec.get("imagePullSecrets") or [], f"{path}.imagePullSecrets"
    unnamed = [f'{here}[{i}].name: invalid empty name ""' for i, s in enumerate(secrets) if not s.get("name")]
    return _twice(secrets, here, "name") + unnamed


def _fractions(amounts: Object, path: str, *names: str) -> list[str]:
    """Bytes come whole."""
    return [
        f'{path}[{name}]: fractional byte value "{amounts[name]}" is invalid, must be an integer'
        for name in names or ("memory", "ephemeral-storage")
        if name in amounts and quantities.parse(str(amounts[name])).amount % 1
    ]


def _hidden_variables(container: Object, path: str) -> list[str]:
    seen, found = set[str](), []
    for index, variable in enumerate(container.get("env") or ()):
        name, value = variable.get("name", ""), variable.get("value", "")
        reference = f"$({name})"
        bad = variable.get("valueFrom") is not None or value == reference or reference not in value
        if name in seen and bad:
            text = f'hides previous definition of "{name}", which may be dropped when using apply'
            found.append(f"{path}.env[{index}]: {text}")
        seen.add(name)
    return found


def _pod_affinity(spec: Object, path: str) -> list[str]:
    found = []
    for rule in ("podAffinity", "podAntiAffinity"):
        rules, here = (spec.get("affinity") or {}).get(rule) or {}, f"{path}.affinity.{rule}"
        terms = [(f"{here}.{_REQUIRED}[{i}]", t) for i, t in enumerate(rules.get(_REQUIRED) or ())]
        for index, wish in enumerate(rules.get(_PREFERRED) or ()):
            terms.append((f"{here}.{_PREFERRED}[{index}].podAffinityTerm", wish.get("podAffinityTerm") or {}))
        found += [f"{where}.labelSelector: {_NO_SELECTOR}" for where, t in terms if t.get("labelSelector") is None]
    return found
