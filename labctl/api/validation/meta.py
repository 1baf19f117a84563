"""ObjectMeta: names, labels, annotations, owner references, and what may not change."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from labctl.api import kinds, names
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import address_complaints, all_invalid, forbidden, invalid, required, too_long

_MAX_ANNOTATIONS_BYTES = 256 * 1024
_IMMUTABLE = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_LABEL_NAMES = (kinds.SERVICE, kinds.NAMESPACE)
# Kinds whose names are looked at when they are created, and never again.
_NAMED_ONCE = (
    kinds.SERVICE,
    kinds.EVENTS_EVENT,
    kinds.HORIZONTAL_POD_AUTOSCALER,
    kinds.HORIZONTAL_POD_AUTOSCALER_V1,
    kinds.NETWORK_POLICY,
    kinds.PRIORITY_CLASS,
    kinds.RESOURCE_QUOTA,
    kinds.DEPLOYMENT,
    kinds.REPLICA_SET,
    kinds.REPLICATION_CONTROLLER,
    kinds.SERVICE_CIDR,
)
_RBAC_GROUP = "rbac.authorization.k8s.io"


def name_check(kind: Kind) -> Callable[[str], list[str]]:
    """The rule for a kind's names."""
    if kind in _LABEL_NAMES:
        return names.dns1123_label
    if kind is kinds.IP_ADDRESS:
        return _address_name
    if kind.group == _RBAC_GROUP or kind in (kinds.EVENT, kinds.POD_DISRUPTION_BUDGET):
        return names.path_segment
    return names.dns1123_subdomain


def _address_name(text: str) -> list[str]:
    """The name of an IPAddress is the address itself, written in the one way that counts."""
    if complaints := address_complaints(text):
        return complaints
    canonical = str(ipaddress.ip_address(text))
    return [] if text == canonical else [f'must be in canonical form ("{canonical}")']


def validate(kind: Kind, obj: Object, *, is_new: bool = True) -> list[Cause]:
    """Everything about metadata that can be wrong by itself."""
    metadata = obj["metadata"]
    check, causes = name_check(kind), []
    if generate := metadata.get("generateName"):
        prefix = names.as_prefix(generate)
        complaints = [] if is_new else names.path_segment(prefix)
        if kind is kinds.REPLICATION_CONTROLLER:
            complaints = names.path_segment(prefix)
        elif is_new or kind not in _NAMED_ONCE:
            complaints += check(prefix)
        causes += all_invalid("metadata.generateName", generate, complaints)
    if not metadata.get("name"):
        causes.append(required("metadata.name", "name or generateName is required"))
    else:
        causes += all_invalid("metadata.name", metadata["name"], check(metadata["name"]))
    if metadata.get("generation", 0) < 0:
        causes.append(invalid("metadata.generation", metadata["generation"], "must be greater than or equal to 0"))
    causes += labels("metadata.labels", metadata.get("labels") or {})
    causes += annotation_keys("metadata.annotations", metadata.get("annotations") or {})
    return causes + _owners(metadata.get("ownerReferences") or ()) + _finalizers(metadata.get("finalizers") or [])


_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")


def _finalizers(finalizers: list[str]) -> list[Cause]:
    path, causes = "metadata.finalizers", list[Cause]()
    for finalizer in finalizers:
        causes += all_invalid(path, finalizer, names.qualified_name(finalizer))
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        causes.append(invalid(path, finalizers, detail))
    for index, finalizer in enumerate(finalizers):
        causes += finalizer_kind(f"{path}[{index}]", finalizer)
    return causes


def finalizer_kind(path: str, finalizer: str) -> list[Cause]:
    """A finalizer without a domain must be one of Kubernetes' own."""
    if "/" in finalizer or finalizer in _STANDARD_FINALIZERS:
        return []
    return [invalid(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified")]


def labels(path: str, values: dict[str, str]) -> list[Cause]:
    """Label keys and values."""
    causes = []
    for key, value in values.items():
        causes += all_invalid(path, key, names.qualified_name(key))
        causes += all_invalid(path, value, names.label_value(value))
    return causes


_OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")


def label_selector(path: str, selector: Object) -> list[Cause]:
    """A LabelSelector, which may be empty."""
    causes = labels(f"{path}.matchLabels", selector.get("matchLabels") or {})
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        causes += _expression(f"{path}.matchExpressions[{index}]", expression)
    return causes


def shown_selector(selector: Object | None) -> Object | None:
    """A LabelSelector as Kubernetes shows it: the keys of maps in order."""
    if selector is None:
        return None
    labels_first = {"matchLabels": dict(sorted(selector["matchLabels"].items()))} if selector.get("matchLabels") else {}
    return labels_first | {k: v for k, v in selector.items() if k != "matchLabels"}


def _expression(path: str, expression: Object) -> list[Cause]:
    operator, values = expression.get("operator", ""), expression.get("values") or []
    causes: list[Cause] = []
    if operator not in _OPERATORS:
        causes.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif operator in ("In", "NotIn") and not values:
        causes.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist") and values:
        causes.append(forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    key = expression.get("key", "")
    causes += all_invalid(f"{path}.key", key, names.qualified_name(key))
    for index, value in enumerate(values):
        causes += all_invalid(f"{path}.values[{index}]", value, names.label_value(value))
    return causes


def validate_update(new: Object, old: Object) -> list[Cause]:
    """What an update of metadata may not do."""
    before, after = old["metadata"], new["metadata"]
    causes = [
        invalid(f"metadata.{name}", after.get(name), "field is immutable")
        for name in _IMMUTABLE
        if after.get(name) != before.get(name)
    ]
    added = set(after.get("finalizers") or ()) - set(before.get("finalizers") or ())
    if before.get("deletionTimestamp") and added:
        detail = "no new finalizers can be added if the object is being deleted, found new finalizers "
        causes.append(Cause("FieldValueForbidden", f"Forbidden: {detail}{_go_set(added)}", "metadata.finalizers"))
    return causes


def changed(new: Object, old: Object) -> bool:
    """Whether anything that `validate` looks at has changed: stored objects need no second look."""
    watched = ("labels", "annotations", "ownerReferences", "generateName", "finalizers")
    return any(new["metadata"].get(k) != old["metadata"].get(k) for k in watched)


def _go_set(values: set[str]) -> str:
    return "sets.Set[string]{" + ", ".join(f'"{v}":sets.Empty{{}}' for v in sorted(values)) + "}"


def annotation_keys(path: str, values: dict[str, str]) -> list[Cause]:
    """Annotation keys, and how much all is together."""
    causes = []
    for key in values:
        causes += all_invalid(path, key, names.qualified_name(key.lower()))
    size = sum(len(k.encode()) + len(v.encode()) for k, v in values.items())
    if size > _MAX_ANNOTATIONS_BYTES:
        causes.append(too_long(path, _MAX_ANNOTATIONS_BYTES))
    return causes


def _owners(owners: Any) -> list[Cause]:
    causes, first, path = list[Cause](), "", "metadata.ownerReferences"
    for owner in owners:
        if not (owner.get("apiVersion") or "").rpartition("/")[2]:
            causes.append(invalid(f"{path}.apiVersion", owner.get("apiVersion", ""), "version must not be empty"))
        causes += [
            invalid(f"{path}.{name}", owner.get(name, ""), "must not be empty")
            for name in ("kind", "name", "uid")
            if not owner.get(name)
        ]
        if not owner.get("controller"):
            continue
        name = f"{owner.get('kind', '')}/{owner.get('name', '')}"
        if first:
            text = 'Only one reference can have Controller set to true. Found "true" in references for'
            causes.append(invalid(path, owners, f"{text} {first} and {name}"))
        first = first or name
    return causes
