"""Kinds with a column or two of their own, and the fallback for all others."""

from __future__ import annotations

from typing import Any

from labctl.api.objects import Object
from labctl.api.tables.columns import AGE, NAME, NONE, Column, Printer, age_of, columns


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _config_map(obj: Object, now_s: float) -> list[Any]:
    return [_name(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), age_of(obj, now_s)]


def _secret(obj: Object, now_s: float) -> list[Any]:
    return [_name(obj), obj.get("type", ""), len(obj.get("data") or ()), age_of(obj, now_s)]


def _account(obj: Object, now_s: float) -> list[Any]:
    return [_name(obj), age_of(obj, now_s)]


def _created(obj: Object, _: float) -> list[Any]:
    return [_name(obj), obj["metadata"].get("creationTimestamp")]


def _binding(obj: Object, now_s: float) -> list[Any]:
    subjects = obj.get("subjects") or ()
    users = [s["name"] for s in subjects if s["kind"] == "User"]
    groups = [s["name"] for s in subjects if s["kind"] == "Group"]
    accounts = [f"{s.get('namespace', '')}/{s['name']}" for s in subjects if s["kind"] == "ServiceAccount"]
    role = f"{obj['roleRef']['kind']}/{obj['roleRef']['name']}"
    return [_name(obj), role, age_of(obj, now_s), ", ".join(users), ", ".join(groups), ", ".join(accounts)]


def _priority_class(obj: Object, now_s: float) -> list[Any]:
    policy = obj.get("preemptionPolicy", "")
    return [_name(obj), obj.get("value", 0), bool(obj.get("globalDefault")), age_of(obj, now_s), policy]


def _storage_class(obj: Object, now_s: float) -> list[Any]:
    default = (obj["metadata"].get("annotations") or {}).get("storageclass.kubernetes.io/is-default-class") == "true"
    return [
        _name(obj) + (" (default)" if default else ""),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", ""),
        obj.get("volumeBindingMode", ""),
        bool(obj.get("allowVolumeExpansion")),
        age_of(obj, now_s),
    ]


def _budget(obj: Object, now_s: float) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    limits = [str(spec.get(k, "N/A")) for k in ("minAvailable", "maxUnavailable")]
    return [_name(obj), *limits, status.get("disruptionsAllowed", 0), age_of(obj, now_s)]


def _autoscaler(obj: Object, now_s: float) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    minimum = spec.get("minReplicas")
    return [
        _name(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        ", ".join(_metric(m) for m in spec.get("metrics") or ()) or NONE,
        "<unset>" if minimum is None else str(minimum),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age_of(obj, now_s),
    ]


def _metric(metric: Object) -> str:
    resource = metric.get("resource") or {}
    target = resource.get("target") or {}
    if target.get("averageUtilization") is not None:
        return f"{resource.get('name', '')}: <unknown>/{target['averageUtilization']}%"
    return f"{resource.get('name', metric.get('type', ''))}: <unknown>/{target.get('averageValue', '<auto>')}"


def _quota(obj: Object, now_s: float) -> list[Any]:
    hard = (obj.get("status") or {}).get("hard") or obj["spec"].get("hard") or {}
    used = (obj.get("status") or {}).get("used") or {}
    pairs = {k: f"{k}: {used.get(k, '0')}/{v}" for k, v in sorted(hard.items())}
    limits = ", ".join(v for k, v in pairs.items() if k.startswith("limits."))
    return [
        _name(obj),
        ", ".join(v for k, v in pairs.items() if not k.startswith("limits.")),
        limits,
        age_of(obj, now_s),
    ]


CONFIG_MAPS = Printer(columns("Data#", "Age"), _config_map)
SECRETS = Printer(columns("Type", "Data#", "Age"), _secret)
SERVICE_ACCOUNTS = Printer(columns("Age"), _account)
FALLBACK = SERVICE_ACCOUNTS
CREATED = Printer((NAME, Column("Created At", type="date")), _created)
BINDINGS = Printer(columns("Role", "Age", wide=("Users", "Groups", "ServiceAccounts")), _binding)
PRIORITY_CLASSES = Printer(
    (NAME, Column("Value", type="integer"), Column("Global-Default", type="boolean"), AGE, Column("PreemptionPolicy")),
    _priority_class,
)
STORAGE_CLASSES = Printer(
    columns("Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"), _storage_class
)
DISRUPTION_BUDGETS = Printer(columns("Min Available", "Max Unavailable", "Allowed Disruptions#", "Age"), _budget)
AUTOSCALERS = Printer(columns("Reference", "Targets", "MinPods", "MaxPods#", "Replicas#", "Age"), _autoscaler)
QUOTAS = Printer(columns("Request", "Limit", "Age"), _quota)
