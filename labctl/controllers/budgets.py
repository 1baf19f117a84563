"""What a PodDisruptionBudget allows: its status from its pods. Pure (pkg/controller/disruption)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.api import times
from labctl.api.objects import Object

DELETION_S = 120.0  # an evicted pod that is not deleted by then counts as healthy again
_ALLOWED = "DisruptionAllowed"


@dataclass(frozen=True, slots=True)
class Expected:
    """How many pods there should be, and how many of them healthy."""

    pods: int
    healthy: int


def counts_controllers(budget: Object) -> bool:
    """Whether the number of pods that should be comes from their controllers, not from the pods that are."""
    spec = budget["spec"]
    return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)


def expected(budget: Object, pods: int, scale: int) -> Expected:
    """From `pods` that are selected and the sum of their controllers' replicas."""
    spec = budget["spec"]
    if spec.get("maxUnavailable") is not None:
        return Expected(scale, max(scale - _amount(spec["maxUnavailable"], scale), 0))
    least = spec.get("minAvailable")
    if isinstance(least, str):
        return Expected(scale, _amount(least, scale))
    return Expected(pods, least) if least is not None else Expected(0, 0)


def _amount(value: Any, total: int) -> int:
    """A number, or a share of the total rounded up."""
    return value if isinstance(value, int) else math.ceil(int(str(value).rstrip("%")) * total / 100)


def disrupted(budget: Object, pods: Iterable[Object], now_s: float) -> dict[str, str]:
    """The evicted pods that are still to be deleted, each with the time of its eviction."""
    known: Mapping[str, str] = (budget.get("status") or {}).get("disruptedPods") or {}
    names = {p["metadata"]["name"] for p in pods if not p["metadata"].get("deletionTimestamp")}
    return {n: at for n, at in known.items() if n in names and times.to_unix(at) + DELETION_S >= now_s}


def is_ready(pod: Object) -> bool:
    """Whether a pod is healthy."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def status(budget: Object, pods: Sequence[Object], wanted: Expected, *, now_s: float) -> Object:
    """The status that the budget is to have."""
    leaving = disrupted(budget, pods, now_s)
    staying = [p for p in pods if not p["metadata"].get("deletionTimestamp") and p["metadata"]["name"] not in leaving]
    healthy = sum(map(is_ready, staying))
    allowed = max(healthy - wanted.healthy, 0) if wanted.pods > 0 else 0
    generation = budget["metadata"].get("generation", 0)
    found: Object = {
        "observedGeneration": generation,
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": wanted.healthy,
        "expectedPods": wanted.pods,
    }
    if leaving:
        found["disruptedPods"] = leaving
    reason = "SufficientPods" if allowed else "InsufficientPods"
    return found | {"conditions": _conditions(budget, bool(allowed), reason, "", generation, now_s)}


def failed(budget: Object, message: str, *, now_s: float) -> Object:
    """The status when the expected number of pods cannot be told: nothing may be disrupted."""
    before = budget.get("status") or {}
    observed = before.get("observedGeneration", 0)
    conditions = _conditions(budget, False, "SyncFailed", message, observed, now_s)
    return {**before, "disruptionsAllowed": 0, "conditions": conditions}


def _conditions(
    budget: Object,
    is_allowed: bool,
    reason: str,
    message: str,
    generation: int,
    now_s: float,
) -> list[Object]:
    present = (budget.get("status") or {}).get("conditions") or ()
    known: Object = next((c for c in present if c["type"] == _ALLOWED), {})
    value = "True" if is_allowed else "False"
    since = known.get("lastTransitionTime") if known.get("status") == value else None
    condition: Object = {
        "type": _ALLOWED,
        "status": value,
        "observedGeneration": generation,
        "lastTransitionTime": since or times.format_time(now_s),
        "reason": reason,
        "message": message,
    }
    if not generation:
        del condition["observedGeneration"]
    return [*(c for c in present if c["type"] != _ALLOWED), condition]
