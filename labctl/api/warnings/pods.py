"""Pods and pod templates: pkg/api/pod/warnings.go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labctl.api import quantities, volumes
from labctl.api.objects import Object

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
    for index, volume in enumerate(spec.get("volumes") or ()):
        found += [f"{here}.volumes[{index}].{name}: {text}" for name, text in _OLD_VOLUMES.items() if name in volume]
        found += [f"{here}.volumes[{index}]: {lack}"] if (lack := volumes.lack(volume)) else []
    found += _twice(spec.get("hostAliases"), f"{here}.hostAliases", "ip")
    found += _pull_secrets(spec, here)
    containers = list(_containers(spec, here))
    for where, container in containers:
        found += _fractions(container, where) + _hidden_variables(container, where)
    found += _ports(containers) + _port_names(containers)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        found.append(
            f"{here}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        )
    return found + _pod_affinity(spec, here)


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


def _fractions(container: Object, path: str) -> list[str]:
    found = []
    for resource in ("memory", "ephemeral-storage"):
        for side in ("limits", "requests"):
            value = ((container.get("resources") or {}).get(side) or {}).get(resource)
            if value is not None and quantities.parse(str(value)).amount % 1:
                where = f"{path}.resources.{side}[{resource}]"
                found.append(f'{where}: fractional byte value "{value}" is invalid, must be an integer')
    return found


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


def _ports(containers: list[tuple[str, Object]]) -> list[str]:
    found: list[str] = []
    known: dict[tuple[int, str], list[tuple[str, Object]]] = {}
    for path, container in containers:
        for index, port in enumerate(container.get("ports") or ()):
            here = f"{path}.ports[{index}]"
            others = known.setdefault((port.get("containerPort", 0), port.get("protocol", "")), [])
            found += [
                f"{here}: {what} port definition with {w}" for w, other in others if (what := _clash(port, other))
            ]
            others.append((here, port))
    return found


def _clash(port: Object, other: Object) -> str:
    """How two ports of the same number and protocol get into each other's way."""
    mine, theirs = ((p.get("hostIP", ""), p.get("hostPort", 0)) for p in (port, other))
    if mine == theirs:
        return "duplicate"
    if not mine[1] or not theirs[1]:
        return "overlapping"
    return "dangerously ambiguous" if mine[1] == theirs[1] and bool(mine[0]) != bool(theirs[0]) else ""


def _port_names(containers: list[tuple[str, Object]]) -> list[str]:
    known: dict[str, str] = {}
    found = []
    for path, container in containers:
        for index, port in enumerate(container.get("ports") or ()):
            name, here = port.get("name"), f"{path}.ports[{index}]"
            if name and (first := known.setdefault(name, here)) != here:
                text = f"services and probes that select ports by name will use {first}"
                found.append(f'{here}: duplicate port name "{name}" with {first}, {text}')
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
