"""Kinds with a column or two of their own, and the fallback for all others."""

from __future__ import annotations

from typing import Any

from labctl.api.objects import Object
from labctl.api.tables.columns import AGE, NAME, WIDE, Column, Printer, age_of, name_of


def _config_map(obj: Object, now_s: float) -> list[Any]:
    return [name_of(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), age_of(obj, now_s)]


def _secret(obj: Object, now_s: float) -> list[Any]:
    return [name_of(obj), obj.get("type", ""), len(obj.get("data") or ()), age_of(obj, now_s)]


def _aged(obj: Object, now_s: float) -> list[Any]:
    return [name_of(obj), age_of(obj, now_s)]


def _created(obj: Object, _: float) -> list[Any]:
    return [name_of(obj), obj["metadata"].get("creationTimestamp")]


def _binding(obj: Object, now_s: float) -> list[Any]:
    subjects = obj.get("subjects") or ()
    users = [s["name"] for s in subjects if s["kind"] == "User"]
    groups = [s["name"] for s in subjects if s["kind"] == "Group"]
    accounts = [f"{s.get('namespace', '')}/{s['name']}" for s in subjects if s["kind"] == "ServiceAccount"]
    role = f"{obj['roleRef']['kind']}/{obj['roleRef']['name']}"
    return [name_of(obj), role, age_of(obj, now_s), ", ".join(users), ", ".join(groups), ", ".join(accounts)]


def _priority_class(obj: Object, now_s: float) -> list[Any]:
    policy = obj.get("preemptionPolicy", "")
    return [name_of(obj), obj.get("value", 0), bool(obj.get("globalDefault")), age_of(obj, now_s), policy]


def _storage_class(obj: Object, now_s: float) -> list[Any]:
    default = (obj["metadata"].get("annotations") or {}).get("storageclass.kubernetes.io/is-default-class") == "true"
    return [
        name_of(obj) + (" (default)" if default else ""),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        bool(obj.get("allowVolumeExpansion")),
        age_of(obj, now_s),
    ]


def _budget(obj: Object, now_s: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    limits = [str(spec.get(k, "N/A")) for k in ("minAvailable", "maxUnavailable")]
    return [name_of(obj), *limits, status.get("disruptionsAllowed", 0), age_of(obj, now_s)]


def _quota(obj: Object, now_s: float) -> list[Any]:
    status = obj.get("status") or {}
    used = status.get("used") or {}
    pairs = {k: f"{k}: {used.get(k, '0')}/{v}" for k, v in sorted((status.get("hard") or {}).items())}
    requests, limits = ([v for k, v in pairs.items() if k.startswith("limits.") is wanted] for wanted in (False, True))
    return [name_of(obj), ", ".join(requests), ", ".join(limits), age_of(obj, now_s)]


CONFIG_MAPS = Printer((NAME, Column("Data", "How many entries the ConfigMap has."), AGE), _config_map)
SECRETS = Printer(
    (NAME, Column("Type", "What the Secret is for."), Column("Data", "How many entries the Secret has."), AGE),
    _secret,
)
SERVICE_ACCOUNTS = Printer((NAME, AGE), _aged)
FALLBACK = Printer((NAME, Column("Created At", "When the object was created.", type="date")), _created)
BINDINGS = Printer(
    (
        NAME,
        Column("Role", "The role that is granted."),
        AGE,
        Column("Users", "Users that are granted the role.", WIDE),
        Column("Groups", "Groups that are granted the role.", WIDE),
        Column("ServiceAccounts", "ServiceAccounts that are granted the role.", WIDE),
    ),
    _binding,
)
PRIORITY_CLASSES = Printer(
    (
        NAME,
        Column("Value", "The priority of pods of the class; higher ones go first.", type="integer"),
        Column("Global-Default", "Whether pods that name no class are of this one.", type="boolean"),
        AGE,
        Column("PreemptionPolicy", "Whether pods of the class may displace others."),
    ),
    _priority_class,
)
STORAGE_CLASSES = Printer(
    (
        NAME,
        Column("Provisioner", "What makes the volumes of the class."),
        Column("ReclaimPolicy", "What becomes of a volume that is released."),
        Column("VolumeBindingMode", "When a volume is made: at once, or for its first pod."),
        Column("AllowVolumeExpansion", "Whether volumes of the class may grow."),
        AGE,
    ),
    _storage_class,
)
DISRUPTION_BUDGETS = Printer(
    (
        NAME,
        Column("Min Available", "How many pods have to stay."),
        Column("Max Unavailable", "How many pods may be missing."),
        Column("Allowed Disruptions", "How many pods may be evicted now.", type="integer"),
        AGE,
    ),
    _budget,
)
QUOTAS = Printer(
    (
        NAME,
        Column("Request", "Used and allowed amounts of what is counted or requested."),
        Column("Limit", "Used and allowed sums of container limits."),
        AGE,
    ),
    _quota,
)
