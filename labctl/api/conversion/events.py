"""Events of events.k8s.io/v1 are core/v1 Events with other names for some fields."""

from __future__ import annotations

from labctl.api.objects import Object

# events.k8s.io/v1 -> core/v1
_NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
    "reportingController": "reportingComponent",
}
_BACK = {core: events for events, core in _NAMES.items()}


def to_core(obj: Object) -> Object:
    """The core/v1 form."""
    return {_NAMES.get(name, name): value for name, value in obj.items()}


def from_core(obj: Object) -> Object:
    """The events.k8s.io/v1 form."""
    return {_BACK.get(name, name): value for name, value in obj.items()}
