"""What is particular to a kind when its objects are created or changed: what is dropped, kept, counted.

The rules are those of Kubernetes' registry strategies (pkg/registry/*/strategy.go): a write of the object leaves its
status alone, a write of the status leaves the rest alone, and `generation` counts changes of what the user asks for.
"""

from __future__ import annotations

from collections.abc import Callable

from labctl.api import defaults, kinds
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.apiserver import gated, label_keys, service_fields

_ALWAYS_KEPT = ("creationTimestamp", "generation")
_KEPT_WHEN_MISSING = ("uid", "deletionGracePeriodSeconds")
_GRACEFUL = (kinds.POD,)
_ORPHANS = (kinds.REPLICATION_CONTROLLER,)
_RETURNS_DELETED = (
    kinds.POD,
    kinds.SERVICE,
    kinds.SERVICE_ACCOUNT,
    kinds.RESOURCE_QUOTA,
    kinds.NAMESPACE,
    kinds.POD_TEMPLATE,
    kinds.STORAGE_CLASS,
)

# What counts as a change of generation: the spec, or for kinds without one everything but metadata.
_COUNTED_WITHOUT_SPEC = (kinds.ENDPOINT_SLICE, kinds.PRIORITY_CLASS, kinds.POD_TEMPLATE)
_COUNTED = (
    kinds.POD,
    kinds.DEPLOYMENT,
    kinds.REPLICA_SET,
    kinds.REPLICATION_CONTROLLER,
    kinds.NETWORK_POLICY,
    kinds.INGRESS,
    kinds.INGRESS_CLASS,
    kinds.POD_DISRUPTION_BUDGET,
)


def prepare_for_create(kind: Kind, obj: Object, *, now: str | None = None) -> None:
    """Drop what a client cannot create and set what a new object has, in place."""
    defaults.prepare_for_create(kind, obj, now=now)
    gated.drop(kind, obj)
    if kind is kinds.POD:
        label_keys.apply(obj)
    if kind is kinds.SERVICE:
        service_fields.normalise_cluster_ips(obj, None)
        service_fields.drop_type_dependent(obj, None)


def prepare_for_update(kind: Kind, new: Object, old: Object) -> None:
    """Keep what a write of the object itself may not touch, in place."""
    _keep_metadata(new, old)
    gated.drop(kind, new)
    if "status" in kind.subresources:
        _keep(new, old, "status")
    if kind is kinds.NAMESPACE:
        new["spec"] = {**(new.get("spec") or {}), "finalizers": old["spec"].get("finalizers")}
    if kind is kinds.SERVICE:
        service_fields.normalise_cluster_ips(new, old)
        service_fields.keep_allocated(new, old)
        service_fields.drop_type_dependent(new, old)
    if _asks_for_something_else(kind, new, old):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def prepare_for_status_update(kind: Kind, new: Object, old: Object) -> None:
    """Keep all but the status (and annotations, which Kubernetes lets through), in place."""
    annotations = new["metadata"].get("annotations")
    managed = new["metadata"].get("managedFields")
    metadata = {**old["metadata"]}
    if annotations is not None:
        metadata["annotations"] = annotations
    if managed is not None:
        metadata["managedFields"] = managed
    status = new.get("status")
    new.clear()
    new.update({**old, "metadata": metadata})
    if status is not None:
        new["status"] = status
    elif "status" in new:
        del new["status"]
    if kind is kinds.NAMESPACE and old["metadata"].get("deletionTimestamp"):
        new["status"] = {**(status or {}), "phase": "Terminating"}


def prepare_for_finalize(new: Object, old: Object) -> None:
    """Namespaces: only spec.finalizers may change, in place."""
    finalizers = (new.get("spec") or {}).get("finalizers")
    new.clear()
    new.update({**old, "metadata": {**old["metadata"]}, "spec": {**old["spec"]}})
    new["spec"].pop("finalizers", None)
    if finalizers:
        new["spec"]["finalizers"] = finalizers


def prepare_for_ephemeral_containers(new: Object, old: Object) -> None:
    """Pods: only spec.ephemeralContainers may change, in place."""
    containers = (new.get("spec") or {}).get("ephemeralContainers")
    new.clear()
    new.update({**old, "metadata": {**old["metadata"]}, "spec": {**old["spec"]}})
    if containers:
        new["spec"]["ephemeralContainers"] = containers
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def is_graceful(kind: Kind) -> bool:
    """Whether deletion waits for a grace period that somebody else (the kubelet) ends."""
    return kind in _GRACEFUL


def orphans_by_default(kind: Kind) -> bool:
    """Whether a delete that says nothing about dependents leaves them: kinds that are older than garbage collection."""
    return kind in _ORPHANS


def returns_deleted(kind: Kind) -> bool:
    """Whether a delete answers with the object rather than with a Status."""
    return kind in _RETURNS_DELETED


PREPARE: dict[str, Callable[[Kind, Object, Object], None]] = {
    "": prepare_for_update,
    "status": prepare_for_status_update,
    "finalize": lambda _, new, old: prepare_for_finalize(new, old),
    "ephemeralcontainers": lambda _, new, old: prepare_for_ephemeral_containers(new, old),
}


def _keep_metadata(new: Object, old: Object) -> None:
    """Put back what the client left out; what it changed, validation will tell (rest.BeforeUpdate)."""
    after, before = new["metadata"], old["metadata"]
    for name in _ALWAYS_KEPT:
        _keep(after, before, name)
    for name in _KEPT_WHEN_MISSING:
        if name not in after:
            _keep(after, before, name)
    if before.get("deletionTimestamp"):
        after["deletionTimestamp"] = before["deletionTimestamp"]


def _keep(new: Object, old: Object, name: str) -> None:
    if name in old:
        new[name] = old[name]
    else:
        new.pop(name, None)


def _asks_for_something_else(kind: Kind, new: Object, old: Object) -> bool:
    if kind is kinds.DEPLOYMENT and new["metadata"].get("annotations") != old["metadata"].get("annotations"):
        return True  # Deployments count their annotations too: pkg/registry/apps/deployment/strategy.go
    after, before = (o["metadata"].get("labels") or {} for o in (new, old))
    if kind is kinds.ENDPOINT_SLICE and after != before:
        return True  # and slices their labels: pkg/registry/discovery/endpointslice/strategy.go
    if kind in _COUNTED:
        return new.get("spec") != old.get("spec")
    if kind in _COUNTED_WITHOUT_SPEC:
        after, before = ({k: v for k, v in o.items() if k != "metadata" and v} for o in (new, old))
        return bool(after != before)
    return False
