"""Objects that are served in two versions: from the one that was sent to the one that is stored, and back.

    conversion.to_storage(kinds.EVENTS_EVENT, obj)      # a core/v1 Event
    conversion.from_storage(kinds.EVENTS_EVENT, obj)

Events are core ones, HorizontalPodAutoscalers autoscaling/v2 ones. All other kinds come back as they are. Arguments
are not changed; results may share parts with them.
"""

from __future__ import annotations

from collections.abc import Callable

from labctl.api import kinds, schema
from labctl.api.conversion import autoscalers, events
from labctl.api.kinds import Kind
from labctl.api.objects import Object

_TO_STORAGE: dict[Kind, Callable[[Object], Object]] = {
    kinds.EVENTS_EVENT: events.to_core,
    kinds.HORIZONTAL_POD_AUTOSCALER_V1: autoscalers.to_v2,
}
_FROM_STORAGE: dict[Kind, Callable[[Object], Object]] = {
    kinds.EVENTS_EVENT: events.from_core,
    kinds.HORIZONTAL_POD_AUTOSCALER_V1: autoscalers.from_v2,
}


def to_storage(kind: Kind, obj: Object) -> Object:
    """The object in the version it is stored in."""
    convert = _TO_STORAGE.get(kind)
    return schema.decode(kinds.storage_kind(kind), convert(obj)).object if convert else obj


def from_storage(kind: Kind, obj: Object) -> Object:
    """A stored object in the version `kind` names."""
    convert = _FROM_STORAGE.get(kind)
    return schema.decode(kind, convert(obj)).object if convert else obj
