"""PriorityClasses: pkg/apis/scheduling/validation."""

from __future__ import annotations

from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import forbidden, invalid, listed, required

SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
"""The classes that every cluster has, and their values; other names may not begin as these do."""

_PREFIX = "system-"
_HIGHEST = 1_000_000_000
_POLICIES = ("PreemptLowerPriority", "Never")


def validate(priority_class: Object) -> list[Cause]:
    """A PriorityClass."""
    name, value = priority_class["metadata"].get("name", ""), priority_class.get("value", 0)
    causes = []
    if name.startswith(_PREFIX):
        if wrong := _wrong_system_class(name, value, is_default=bool(priority_class.get("globalDefault"))):
            detail = f"priority class names with '{_PREFIX}' prefix are reserved for system use only. error: {wrong}"
            causes.append(forbidden("metadata.name", detail))
    elif value > _HIGHEST:
        causes.append(forbidden("value", f"maximum allowed value of a user defined priority is {_HIGHEST}"))
    policy = priority_class.get("preemptionPolicy", _POLICIES[0])
    if not policy:
        causes.append(required("preemptionPolicy"))
    elif policy not in _POLICIES:
        causes.append(listed("preemptionPolicy", policy, _POLICIES))
    return causes


def _wrong_system_class(name: str, value: int, *, is_default: bool) -> str:
    if name not in SYSTEM_CLASSES:
        return f"{name} is not a known system priority class"
    if value != SYSTEM_CLASSES[name]:
        return f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name]}"
    return f"globalDefault of {name} PriorityClass must be false" if is_default else ""


def validate_update(new: Object, old: Object) -> list[Cause]:
    """Value and policy are there for good: pods have copies of them."""
    causes = []
    if new.get("value", 0) != old.get("value", 0):
        causes.append(forbidden("value", "may not be changed in an update."))
    if new.get("preemptionPolicy") != old.get("preemptionPolicy"):
        causes.append(invalid("preemptionPolicy", new.get("preemptionPolicy"), "field is immutable"))
    return causes
