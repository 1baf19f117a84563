"""HorizontalPodAutoscalers: pkg/apis/autoscaling/validation."""

from __future__ import annotations

from labctl.api import conversion, kinds, names, quantities
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation import resources
from labctl.api.validation.causes import all_invalid, forbidden, invalid, required, unsupported
from labctl.api.validation.references import segment

_SOURCES = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_TARGETS = ("Utilization", "Value", "AverageValue")
_SELECT = ("Disabled", "Max", "Min")
_POLICIES = ("Percent", "Pods")
_MAX_WINDOW_S, _MAX_PERIOD_S = 3600, 1800


def validate(autoscaler: Object) -> list[Cause]:
    """An autoscaler in the form of autoscaling/v2."""
    spec, causes = autoscaler.get("spec") or {}, list[Cause]()
    low, high = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if low is not None and low < 1:
        causes.append(invalid("spec.minReplicas", low, "must be greater than or equal to 1"))
    if not high:
        causes.append(required("spec.maxReplicas", "must be set and greater than 0"))
    elif high < 0:
        causes.append(invalid("spec.maxReplicas", high, "must be greater than or equal to 1"))
    if low is not None and high < low:
        causes.append(invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`"))
    target = spec.get("scaleTargetRef") or {}
    # The only kind without an API group that can be scaled.
    causes += _reference("spec.scaleTargetRef", target, core=target.get("kind") == "ReplicationController")
    metrics = spec.get("metrics") or []
    for index, metric in enumerate(metrics):
        causes += _metric(f"spec.metrics[{index}]", metric)
    if low == 0 and not any(m.get("type") in ("Object", "External") for m in metrics):
        detail = "must specify at least one Object or External metric to support scaling to zero replicas"
        causes.append(forbidden("spec.metrics", detail))
    for direction in ("scaleUp", "scaleDown"):
        if rules := (spec.get("behavior") or {}).get(direction):
            causes += _rules(f"spec.behavior.{direction}", rules)
    return causes


def validate_v1(autoscaler: Object) -> list[Cause]:
    """An autoscaler in the form of autoscaling/v1: it is looked at as the v2 it stands for."""
    return validate(conversion.to_storage(kinds.HORIZONTAL_POD_AUTOSCALER_V1, autoscaler))


def _reference(path: str, reference: Object, *, core: bool) -> list[Cause]:
    causes = segment(f"{path}.kind", reference.get("kind")) + segment(f"{path}.name", reference.get("name"))
    version = reference.get("apiVersion", "")
    if version.count("/") > 1:
        causes.append(invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}"))
    elif not core and not version.rpartition("/")[0]:
        causes.append(invalid(f"{path}.apiVersion", version, "apiVersion must specify API group"))
    return causes


def _metric(path: str, metric: Object) -> list[Cause]:
    kind, causes = metric.get("type", ""), list[Cause]()
    if not kind:
        causes.append(required(f"{path}.type", "must specify a metric source type"))
    if kind not in _SOURCES:
        causes.append(unsupported(f"{path}.type", kind, _SOURCES))
    present = [field for field in _SOURCES.values() if metric.get(field) is not None]
    if present:
        causes += _source(f"{path}.{present[0]}", present[0], metric[present[0]])
    expected = _SOURCES.get(kind, "")
    if not expected:
        causes.append(unsupported(f"{path}.type", kind, _SOURCES))
    elif expected not in present:
        causes.append(required(f"{path}.{expected}", "must populate information for the given metric source"))
    if len(present) != 1:
        others = [field for field in present if field != expected]
        causes += [forbidden(f"{path}.{field}", "must populate the given metric source only") for field in others]
    return causes


def _source(path: str, kind: str, source: Object) -> list[Cause]:
    target, causes = source.get("target") or {}, list[Cause]()
    if kind in ("object", "external", "pods"):
        if kind == "object":
            causes += _reference(f"{path}.describedObject", source.get("describedObject") or {}, core=True)
        causes += _identifier(f"{path}.metric", source.get("metric") or {})
    else:
        causes += _resource(path, kind, source)
    causes += _target(f"{path}.target", target)
    return causes + _amounts(f"{path}.target", kind, target)


def _identifier(path: str, metric: Object) -> list[Cause]:
    if not (name := metric.get("name")):
        return [required(f"{path}.name", "must specify a metric name")]
    return all_invalid(f"{path}.name", name, names.path_segment(name))


def _resource(path: str, kind: str, source: Object) -> list[Cause]:
    name, container, causes = source.get("name", ""), source.get("container", ""), list[Cause]()
    if not name:
        causes.append(required(f"{path}.name", "must specify a resource name"))
    elif kind == "containerResource":
        causes += resources.container_name(f"{path}.name", name)
    if kind == "containerResource" and not container:
        causes.append(required(f"{path}.container", "must specify a container"))
    elif kind == "containerResource":
        causes += all_invalid(f"{path}.container", container, names.dns1123_label(container))
    return causes


def _target(path: str, target: Object) -> list[Cause]:
    kind, causes = target.get("type", ""), list[Cause]()
    if not kind:
        causes.append(required(f"{path}.type", "must specify a metric target type"))
    if kind not in _TARGETS:
        causes.append(invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue"))
    for field in ("value", "averageValue"):
        amount = target.get(field)
        if amount is not None and quantities.parse(str(amount)).amount <= 0:
            causes.append(invalid(f"{path}.{field}", amount, "must be positive"))
    share = target.get("averageUtilization")
    if share is not None and share < 1:
        causes.append(invalid(f"{path}.averageUtilization", share, "must be greater than 0"))
    return causes


def _amounts(path: str, kind: str, target: Object) -> list[Cause]:
    """Which of the amounts a source takes."""
    has_value, has_average, has_share = (
        target.get(field) is not None for field in ("value", "averageValue", "averageUtilization")
    )
    if kind == "pods":
        detail = "must specify a positive target averageValue"
        return [] if has_average else [required(f"{path}.averageValue", detail)]
    if kind == "object" and not (has_value or has_average):
        return [required(f"{path}.averageValue", "must set either a target value or averageValue")]
    if kind == "external" and not (has_value or has_average):
        return [required(f"{path}.averageValue", "must set either a target value for metric or a per-pod target")]
    if kind == "external" and has_value and has_average:
        return [forbidden(f"{path}.value", "may not set both a target value for metric and a per-pod target")]
    if kind in ("object", "external"):
        return []
    if not (has_share or has_average):
        detail = "must set either a target raw value or a target utilization"
        return [required(f"{path}.averageUtilization", detail)]
    if has_share and has_average:
        return [forbidden(f"{path}.averageValue", "may not set both a target raw value and a target utilization")]
    return []


def _rules(path: str, rules: Object) -> list[Cause]:
    causes, window, select = list[Cause](), rules.get("stabilizationWindowSeconds"), rules.get("selectPolicy")
    if window is not None and window < 0:
        causes.append(invalid(f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero"))
    if window is not None and window > _MAX_WINDOW_S:
        detail = f"must be less than or equal to {_MAX_WINDOW_S}"
        causes.append(invalid(f"{path}.stabilizationWindowSeconds", window, detail))
    if select is not None and select not in _SELECT:
        causes.append(unsupported(f"{path}.selectPolicy", select, _SELECT))
    if not rules.get("policies"):
        causes.append(required(f"{path}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(rules.get("policies") or ()):
        causes += _policy(f"{path}.policies[{index}]", policy)
    tolerance = rules.get("tolerance")
    if tolerance is not None and quantities.parse(str(tolerance)).amount < 0:
        causes.append(invalid(f"{path}.tolerance", tolerance, "must be greater than or equal to 0"))
    return causes


def _policy(path: str, policy: Object) -> list[Cause]:
    causes: list[Cause] = []
    if policy.get("type") not in _POLICIES:
        causes.append(unsupported(f"{path}.type", policy.get("type", ""), _POLICIES))
    causes += [
        invalid(f"{path}.{field}", policy.get(field, 0), "must be greater than zero")
        for field in ("value", "periodSeconds")
        if policy.get(field, 0) <= 0
    ]
    period = policy.get("periodSeconds", 0)
    if period > _MAX_PERIOD_S:
        causes.append(invalid(f"{path}.periodSeconds", period, f"must be less than or equal to {_MAX_PERIOD_S}"))
    return causes
