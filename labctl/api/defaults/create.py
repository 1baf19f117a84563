"""What creation sets, whatever the client sent: first generation, empty status, a namespace's finalizer.

These are the PrepareForCreate steps of Kubernetes' registry strategies that depend on the object alone.
"""

from __future__ import annotations

from labctl.api import kinds, schema
from labctl.api.kinds import Kind
from labctl.api.objects import Object

NAMESPACE_FINALIZER = "kubernetes"

_COUNTED = {
    kinds.POD,
    kinds.DEPLOYMENT,
    kinds.REPLICA_SET,
    kinds.REPLICATION_CONTROLLER,
    kinds.POD_TEMPLATE,
    kinds.NETWORK_POLICY,
    kinds.INGRESS,
    kinds.INGRESS_CLASS,
    kinds.POD_DISRUPTION_BUDGET,
    kinds.ENDPOINT_SLICE,
    kinds.PRIORITY_CLASS,
}
_GATED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
    "lastProbeTime": None,
}
# Kinds whose status clients cannot create; Pod and Namespace have rules of their own.
_EMPTY_STATUS = {
    kinds.SERVICE,
    kinds.DEPLOYMENT,
    kinds.REPLICA_SET,
    kinds.REPLICATION_CONTROLLER,
    kinds.INGRESS,
    kinds.POD_DISRUPTION_BUDGET,
    kinds.HORIZONTAL_POD_AUTOSCALER,
    kinds.HORIZONTAL_POD_AUTOSCALER_V1,
    kinds.RESOURCE_QUOTA,
    kinds.SERVICE_CIDR,
}


def prepare_for_create(kind: Kind, obj: Object, *, now: str | None = None) -> None:
    """Set what a new object of the kind has, in place."""
    if kind in _COUNTED:
        obj.setdefault("metadata", {})["generation"] = 1
    if kind is kinds.POD:
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj)}
        if (obj.get("spec") or {}).get("schedulingGates"):
            obj["status"]["conditions"] = [{**_GATED, "lastTransitionTime": now}]
    elif kind in _EMPTY_STATUS:
        obj["status"] = schema.zero(schema.lookup(kind).fields["status"].type)
    elif kind is kinds.NAMESPACE:
        obj["status"] = {"phase": "Active"}
        finalizers = obj.setdefault("spec", {}).get("finalizers") or []
        if NAMESPACE_FINALIZER not in finalizers:
            obj["spec"]["finalizers"] = [*finalizers, NAMESPACE_FINALIZER]


def qos_class(pod: Object) -> str:
    """Guaranteed, Burstable or BestEffort, from the pod's requests and limits of CPU and memory."""
    spec = pod.get("spec") or {}
    parts = [spec] if spec.get("resources") else [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    any_set = False
    guaranteed = True
    for part in parts:
        resources = part.get("resources") or {}
        requests, limits = (_amounts(resources.get(name)) for name in ("requests", "limits"))
        any_set = any_set or bool(requests or limits)
        if set(limits) != {"cpu", "memory"} or any(limits[name] != value for name, value in requests.items()):
            guaranteed = False
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _amounts(resources: Object | None) -> Object:
    from labctl.api import quantities  # decimal is not needed where no pods are created

    found = {name: quantities.parse(str(text)).amount for name, text in (resources or {}).items()}
    return {name: amount for name, amount in found.items() if name in ("cpu", "memory") and amount > 0}
