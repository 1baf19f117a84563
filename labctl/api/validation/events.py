"""Events of both API groups: pkg/apis/core/validation/events.go."""

from __future__ import annotations

from labctl.api import conversion, kinds, names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, invalid, required

_LIMITS = {"reportingInstance": 128, "action": 128, "reason": 128}
_MAX_NOTE = 1024
_TYPES = ("Normal", "Warning")
_UNSET = ("firstTimestamp", "lastTimestamp", "count", "source")
_IMMUTABLE = (
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
)


def validate(event: Object) -> list[Cause]:
    """A v1 Event."""
    return _common(event, "reportingComponent")


def _common(event: Object, controller: str) -> list[Cause]:
    """The rules for all events, in the form of v1."""
    about, namespace = event.get("involvedObject") or {}, event["metadata"].get("namespace", "")
    path, detail = "involvedObject.namespace", "does not match event.namespace"
    other = about.get("namespace", "")
    if not event.get("eventTime"):
        fits = other == namespace or (not other and namespace == "default")
        return [] if fits else [invalid(path, other, detail)]
    causes = list[Cause]()
    if not other and namespace not in ("default", "kube-system"):
        causes.append(invalid(path, other, detail))
    reporter = event.get("reportingComponent", "")
    causes += [] if reporter else [required(controller)]
    causes += all_invalid(controller, reporter, names.qualified_name(reporter))
    for field, limit in _LIMITS.items():
        if not event.get(field):
            causes.append(required(field))
        elif len(event[field].encode()) > limit:
            causes.append(invalid(field, "", f"can have at most {limit} characters"))
    if len(event.get("message", "").encode()) > _MAX_NOTE:
        causes.append(invalid("message", "", f"can have at most {_MAX_NOTE} characters"))
    return causes


def validate_new(event: Object) -> list[Cause]:
    """An Event of events.k8s.io/v1, which is held to more."""
    core = conversion.to_storage(kinds.EVENTS_EVENT, event)
    causes = _common(core, "reportingController") + _series(core)
    if not core.get("eventTime"):
        causes.append(required("eventTime"))
    if core.get("type") not in _TYPES:
        causes.append(invalid("type", "", f"has invalid value: {core.get('type', '')}"))
    return causes + [invalid(field, "", "needs to be unset") for field in _UNSET if core.get(field)]


def _series(event: Object) -> list[Cause]:
    series, causes = event.get("series"), list[Cause]()
    if series is None:
        return causes
    if series.get("count", 0) < 2:
        causes.append(invalid("series.count", "", "should be at least 2"))
    return causes if series.get("lastObservedTime") else [*causes, required("series.lastObservedTime")]


def validate_new_update(new: Object, old: Object) -> list[Cause]:
    """Only the series of an event goes on."""
    after, before = (conversion.to_storage(kinds.EVENTS_EVENT, e) for e in (new, old))
    causes = _common(after, "reportingController")
    causes += _series(after) if after.get("series") != before.get("series") else []
    for field in _IMMUTABLE:
        if after.get(field) != before.get(field):
            name = "reportingController" if field == "reportingComponent" else field
            causes.append(invalid(name, after.get(field), "field is immutable"))
    return causes
