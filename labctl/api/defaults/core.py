"""Defaults of the core kinds other than pods: pkg/apis/core/v1/defaults.go and conversion.go of Kubernetes."""

from __future__ import annotations

import base64
from decimal import ROUND_UP
from typing import Any

from labctl.api import quantities
from labctl.api.objects import Object

CLIENT_IP_TIMEOUT_S = 10800
_LOAD_BALANCED = ("ClusterIP", "NodePort", "LoadBalancer")


def service(obj: Object) -> None:
    """Type, affinity, policies, ports. Addresses, families and node ports are allocated, not defaulted."""
    spec = obj.setdefault("spec", {})
    if not spec.get("sessionAffinity"):
        spec["sessionAffinity"] = "None"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client_ip = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if client_ip.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": CLIENT_IP_TIMEOUT_S}}
    if not spec.get("type"):
        spec["type"] = "ClusterIP"
    for port in spec.get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
        if not port.get("targetPort"):
            port["targetPort"] = port.get("port", 0)
    _policies(spec)
    if spec["type"] == "LoadBalancer":
        if spec.get("allocateLoadBalancerNodePorts") is None:
            spec["allocateLoadBalancerNodePorts"] = True
        for ingress in ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ():
            if ingress.get("ip") and ingress.get("ipMode") is None:
                ingress["ipMode"] = "VIP"


def _policies(spec: Object) -> None:
    kind = spec["type"]
    external = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs"))
    if external and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec.get("internalTrafficPolicy") is None and kind in _LOAD_BALANCED:
        spec["internalTrafficPolicy"] = "Cluster"


def endpoint_subset(obj: Object) -> None:
    """Ports speak TCP."""
    for port in obj.get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"


def namespace(obj: Object) -> None:
    """The label with the namespace's own name, by which policies select it."""
    metadata = obj.setdefault("metadata", {})
    if metadata.get("name"):
        labels = dict(metadata.get("labels") or {})
        labels["kubernetes.io/metadata.name"] = metadata["name"]
        metadata["labels"] = labels


def namespace_status(obj: Object) -> None:
    """A namespace is active until it is deleted."""
    if not obj.get("phase"):
        obj["phase"] = "Active"


def secret(obj: Object) -> None:
    """Opaque, and stringData merged into data: it is write-only."""
    if not obj.get("type"):
        obj["type"] = "Opaque"
    plain = obj.pop("stringData", None)
    if plain:
        data = dict(obj.get("data") or {})
        data.update({key: base64.b64encode(text.encode()).decode() for key, text in plain.items()})
        obj["data"] = data


def node_status(obj: Object) -> None:
    """All of the capacity may be allocated unless the node says otherwise."""
    if obj.get("allocatable") is None and obj.get("capacity") is not None:
        obj["allocatable"] = dict(obj["capacity"])


def node_spec(obj: Object) -> None:
    """podCIDR is the first of podCIDRs; the old field wins when they differ."""
    first = _first_of_both(obj.get("podCIDR"), obj.get("podCIDRs") or [])
    if first is not None:
        obj["podCIDRs"] = first
        obj["podCIDR"] = first[0]


def pod_status(obj: Object) -> None:
    """podIP is the first of podIPs; the old field wins when they differ."""
    ips = [ip.get("ip", "") for ip in obj.get("podIPs") or []]
    found = _first_of_both(obj.get("podIP"), ips)
    if found is not None:
        if found != ips:
            obj["podIPs"] = [{"ip": ip} for ip in found]
        obj["podIP"] = found[0]


def _first_of_both(single: str | None, many: list[str]) -> list[str] | None:
    if single and (not many or many[0] != single):
        return [single]
    return many or None


def limit_range_item(obj: Object) -> None:
    """Limits of containers follow from their maximum, requests from their limits or minimum."""
    if obj.get("type") != "Container":
        return
    default = {**(obj.get("max") or {}), **(obj.get("default") or {})}
    request = {**(obj.get("min") or {}), **default, **(obj.get("defaultRequest") or {})}
    for name, value in (("default", default), ("defaultRequest", request)):
        if value:
            obj[name] = value


def round_resource_list(resources: dict[str, Any]) -> None:
    """Amounts finer than a thousandth are rounded up."""
    for name, text in resources.items():
        amount = quantities.parse(str(text))
        rounded = amount.amount.quantize(quantities.MILLI, ROUND_UP, quantities.EXACT)
        if rounded != amount.amount:
            resources[name] = str(quantities.Quantity(rounded, amount.format))


def replication_controller(obj: Object) -> None:
    """Labels and selector are those of the template."""
    spec = obj.setdefault("spec", {})
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not spec.get("selector"):
        spec["selector"] = dict(labels)
    metadata = obj.setdefault("metadata", {})
    if labels and not metadata.get("labels"):
        metadata["labels"] = dict(labels)


RULES = {
    "core/v1.ReplicationController": replication_controller,
    "core/v1.Service": service,
    "core/v1.EndpointSubset": endpoint_subset,
    "core/v1.Namespace": namespace,
    "core/v1.NamespaceStatus": namespace_status,
    "core/v1.Secret": secret,
    "core/v1.NodeStatus": node_status,
    "core/v1.NodeSpec": node_spec,
    "core/v1.PodStatus": pod_status,
    "core/v1.LimitRangeItem": limit_range_item,
}
