"""HorizontalPodAutoscalers: TARGETS shows each metric as `current/target`, at most two of them."""

from __future__ import annotations

from typing import Any

from labctl.api.objects import Object
from labctl.api.tables.columns import AGE, NAME, NONE, UNKNOWN, UNSET, Column, Printer, age_of, name_of

_SHOWN = 2
# Metric type -> the field that holds it, in the spec and in the status.
_SOURCES = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def _autoscaler(obj: Object, now_s: float) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    target, minimum = spec.get("scaleTargetRef") or {}, spec.get("minReplicas")
    return [
        name_of(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _metrics(spec.get("metrics") or (), status.get("currentMetrics") or ()),
        UNSET if minimum is None else str(minimum),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age_of(obj, now_s),
    ]


def _metrics(wanted: Any, measured: Any) -> str:
    shown = [_metric(m, measured[i] if i < len(measured) else {}) for i, m in enumerate(wanted)]
    more = f" + {len(shown) - _SHOWN} more..." if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more or NONE


def _metric(wanted: Object, measured: Object) -> str:
    field = _SOURCES.get(wanted["type"])
    if field is None:
        return "<unknown type>"
    source = wanted[field]
    target, current = source["target"], (measured.get(field) or {}).get("current") or {}
    if field in ("resource", "containerResource"):
        return f"{source['name']}: {_resource(target, current)}"
    if target.get("averageValue") is None:
        return f"{current.get('value', UNKNOWN)}/{target.get('value', '<nil>')}"
    average = f"{current.get('averageValue', UNKNOWN)}/{target['averageValue']}"
    return average if field == "pods" else f"{average} (avg)"


def _resource(target: Object, current: Object) -> str:
    if target.get("averageValue") is not None:
        return f"{current.get('averageValue', UNKNOWN)}/{target['averageValue']}"
    used, wanted = (side.get("averageUtilization") for side in (current, target))
    return f"{UNKNOWN if used is None else f'{used}%'}/{'<auto>' if wanted is None else f'{wanted}%'}"


AUTOSCALERS = Printer(
    (
        NAME,
        Column("Reference", "What is scaled."),
        Column("Targets", "Each metric as it is and as it is to be."),
        Column("MinPods", "The least number of pods."),
        Column("MaxPods", "The greatest number of pods."),
        Column("Replicas", "How many pods there are."),
        AGE,
    ),
    _autoscaler,
)
