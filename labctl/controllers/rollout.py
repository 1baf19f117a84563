"""How many replicas each ReplicaSet of a Deployment is to have next. Pure.

Follows pkg/controller/deployment (rolling.go, sync.go) and its util: a rollout moves within maxSurge and maxUnavailable, and a
Deployment that is scaled in the middle of a rollout spreads the difference over its ReplicaSets by their sizes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labctl.api.objects import Object

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"


@dataclass(frozen=True, slots=True)
class Step:
    """A ReplicaSet and its next number of replicas."""

    replica_set: Object
    replicas: int


def size(replica_set: Object) -> int:
    """The number of replicas a ReplicaSet (or Deployment) asks for."""
    return int(replica_set["spec"].get("replicas", 1))


def count(replica_set: Object | None, name: str) -> int:
    """A count of the status; 0 where there is none."""
    return int(((replica_set or {}).get("status") or {}).get(name) or 0)


def limits(deployment: Object) -> tuple[int, int]:
    """maxSurge (rounded up) and maxUnavailable (rounded down) as numbers; (0, 0) for Recreate.

    Both zero would never move, so then one may be unavailable.
    """
    strategy = deployment["spec"].get("strategy") or {}
    replicas = size(deployment)
    if strategy.get("type") == "Recreate":
        return 0, 0
    rolling = strategy.get("rollingUpdate") or {}
    surge = _amount(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = _amount(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    if not surge and not unavailable:
        unavailable = 1
    return surge, min(unavailable, replicas)


def _amount(value: Any, total: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    share = int(str(value).rstrip("%")) * total / 100
    return math.ceil(share) if up else math.floor(share)


def new_size(deployment: Object, present: int, old: Sequence[Object]) -> int:
    """The next size of the new ReplicaSet, which has `present` replicas: as many more as the surge leaves room for."""
    replicas = size(deployment)
    if present >= replicas or (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return replicas
    surge, _ = limits(deployment)
    room = replicas + surge - present - sum(map(size, old))
    return min(replicas, present + max(room, 0))


def old_steps(deployment: Object, new: Object, old: Sequence[Object]) -> list[Step]:
    """Old replicas that may go now: those that do not work first, then as many as availability allows."""
    _, unavailable = limits(deployment)
    minimum = size(deployment) - unavailable
    sizes = {r["metadata"]["name"]: size(r) for r in old}
    available_new = count(new, "availableReplicas")
    spare = sum(sizes.values()) + size(new) - minimum - (size(new) - available_new)
    if not any(sizes.values()) or spare <= 0:
        return []
    by_age = sorted(old, key=_age)
    steps = []
    for replica_set in by_age:
        name, broken = replica_set["metadata"]["name"], size(replica_set) - count(replica_set, "availableReplicas")
        drop = min(spare, broken)
        if sizes[name] and drop > 0:
            spare -= drop
            sizes[name] -= drop
            steps.append(Step(replica_set, sizes[name]))
    spare = available_new + sum(count(r, "availableReplicas") for r in old) - minimum
    for replica_set in by_age:
        name = replica_set["metadata"]["name"]
        drop = min(spare, sizes[name])
        if drop > 0:
            spare -= drop
            sizes[name] -= drop
            steps.append(Step(replica_set, sizes[name]))
    return steps


def is_scaled(deployment: Object, owned: Sequence[Object]) -> bool:
    """Whether the Deployment's size changed since its active ReplicaSets were last sized."""
    noted = (_noted(r, DESIRED) for r in owned if size(r))
    return any(desired is not None and desired != size(deployment) for desired in noted)


def scaling_steps(deployment: Object, new: Object | None, old: Sequence[Object]) -> list[Step]:
    """A Deployment that is paused or scaled: the one active ReplicaSet takes it all, several share it."""
    every = [*old, *([new] if new else [])]
    active = [r for r in every if size(r)]
    replicas = size(deployment)
    if len(active) < 2:
        alone = active[0] if active else new or max(old, key=_age, default=None)
        return [Step(alone, replicas)] if alone and size(alone) != replicas else []
    if new and _is_saturated(deployment, new):
        return [Step(r, 0) for r in active if r is not new]
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return []
    return _proportional(deployment, active)


def _proportional(deployment: Object, active: list[Object]) -> list[Step]:
    surge, _ = limits(deployment)
    allowed = size(deployment) + surge if size(deployment) else 0
    change = allowed - sum(map(size, active))
    active = sorted(active, key=_age, reverse=change > 0)
    active.sort(key=size, reverse=True)
    sizes, given = [], 0
    for replica_set in active:
        share = _share(deployment, replica_set, allowed)
        part = min(share, change - given) if change > 0 else max(share, change - given)
        part = part if change != given else 0
        sizes.append(size(replica_set) + part)
        given += part
    sizes[0] = max(sizes[0] + change - given, 0)
    return [Step(r, wanted) for r, wanted in zip(active, sizes, strict=True)]


def _share(deployment: Object, replica_set: Object, allowed: int) -> int:
    """How much a ReplicaSet grows (or shrinks) when it keeps its part of the whole."""
    if not size(deployment):
        return -size(replica_set)
    before = _noted(replica_set, MAXIMUM) or count(deployment, "replicas")
    if not before:
        return 0
    return math.floor(size(replica_set) * allowed / before + 0.5) - size(replica_set)


def _is_saturated(deployment: Object, new: Object) -> bool:
    replicas = size(deployment)
    return size(new) == _noted(new, DESIRED) == count(new, "availableReplicas") == replicas


def _noted(replica_set: Object, annotation: str) -> int | None:
    text = (replica_set["metadata"].get("annotations") or {}).get(annotation, "")
    return int(text) if text.isdigit() else None


def _age(replica_set: Object) -> tuple[str, str]:
    return replica_set["metadata"].get("creationTimestamp", ""), replica_set["metadata"]["name"]
