"""Deleting: preconditions, grace periods, finalizers, propagation.

Follows k8s.io/apiserver/pkg/registry/rest/delete.go and registry/generic/registry/store.go. What depends on a deleted
object is the garbage collector's work; what a namespace holds is the namespace controller's.
"""

from __future__ import annotations

from dataclasses import replace

from labctl.api import kinds, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object, key_of
from labctl.api.times import format_time, to_unix
from labctl.apiserver import admission, strategies
from labctl.apiserver.options import DeleteOptions, WriteOptions
from labctl.apiserver.registry import Registry, as_new

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
_DEFAULT_POD_GRACE_S = 30


def delete(registry: Registry, kind: Kind, namespace: str, name: str, options: DeleteOptions) -> Object:
    """Delete an object; returns it, or a Status when it is gone at once. Raises ApiError 403, 404, 409."""
    old = registry.get(kind, namespace, name)
    _check_preconditions(kind, old, options)
    admission.check_delete(kind, name)
    new = as_new(old)
    grace_s = _grace_s(kind, old, options)
    _set_finalizers(kind, new, options)
    waits = bool(new["metadata"].get("finalizers")) or grace_s > 0 or kind is kinds.NAMESPACE
    if not waits:
        if strategies.is_graceful(kind):
            _mark(registry, kind, new, grace_s)
            if options.dry_run:
                return new
            if new != old:
                registry.put(kind, new)  # watchers are told that it goes before it is gone
        last = registry.remove(kind, namespace, name, dry_run=options.dry_run)
        return last if strategies.returns_deleted(kind) else success(kind, last)
    if _already_deleting(kind, old, grace_s) and new == old:
        return old
    _mark(registry, kind, new, grace_s)
    write = WriteOptions(dry_run=options.dry_run)
    return registry.write(kind, new, old, write)


def success(kind: Kind, obj: Object) -> Object:
    """The Status of a deletion that is complete."""
    details: Object = {"name": obj["metadata"]["name"]}
    if kind.group:
        details["group"] = kind.group
    details |= {"kind": kind.resource, "uid": obj["metadata"]["uid"]}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _check_preconditions(kind: Kind, obj: Object, options: DeleteOptions) -> None:
    metadata = obj["metadata"]
    for label, wanted, actual, guess in (
        ("UID", options.uid, metadata["uid"], "deleted and then recreated"),
        ("ResourceVersion", options.resource_version, metadata["resourceVersion"], "modified"),
    ):
        if wanted and wanted != actual:
            why = (
                f"the {label} in the precondition ({wanted}) does not match the {label} in record ({actual}). "
                f"The object might have been {guess}"
            )
            raise status.conflict(replace(kind, resource=kind.kind), metadata["name"], why)


def _grace_s(kind: Kind, obj: Object, options: DeleteOptions) -> int:
    if not strategies.is_graceful(kind):
        return 0
    if not obj["spec"].get("nodeName") or obj.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0  # nothing runs that could be asked to end
    if options.grace_period_s is not None:
        return max(options.grace_period_s, 0)
    return int(obj["spec"].get("terminationGracePeriodSeconds", _DEFAULT_POD_GRACE_S))


def _set_finalizers(kind: Kind, obj: Object, options: DeleteOptions) -> None:
    finalizers = [f for f in obj["metadata"].get("finalizers") or () if f not in (ORPHAN, FOREGROUND)]
    present = obj["metadata"].get("finalizers") or []
    if options.propagation == "Orphan":
        finalizers.append(ORPHAN)
    elif options.propagation == "Foreground":
        finalizers.append(FOREGROUND)
    elif options.propagation is None:
        finalizers = list(present)
        if strategies.orphans_by_default(kind) and not {ORPHAN, FOREGROUND} & set(present):
            finalizers.append(ORPHAN)
    if finalizers:
        obj["metadata"]["finalizers"] = finalizers
    else:
        obj["metadata"].pop("finalizers", None)


def _already_deleting(kind: Kind, obj: Object, grace_s: int) -> bool:
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp"):
        return False
    return not strategies.is_graceful(kind) or metadata.get("deletionGracePeriodSeconds", 0) <= grace_s


def _mark(registry: Registry, kind: Kind, obj: Object, grace_s: int) -> None:
    """Set deletionTimestamp and what goes with it; a second deletion can only shorten the grace period."""
    metadata = obj["metadata"]
    if _already_deleting(kind, obj, grace_s):
        return
    if marked := metadata.get("deletionTimestamp"):
        began = to_unix(marked) - metadata.get("deletionGracePeriodSeconds", 0)
        metadata["deletionTimestamp"] = format_time(began + grace_s)
        metadata["deletionGracePeriodSeconds"] = grace_s
        return
    metadata["deletionTimestamp"] = format_time(registry.clock() + grace_s)
    metadata["deletionGracePeriodSeconds"] = grace_s
    if kind is kinds.NAMESPACE:
        metadata.pop("deletionGracePeriodSeconds", None)
        obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
    if "generation" in metadata:
        metadata["generation"] += 1


def matching(registry: Registry, kind: Kind, objects: list[Object], options: DeleteOptions) -> list[Object]:
    """Delete many objects; those that vanish meanwhile are no error."""
    deleted = []
    for obj in objects:
        key = key_of(obj)
        try:
            delete(registry, kind, key.namespace, key.name, options)
        except status.ApiError as error:
            if error.code != 404:
                raise
        deleted.append(obj)
    return deleted
