"""Server-side Tables (meta.k8s.io/v1), with the columns of Kubernetes' printers.

    tables.render(kinds.SERVICE, objects, now_s=time.time())

kubectl prints what the server puts into these rows, so `get` shows the same with any client. Columns follow
pkg/printers/internalversion; those of priority 1 are shown with `-o wide`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from labctl.api import kinds
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.tables import autoscalers, cluster, network, pods, simple, workloads
from labctl.api.tables.columns import Column, Printer

IncludeObject = Literal["None", "Metadata", "Object"]

_PRINTERS: dict[Kind, Printer] = {
    kinds.POD: pods.PODS,
    kinds.SERVICE: network.SERVICES,
    kinds.ENDPOINTS: network.ENDPOINTS,
    kinds.ENDPOINT_SLICE: network.ENDPOINT_SLICES,
    kinds.INGRESS: network.INGRESSES,
    kinds.INGRESS_CLASS: network.INGRESS_CLASSES,
    kinds.NETWORK_POLICY: network.NETWORK_POLICIES,
    kinds.SERVICE_CIDR: network.SERVICE_CIDRS,
    kinds.IP_ADDRESS: network.IP_ADDRESSES,
    kinds.DEPLOYMENT: workloads.DEPLOYMENTS,
    kinds.REPLICA_SET: workloads.REPLICA_SETS,
    kinds.POD_TEMPLATE: workloads.POD_TEMPLATES,
    kinds.REPLICATION_CONTROLLER: workloads.REPLICATION_CONTROLLERS,
    kinds.SCALE: workloads.SCALES,
    kinds.NODE: cluster.NODES,
    kinds.NAMESPACE: cluster.NAMESPACES,
    kinds.EVENT: cluster.EVENTS,
    kinds.LEASE: cluster.LEASES,
    kinds.CONFIG_MAP: simple.CONFIG_MAPS,
    kinds.SECRET: simple.SECRETS,
    kinds.SERVICE_ACCOUNT: simple.SERVICE_ACCOUNTS,
    kinds.ROLE_BINDING: simple.BINDINGS,
    kinds.CLUSTER_ROLE_BINDING: simple.BINDINGS,
    kinds.PRIORITY_CLASS: simple.PRIORITY_CLASSES,
    kinds.STORAGE_CLASS: simple.STORAGE_CLASSES,
    kinds.POD_DISRUPTION_BUDGET: simple.DISRUPTION_BUDGETS,
    kinds.HORIZONTAL_POD_AUTOSCALER: autoscalers.AUTOSCALERS,
    kinds.RESOURCE_QUOTA: simple.QUOTAS,
}


def render(
    kind: Kind,
    objects: Iterable[Object],
    *,
    now_s: float,
    include_object: IncludeObject = "Metadata",
    metadata: Object | None = None,
    with_columns: bool = True,
    version: str = "v1",
) -> Object:
    """A Table of the objects; `metadata` is the list's, `now_s` (Unix seconds) what ages are reckoned from.

    `version` is the one of meta.k8s.io that is asked for.
    """
    printer = _PRINTERS.get(kinds.storage_kind(kind), simple.FALLBACK)
    rows = []
    for obj in objects:
        row: Object = {"cells": printer.cells(obj, now_s)}
        if printer.conditions is not None and (conditions := printer.conditions(obj)):
            row["conditions"] = conditions
        if include_object == "Metadata":
            row["object"] = {
                "kind": "PartialObjectMetadata",
                "apiVersion": f"meta.k8s.io/{version}",
                "metadata": obj["metadata"],
            }
        elif include_object == "Object":
            row["object"] = {"kind": kind.kind, "apiVersion": kind.api_version, **obj}
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": metadata or {},
        "columnDefinitions": [c.definition() for c in printer.columns] if with_columns else None,
        "rows": rows,
    }


__all__ = ["Column", "IncludeObject", "Printer", "render"]
