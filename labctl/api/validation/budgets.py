"""PodDisruptionBudgets: pkg/apis/policy/validation."""

from __future__ import annotations

from typing import Any

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation import meta
from labctl.api.validation.causes import all_invalid, invalid, listed

_POLICIES = ("AlwaysAllow", "IfHealthyBudget")


def validate(budget: Object) -> list[Cause]:
    """A PodDisruptionBudget."""
    spec = budget.get("spec") or {}
    causes: list[Cause] = []
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        causes.append(invalid("spec", _shown(spec), "minAvailable and maxUnavailable cannot be both set"))
    for name in ("minAvailable", "maxUnavailable"):
        if spec.get(name) is not None:
            causes += _amount(f"spec.{name}", spec[name])
    if spec.get("selector") is not None:
        causes += meta.label_selector("spec.selector", spec["selector"])
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy not in (None, *_POLICIES):
        causes.append(listed("spec.unhealthyPodEvictionPolicy", policy, _POLICIES))
    return causes


def _shown(spec: Object) -> Object:
    """The spec as Kubernetes' internal type has it."""
    fields = ("minAvailable", "selector", "maxUnavailable", "unhealthyPodEvictionPolicy")
    return {name[0].upper() + name[1:]: spec.get(name) for name in fields}


def _amount(path: str, value: Any) -> list[Cause]:
    if isinstance(value, int):
        return [invalid(path, value, "must be greater than or equal to 0")] if value < 0 else []
    complaints = names.percent(value)
    if complaints:
        return all_invalid(path, value, complaints)
    return [invalid(path, value, "must not be greater than 100%")] if int(value.rstrip("%")) > 100 else []
