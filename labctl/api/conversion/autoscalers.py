"""autoscaling/v1 HorizontalPodAutoscalers know CPU utilization only; the rest of v2 travels in annotations.

As in Kubernetes, metrics that v1 cannot express, scaling behavior and conditions are written into annotations of the
v1 object and read back from there. Current values of metrics other than CPU are not: labctl has no metrics.
"""

from __future__ import annotations

from typing import Any

import orjson

from labctl.api.objects import Object

_PREFIX = "autoscaling.alpha.kubernetes.io/"
_METRICS, _BEHAVIOR, _CONDITIONS = f"{_PREFIX}metrics", f"{_PREFIX}behavior", f"{_PREFIX}conditions"
_ROUND_TRIP = (
    _METRICS,
    _BEHAVIOR,
    _CONDITIONS,
    f"{_PREFIX}current-metrics",
    f"{_PREFIX}scale-down-tolerance",
    f"{_PREFIX}scale-up-tolerance",
)
_DEFAULT_CPU_UTILIZATION = 80


def to_v2(obj: Object) -> Object:
    """The autoscaling/v2 form of an autoscaling/v1 object."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    annotations = dict((obj.get("metadata") or {}).get("annotations") or {})
    metrics = [_metric_from_v1(m) for m in _list(annotations.get(_METRICS))]
    utilization = spec.pop("targetCPUUtilizationPercentage", None)
    if utilization is None and not metrics:
        utilization = _DEFAULT_CPU_UTILIZATION
    if utilization is not None:
        metrics.append(_cpu("target", {"type": "Utilization"}, utilization))
    spec["metrics"] = metrics
    behavior = _loads(annotations.get(_BEHAVIOR))
    if isinstance(behavior, dict) and behavior:
        spec["behavior"] = _from_go(behavior)
    current = status.pop("currentCPUUtilizationPercentage", None)
    status["currentMetrics"] = [_cpu("current", {}, current)] if current is not None else None
    if conditions := _list(annotations.get(_CONDITIONS)):
        status["conditions"] = conditions
    return _assembled(obj, "autoscaling/v2", annotations, spec, status)


def from_v2(obj: Object) -> Object:
    """The autoscaling/v1 form of an autoscaling/v2 object."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    annotations = dict((obj.get("metadata") or {}).get("annotations") or {})
    metrics = spec.pop("metrics", None) or []
    cpu = [u for u in map(_cpu_utilization, metrics) if u is not None]
    if cpu:
        spec["targetCPUUtilizationPercentage"] = cpu[0]
    behavior = spec.pop("behavior", None)
    current = status.pop("currentMetrics", None) or []
    for metric in current:
        if (metric.get("resource") or {}).get("name") == "cpu":
            utilization = (metric["resource"].get("current") or {}).get("averageUtilization")
            if utilization is not None:
                status["currentCPUUtilizationPercentage"] = utilization
    conditions = status.pop("conditions", None)
    found = _assembled(obj, "autoscaling/v1", annotations, spec, status)
    added = {
        _METRICS: [_metric_to_v1(m) for m in metrics if _cpu_utilization(m) is None],
        _BEHAVIOR: _behavior_to_v1(behavior) if behavior else None,
        _CONDITIONS: conditions,
    }
    texts = {name: orjson.dumps(value).decode() for name, value in added.items() if value}
    if texts:
        metadata = found["metadata"]
        found["metadata"] = metadata | {"annotations": (metadata.get("annotations") or {}) | texts}
    return found


def _assembled(obj: Object, api_version: str, annotations: Object, spec: Object, status: Object) -> Object:
    metadata = dict(obj.get("metadata") or {})
    kept = {name: text for name, text in annotations.items() if name not in _ROUND_TRIP}
    if kept:
        metadata["annotations"] = kept
    else:
        metadata.pop("annotations", None)
    return obj | {"apiVersion": api_version, "metadata": metadata, "spec": spec, "status": status}


def _loads(text: str | None) -> Any:
    """A value that annotations carry; what clients wrote there and is no JSON is nothing."""
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return None


def _list(text: str | None) -> list[Object]:
    value = _loads(text)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _cpu(place: str, target: Object, utilization: int) -> Object:
    return {"type": "Resource", "resource": {"name": "cpu", place: target | {"averageUtilization": utilization}}}


def _cpu_utilization(metric: Object) -> int | None:
    resource = metric.get("resource") or {}
    if metric.get("type") != "Resource" or resource.get("name") != "cpu":
        return None
    utilization: int | None = (resource.get("target") or {}).get("averageUtilization")
    return utilization


_RULES = ("stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance")


def _behavior_to_v1(behavior: Object) -> Object:
    """The annotation holds Kubernetes' internal type, written with Go's names and all its fields."""
    found: Object = {}
    for name in ("scaleUp", "scaleDown"):
        rules = behavior.get(name)
        found[_go(name)] = {_go(rule): _go_keys(rules.get(rule)) for rule in _RULES} if rules is not None else None
    return found


def _go_keys(value: Any) -> Any:
    return [{_go(key): item for key, item in policy.items()} for policy in value] if isinstance(value, list) else value


def _go(name: str) -> str:
    return name[:1].upper() + name[1:]


def _from_go(value: Any) -> Any:
    """Keys as JSON has them; what is null was not there."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _from_go(item) for key, item in value.items() if item is not None}
    return [_from_go(item) for item in value] if isinstance(value, list) else value


def _given(**fields: Any) -> Object:
    return {name: value for name, value in fields.items() if value is not None}


def _metric_to_v1(metric: Object) -> Object:
    kind = metric.get("type", "")
    name = kind[:1].lower() + kind[1:]
    source = metric.get(name) or {}
    target, identifier = source.get("target") or {}, source.get("metric") or {}
    value, average = target.get("value"), target.get("averageValue")
    selector = identifier.get("selector")
    if kind in ("Resource", "ContainerResource"):
        found = _given(
            name=source.get("name"),
            targetAverageUtilization=target.get("averageUtilization"),
            targetAverageValue=average,
            container=source.get("container"),
        )
    elif kind == "Pods":
        found = _given(metricName=identifier.get("name"), targetAverageValue=average, selector=selector)
    elif kind == "Object":
        found = _given(
            target=source.get("describedObject"),
            metricName=identifier.get("name"),
            targetValue=value or "0",
            selector=selector,
            averageValue=average,
        )
    else:
        found = _given(
            metricName=identifier.get("name"), metricSelector=selector, targetValue=value, targetAverageValue=average
        )
    return {"type": kind, name: found}


def _metric_from_v1(metric: Object) -> Object:
    kind = str(metric.get("type", ""))
    name = kind[:1].lower() + kind[1:]
    source = metric.get(name)
    source = source if isinstance(source, dict) else {}  # annotations hold whatever clients write
    average = source.get("targetAverageValue")
    if kind in ("Resource", "ContainerResource"):
        utilization = source.get("targetAverageUtilization")
        type_ = "AverageValue" if utilization is None else "Utilization"
        target = _given(type=type_, averageValue=average, averageUtilization=utilization)
        return {"type": kind, name: _given(name=source.get("name"), target=target, container=source.get("container"))}
    if kind == "Object":
        average = source.get("averageValue")
    value = source.get("targetValue") if average is None else None
    target = _given(type="Value" if average is None else "AverageValue", value=value, averageValue=average)
    selector = source.get("metricSelector") if kind == "External" else source.get("selector")
    identifier = _given(name=source.get("metricName"), selector=selector)
    described = source.get("target") if kind == "Object" else None
    return {"type": kind, name: _given(describedObject=described, target=target, metric=identifier)}
