"""Resource names and amounts; LimitRanges and ResourceQuotas: pkg/apis/core/validation and helper."""

from __future__ import annotations

from labctl.api import names, quantities
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, duplicate, forbidden, invalid, required

_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_COUNTED = (
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
)
_SIDES = tuple(f"{side}.{name}" for side in ("requests", "limits") for name in _COMPUTE)
_QUOTA = {*_COMPUTE, *_SIDES, *_COUNTED, "requests.storage"}
_STANDARD = {*_COMPUTE, *_SIDES, *_COUNTED, "storage", "requests.storage"}
_POD_SCOPED = {"pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"}
_VOLUME_SCOPED = {"persistentvolumeclaims", "requests.storage"}
_POD_SCOPES = ("Terminating", "NotTerminating", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity")
_SCOPES = (*_POD_SCOPES, "BestEffort", "VolumeAttributesClass")
_ONLY_EXIST = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
_PAIRS = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
_LIMIT_TYPES = ("Pod", "Container", "PersistentVolumeClaim")


def amount(value: object) -> quantities.Quantity:
    """A quantity that has been decoded, so that it reads well."""
    return quantities.parse(str(value))


def is_extended(name: str) -> bool:
    """Whether a node offers it beyond what Kubernetes knows: `example.com/dongle`."""
    native = "/" not in name or "kubernetes.io/" in name
    return not native and not name.startswith("requests.") and not names.qualified_name(f"requests.{name}")


def resource_name(path: str, name: str) -> list[Cause]:
    """Any resource."""
    if wrong := names.qualified_name(name):
        return all_invalid(path, name, wrong)
    known = "/" in name or name in _STANDARD or name.startswith(("hugepages-", "requests.hugepages-"))
    return [] if known else [invalid(path, name, "must be a standard resource type or fully qualified")]


def container_name(path: str, name: str) -> list[Cause]:
    """A resource that a container can ask for."""
    causes = resource_name(path, name)
    if "/" not in name:
        if name not in _COMPUTE and not name.startswith("hugepages-"):
            causes.append(invalid(path, name, "must be a standard resource for containers"))
    elif "kubernetes.io/" not in name and not is_extended(name):
        causes.append(invalid(path, name, "doesn't follow extended resource name standard"))
    return causes


def quantity(path: str, name: str, value: object) -> list[Cause]:
    """An amount of a resource: not below zero, and whole where things are counted."""
    causes = []
    if amount(value).amount < 0:
        causes.append(invalid(path, value, "must be greater than or equal to 0"))
    if (name in _COUNTED or is_extended(name)) and amount(value).milli_value() % 1000:
        causes.append(invalid(path, value, "must be an integer"))
    return causes


def validate_quota(quota: Object) -> list[Cause]:
    """A ResourceQuota."""
    spec, causes = quota.get("spec") or {}, list[Cause]()
    hard = spec.get("hard") or {}
    for name, value in hard.items():
        path = f"spec.hard[{name}]"
        causes += resource_name(path, name)
        if "/" not in name and name not in _QUOTA and not name.startswith(("hugepages-", "requests.hugepages-")):
            causes.append(invalid(path, name, "must be a standard resource for quota"))
        causes += quantity(path, name, value)
    causes += _scopes(spec.get("scopes") or [], hard)
    return causes + (_scope_selector(spec["scopeSelector"], hard) if spec.get("scopeSelector") else [])


def validate_quota_update(new: Object, old: Object) -> list[Cause]:
    """The scopes of a quota stay."""
    after, before = (sorted((o.get("spec") or {}).get("scopes") or ()) for o in (new, old))
    if after == before:
        return []
    return [invalid("spec.scopes", (new.get("spec") or {}).get("scopes"), "field is immutable")]


def _misplaced(scope: str, hard: Object) -> int:
    """How many of the limits the scope says nothing about."""
    fits = _POD_SCOPED if scope in _POD_SCOPES else {"pods"} if scope == "BestEffort" else _QUOTA
    fits = _VOLUME_SCOPED if scope == "VolumeAttributesClass" else fits
    return sum(name in _QUOTA and name not in fits for name in hard)


def _scopes(scopes: list[str], hard: Object) -> list[Cause]:
    path, causes = "spec.scopes", list[Cause]()
    for scope in scopes:
        if scope not in _SCOPES:
            causes.append(invalid(path, scopes, "unsupported scope"))
        causes += [invalid(path, scopes, "unsupported scope applied to resource")] * _misplaced(scope, hard)
    return causes + [invalid(path, scopes, "conflicting scopes") for pair in _PAIRS if set(pair) <= set(scopes)]


def _scope_selector(selector: Object, hard: Object) -> list[Cause]:
    path, causes = "spec.scopeSelector.matchExpressions", list[Cause]()
    expressions = selector.get("matchExpressions") or []
    shown = {
        "MatchExpressions": [
            {"ScopeName": e.get("scopeName", ""), "Operator": e.get("operator", ""), "Values": e.get("values")}
            for e in expressions
        ]
    }
    for expression in expressions:
        scope = expression.get("scopeName", "")
        if scope not in _SCOPES:
            causes.append(invalid(f"{path}.scopeName", scope, "unsupported scope"))
        causes += [invalid(path, shown, "unsupported scope applied to resource")] * _misplaced(scope, hard)
        causes += _scope_operator(path, expression)
    named = {e.get("scopeName") for e in expressions}
    return causes + [invalid(path, None, "conflicting scopes") for pair in _PAIRS if set(pair) <= named]


def _scope_operator(path: str, expression: Object) -> list[Cause]:
    operator, values, causes = expression.get("operator", ""), expression.get("values") or [], list[Cause]()
    if expression.get("scopeName") in _ONLY_EXIST and operator != "Exists":
        which = [f"ResourceQuotaScope{n}" for n in ("Terminating", "NotTerminating", "BestEffort", "NotBestEffort")]
        detail = (
            f"must be 'Exists' when scope is any of {', '.join(which)} or ResourceQuotaScopeCrossNamespacePodAffinity"
        )
        causes.append(invalid(f"{path}.operator", operator, detail))
    if operator in ("In", "NotIn"):
        detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        causes += [] if values else [required(f"{path}.values", detail)]
    elif operator in ("Exists", "DoesNotExist"):
        detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
        causes += [invalid(f"{path}.values", values, detail)] if values else []
    else:
        causes.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    return causes


def validate_limits(limit_range: Object) -> list[Cause]:
    """A LimitRange."""
    causes, seen = list[Cause](), set[str]()
    for index, limit in enumerate((limit_range.get("spec") or {}).get("limits") or ()):
        path, kind = f"spec.limits[{index}]", limit.get("type", "")
        wrong = names.qualified_name(kind)
        if not wrong and "/" not in kind and kind not in _LIMIT_TYPES:
            wrong = ["must be a standard limit type or fully qualified"]
        causes += all_invalid(f"{path}.type", kind, wrong)
        if kind in seen:
            causes.append(duplicate(f"{path}.type", kind))
        seen.add(kind)
        causes += _limit(path, limit, kind)
    return causes


def _limit(path: str, limit: Object, kind: str) -> list[Cause]:
    check = container_name if kind in ("Pod", "Container") else resource_name
    causes, compared = list[Cause](), dict[str, Object]()
    for field in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
        values = limit.get(field) or {}
        if field == "maxLimitRequestRatio" and kind == "PersistentVolumeClaim":
            causes += _claim(path, limit)
        if kind == "Pod" and field.startswith("default"):
            causes += [forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'")] if values else []
            continue
        causes += [c for name in values for c in check(f"{path}.{field}[{name}]", name)]
        compared[field] = values
    for name in dict.fromkeys(n for values in compared.values() for n in values):
        causes += _order(path, name, {field: values[name] for field, values in compared.items() if name in values})
    return causes


def _claim(path: str, limit: Object) -> list[Cause]:
    if "storage" in (limit.get("min") or {}) or "storage" in (limit.get("max") or {}):
        return []
    detail = "either minimum or maximum storage value is required, but neither was provided"
    return [required(f"{path}.limits", detail)]


# (the smaller, the larger, the field that is to blame, whose value is shown, words)
_ORDERS = (
    ("min", "max", "min", "min", "min value {} is greater than max value {}"),
    (
        "min",
        "defaultRequest",
        "defaultRequest",
        "defaultRequest",
        "min value {} is greater than default request value {}",
    ),
    (
        "defaultRequest",
        "max",
        "defaultRequest",
        "defaultRequest",
        "default request value {} is greater than max value {}",
    ),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "defaultRequest",
        "default request value {} is greater than default limit value {}",
    ),
    ("min", "default", "default", "min", "min value {} is greater than default value {}"),
    ("default", "max", "default", "max", "default value {} is greater than max value {}"),
)


def _order(path: str, name: str, values: Object) -> list[Cause]:
    causes: list[Cause] = []
    for low, high, field, shown, words in _ORDERS:
        if low in values and high in values and amount(values[low]).amount > amount(values[high]).amount:
            detail = words.format(values[low], values[high])
            causes.append(invalid(f"{path}.{field}[{name}]", values[shown], detail))
    here, ratio = f"{path}.maxLimitRequestRatio[{name}]", values.get("maxLimitRequestRatio")
    if ratio is not None and amount(ratio).amount < 1:
        causes.append(invalid(here, ratio, f"ratio {ratio} is less than 1"))
    if ratio is not None and "min" in values and "max" in values and amount(values["min"]).milli_value():
        highest = amount(values["max"]).milli_value() / amount(values["min"]).milli_value()
        if amount(ratio).milli_value() / 1000 > highest:
            causes.append(invalid(here, ratio, f"ratio {ratio} is greater than max/min = {highest:f}"))
    return causes
