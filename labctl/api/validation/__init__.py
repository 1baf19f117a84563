"""Semantic validation, with Kubernetes' field paths, reasons and messages.

    causes = validation.validate_create(kinds.SERVICE, obj)
    causes = validation.validate_update(kinds.SERVICE, new, old)

Objects are decoded and defaulted before. An empty list means valid. Rules: pkg/apis/*/validation in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable

from labctl.api import kinds
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation import (
    addresses,
    autoscalers,
    budgets,
    cluster,
    endpoints,
    events,
    ingresses,
    meta,
    pods,
    policies,
    priorities,
    rbac,
    resources,
    services,
    simple,
    workloads,
)

Check = Callable[[Object], list[Cause]]
UpdateCheck = Callable[[Object, Object], list[Cause]]

_CREATE: dict[Kind, Check] = {
    kinds.SERVICE: services.validate,
    kinds.ENDPOINTS: endpoints.validate_endpoints,
    kinds.ENDPOINT_SLICE: endpoints.validate_slice,
    kinds.POD: pods.validate,
    kinds.DEPLOYMENT: workloads.validate_deployment,
    kinds.REPLICA_SET: workloads.validate_replica_set,
    kinds.POD_TEMPLATE: workloads.validate_pod_template,
    kinds.REPLICATION_CONTROLLER: workloads.validate_replication_controller,
    kinds.CONFIG_MAP: simple.validate_data,
    kinds.SECRET: simple.validate_secret,
    kinds.NETWORK_POLICY: policies.validate,
    kinds.POD_DISRUPTION_BUDGET: budgets.validate,
    kinds.PRIORITY_CLASS: priorities.validate,
    kinds.INGRESS: ingresses.validate,
    kinds.INGRESS_CLASS: ingresses.validate_class,
    kinds.ROLE: rbac.validate_role,
    kinds.CLUSTER_ROLE: rbac.validate_cluster_role,
    kinds.ROLE_BINDING: rbac.validate_role_binding,
    kinds.CLUSTER_ROLE_BINDING: rbac.validate_cluster_role_binding,
    kinds.NAMESPACE: cluster.validate_namespace,
    kinds.NODE: cluster.validate_node,
    kinds.LEASE: cluster.validate_lease,
    kinds.STORAGE_CLASS: cluster.validate_storage_class,
    kinds.LIMIT_RANGE: resources.validate_limits,
    kinds.RESOURCE_QUOTA: resources.validate_quota,
    kinds.IP_ADDRESS: addresses.validate_address,
    kinds.SERVICE_CIDR: addresses.validate_cidr,
    kinds.HORIZONTAL_POD_AUTOSCALER: autoscalers.validate,
    kinds.HORIZONTAL_POD_AUTOSCALER_V1: autoscalers.validate_v1,
    kinds.EVENT: events.validate,
    kinds.EVENTS_EVENT: events.validate_new,
}
# What only a new object has to be.
_ONLY_CREATE: dict[Kind, Check] = {
    kinds.POD: pods.validate_create,
    kinds.INGRESS: ingresses.validate_create,
}
_UPDATE: dict[Kind, UpdateCheck] = {
    kinds.SERVICE: services.validate_update,
    kinds.ENDPOINT_SLICE: endpoints.validate_slice_update,
    kinds.POD: pods.validate_update,
    kinds.DEPLOYMENT: workloads.validate_update,
    kinds.REPLICA_SET: workloads.validate_update,
    kinds.CONFIG_MAP: simple.validate_data_update,
    kinds.SECRET: simple.validate_data_update,
    kinds.PRIORITY_CLASS: priorities.validate_update,
    kinds.INGRESS_CLASS: ingresses.validate_class_update,
    kinds.ROLE_BINDING: rbac.validate_binding_update,
    kinds.CLUSTER_ROLE_BINDING: rbac.validate_binding_update,
    kinds.NODE: cluster.validate_node_update,
    kinds.STORAGE_CLASS: cluster.validate_storage_class_update,
    kinds.RESOURCE_QUOTA: resources.validate_quota_update,
    kinds.IP_ADDRESS: addresses.validate_address_update,
    kinds.SERVICE_CIDR: addresses.validate_cidr_update,
    kinds.EVENTS_EVENT: events.validate_new_update,
}
# Kinds of which only the change is looked at when they are updated.
_CHANGE_ONLY = (kinds.SERVICE_CIDR, kinds.PRIORITY_CLASS, kinds.NAMESPACE, kinds.EVENTS_EVENT)


_STATUS: dict[Kind, UpdateCheck] = {
    kinds.DEPLOYMENT: workloads.validate_status_update,
    kinds.REPLICA_SET: workloads.validate_status_update,
    kinds.REPLICATION_CONTROLLER: workloads.validate_status_update,
}
_EPHEMERAL = "ephemeralcontainers"
# Kinds whose objects are looked at before the change is; it shows in the order of causes.
_CHANGE_LAST = (
    kinds.STORAGE_CLASS,
    kinds.IP_ADDRESS,
    kinds.POD,
    kinds.DEPLOYMENT,
    kinds.REPLICA_SET,
    kinds.ENDPOINT_SLICE,
    kinds.ROLE_BINDING,
    kinds.CLUSTER_ROLE_BINDING,
    kinds.RESOURCE_QUOTA,
    kinds.NODE,
)


def validate_create(kind: Kind, obj: Object) -> list[Cause]:
    """What is wrong with a new object."""
    causes = meta.validate(kind, obj)
    check = _CREATE.get(kind)
    causes += check(obj) if check else []
    once = _ONLY_CREATE.get(kind)
    return causes + (once(obj) if once else [])


def validate_update(kind: Kind, new: Object, old: Object, subresource: str = "") -> list[Cause]:
    """What is wrong with a changed object, or with the change."""
    causes = meta.validate_update(new, old)
    if subresource:
        check: UpdateCheck | None = pods.validate_ephemeral_update if subresource == _EPHEMERAL else None
        if subresource == "status":
            check = _STATUS.get(kind)
        return causes + (check(new, old) if check else [])
    if meta.changed(new, old):
        causes += meta.validate(kind, new, is_new=False)
    change = _UPDATE.get(kind)
    of_change = change(new, old) if change else []
    of_object = [] if kind in _CHANGE_ONLY else _of_object(kind, new)
    causes += of_object + of_change if kind in _CHANGE_LAST else of_change + of_object
    return list(dict.fromkeys(causes))


def _of_object(kind: Kind, obj: Object) -> list[Cause]:
    check = _CREATE.get(kind)
    return check(obj) if check else []
