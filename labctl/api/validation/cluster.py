"""Nodes, Namespaces, Leases and StorageClasses: small rules of several API groups."""

from __future__ import annotations

from typing import Any

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation import meta, resources
from labctl.api.validation.causes import (
    all_invalid,
    cidr_complaints,
    duplicate,
    forbidden,
    invalid,
    listed,
    required,
    unsupported,
)

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_BINDING_MODES, _RECLAIM = ("Immediate", "WaitForFirstConsumer"), ("Delete", "Retain")
_MAX_PARAMETERS, _MAX_PARAMETERS_BYTES = 512, 256 * 1024
_IMMUTABLE = "field is immutable"


def validate_namespace(namespace: Object) -> list[Cause]:
    """A Namespace's own finalizers."""
    causes: list[Cause] = []
    for finalizer in (namespace.get("spec") or {}).get("finalizers") or ():
        causes += all_invalid("spec.finalizers", finalizer, names.qualified_name(finalizer))
        causes += meta.finalizer_kind("spec.finalizers", finalizer)
    return causes


def validate_node(node: Object) -> list[Cause]:
    """A Node: taints, amounts, pod ranges."""
    spec, status, causes = node.get("spec") or {}, node.get("status") or {}, list[Cause]()
    seen: set[tuple[Any, Any]] = set()
    for index, taint in enumerate(spec.get("taints") or ()):
        path, key = f"metadata.taints[{index}]", (taint.get("key"), taint.get("effect"))  # Kubernetes says metadata
        causes += _taint(path, taint)
        if key in seen:
            causes.append(_twice(path, taint))
        seen.add(key)
    for field in ("capacity", "allocatable"):
        for name, value in (status.get(field) or {}).items():
            causes += resources.quantity(f"status.{field}.{name}", name, value)
    ranges = spec.get("podCIDRs") or []
    for index, text in enumerate(ranges):
        causes += all_invalid(f"spec.podCIDRs[{index}]", text, cidr_complaints(text))
    if len(ranges) > 2 or (len(ranges) == 2 and (":" in ranges[0]) == (":" in ranges[1])):
        causes.append(invalid("spec.podCIDRs", ranges, "may specify no more than one CIDR for each IP family"))
    return causes


def _taint(path: str, taint: Object) -> list[Cause]:
    key, value, effect = (taint.get(field, "") for field in ("key", "value", "effect"))
    causes = all_invalid(f"{path}.key", key, names.qualified_name(key))
    if wrong := names.label_value(value):
        causes.append(invalid(f"{path}.value", value, ";".join(wrong)))
    if not effect:
        causes.append(required(f"{path}.effect"))
    elif effect not in _EFFECTS:
        causes.append(listed(f"{path}.effect", effect, _EFFECTS))
    return causes


def _twice(path: str, taint: Object) -> Cause:
    fields = (("Key", "key"), ("Value", "value"), ("Effect", "effect"))
    shown = {name: taint.get(field, "") for name, field in fields} | {"TimeAdded": taint.get("timeAdded")}
    found = duplicate(path, shown)
    return Cause(found.reason, f"{found.message}: taints must be unique by key and effect pair", path)


def validate_node_update(new: Object, old: Object) -> list[Cause]:
    """What a Node has been given, it keeps."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    causes: list[Cause] = []
    if (after.get("externalID") or "") != (before.get("externalID") or ""):
        causes.append(forbidden("spec.externalID", "may not be updated"))
    had, has = before.get("podCIDRs") or [], after.get("podCIDRs") or []
    if had and (len(had) != len(has) or had != has):
        causes.append(forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'))
    if before.get("providerID") and before["providerID"] != after.get("providerID"):
        detail = 'node updates may not change providerID except from "" to valid'
        causes.append(forbidden("spec.providerID", detail))
    return causes


def validate_lease(lease: Object) -> list[Cause]:
    """A Lease."""
    spec, causes = lease.get("spec") or {}, list[Cause]()
    seconds, changes = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        causes.append(invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    if changes is not None and changes < 0:
        causes.append(invalid("spec.leaseTransitions", changes, "must be greater than or equal to 0"))
    return causes


def validate_storage_class(storage: Object) -> list[Cause]:
    """A StorageClass."""
    provisioner, parameters = storage.get("provisioner", ""), storage.get("parameters") or {}
    causes = [] if provisioner else [required("provisioner")]
    lower = provisioner.lower()
    causes += all_invalid("provisioner", lower, names.qualified_name(lower)) if provisioner else []
    causes += [invalid("parameters", "", "field can not be empty.")] if "" in parameters else []
    size = sum(len(k.encode()) + len(v.encode()) for k, v in parameters.items())
    for actual, limit in ((len(parameters), _MAX_PARAMETERS), (size, _MAX_PARAMETERS_BYTES)):
        if actual > limit:
            causes.append(Cause("FieldValueTooLong", f"Too long: may not be more than {limit} bytes", "parameters"))
    policy, mode = storage.get("reclaimPolicy"), storage.get("volumeBindingMode")
    if policy and policy not in _RECLAIM:
        causes.append(unsupported("reclaimPolicy", policy, _RECLAIM))
    if mode not in _BINDING_MODES:
        causes.append(unsupported("volumeBindingMode", mode, _BINDING_MODES))
    return causes + _topologies(storage.get("allowedTopologies") or [])


def _topologies(terms: list[Object]) -> list[Cause]:
    causes, known = list[Cause](), [dict[str, set[str]]()]  # an empty term counts as known from the start
    for index, term in enumerate(terms):
        path, found = f"allowedTopologies[{index}].matchLabelExpressions", dict[str, set[str]]()
        for i, expression in enumerate(term.get("matchLabelExpressions") or ()):
            causes += _topology(f"{path}[{i}]", expression, found)
        if found in known:
            causes.append(duplicate(path, ""))
        known.append(found)
    return causes


def _topology(path: str, expression: Object, found: dict[str, set[str]]) -> list[Cause]:
    key, values = expression.get("key", ""), expression.get("values") or []
    causes = [] if values else [required(f"{path}.values")]
    causes += [duplicate(f"{path}.values[{i}]", v) for i, v in enumerate(values) if v in values[:i]]
    causes += all_invalid(f"{path}.key", key, names.qualified_name(key))
    if key in found:
        causes.append(duplicate(f"{path}.key", key))
    found[key] = set(values)
    return causes


def validate_storage_class_update(new: Object, old: Object) -> list[Cause]:
    """What volumes were made by stays."""
    fields = ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
    return [invalid(f, new.get(f), _IMMUTABLE) for f in fields if (new.get(f) or None) != (old.get(f) or None)]
