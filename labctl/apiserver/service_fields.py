"""The fields of a Service that depend on each other: clusterIP and clusterIPs, ports and type.

Follows pkg/registry/core/service/storage (alloc.go, storage.go): what a client leaves out of an update keeps its
allocated value, and what a change of type leaves without meaning is dropped unless the client changed it too.
"""

from __future__ import annotations

from typing import Any

from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import invalid

HEADLESS = "None"
_WITH_CLUSTER_IP = ("ClusterIP", "NodePort", "LoadBalancer")
_WITH_NODE_PORT = ("NodePort", "LoadBalancer")


def needs_cluster_ip(service: Object) -> bool:
    """Whether the type has a ClusterIP (headless ones count)."""
    return service["spec"].get("type", "ClusterIP") in _WITH_CLUSTER_IP


def is_headless(service: Object) -> bool:
    """Whether clusterIP is None."""
    return bool(service["spec"].get("clusterIP") == HEADLESS)


def needs_node_port(service: Object) -> bool:
    """Whether ports get nodePorts."""
    spec = service["spec"]
    if spec.get("type") == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return bool(spec.get("type") == "NodePort")


def needs_health_check_node_port(service: Object) -> bool:
    """Whether a health check port for the load balancer is needed."""
    spec = service["spec"]
    return bool(spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local")


def normalise_cluster_ips(new: Object, old: Object | None) -> None:
    """Bring clusterIP and clusterIPs in line, when the client gave or changed only one of them."""
    spec = new["spec"]
    if old is None:
        if spec.get("clusterIP") and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        return
    before = old["spec"]
    changed = spec.get("clusterIP") != before.get("clusterIP")
    if not changed and not spec.get("clusterIPs") and before.get("clusterIPs"):
        spec["clusterIPs"] = before["clusterIPs"]
    if not changed or (spec.get("clusterIPs") or before.get("clusterIPs")) != before.get("clusterIPs"):
        return
    if spec.get("clusterIP"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    elif needs_cluster_ip(new) and needs_cluster_ip(old):
        spec.pop("clusterIPs", None)  # cleared by the client: keep_allocated puts both back
    else:
        spec.pop("clusterIPs", None)


def default_family_policy(spec: Object, old: Object | None) -> None:
    """The policy of before, or one family: a change of their number must be asked for. In place."""
    if "ipFamilyPolicy" in spec:
        return
    if old is not None and old["spec"].get("ipFamilyPolicy"):
        spec["ipFamilyPolicy"] = old["spec"]["ipFamilyPolicy"]
    elif spec.get("clusterIP") == HEADLESS and not spec.get("selector"):
        spec["ipFamilyPolicy"] = "RequireDualStack"
    else:
        spec["ipFamilyPolicy"] = "SingleStack"


_TWO = (("clusterIPs", "cluster IPs", "cluster IP"), ("ipFamilies", "IP families", "IP family"))


def wrong_number(spec: Object, before: Object) -> list[Cause]:
    """A policy that does not go with the number of addresses or families.

    What a Service that becomes SingleStack leaves as it was, is cut to its first value, in place.
    """
    policy, causes = spec["ipFamilyPolicy"], []
    for name, many, one in _TWO:
        had, has = before.get(name) or [], spec.get(name) or []
        if policy != "SingleStack":
            if len(had) == 2 and len(has) == 1:
                causes.append(f"must be 'SingleStack' to release the secondary {one}")
        elif len(has) > 1 and has == had:
            spec[name] = has[:1]
        elif len(has) == 2:
            causes.append(f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {many} are specified")
    return [invalid("spec.ipFamilyPolicy", policy, detail) for detail in causes]


def keep_allocated(new: Object, old: Object) -> None:
    """Take over allocated values that the client left out (patchAllocatedValues)."""
    spec, before = new["spec"], old["spec"]
    if needs_cluster_ip(new) and needs_cluster_ip(old):
        if not spec.get("clusterIP") and before.get("clusterIP"):
            spec["clusterIP"] = before["clusterIP"]
        if not spec.get("clusterIPs") and before.get("clusterIPs") and spec.get("clusterIP") == before.get("clusterIP"):
            spec["clusterIPs"] = before["clusterIPs"]
    if needs_node_port(new) and needs_node_port(old):
        known = {_port_key(p): p.get("nodePort") for p in before.get("ports") or ()}
        taken = {p.get("nodePort") for p in spec.get("ports") or () if p.get("nodePort")}
        for port in spec.get("ports") or ():
            candidate = known.get(_port_key(port))
            if not port.get("nodePort") and candidate and candidate not in taken:
                port["nodePort"] = candidate
    if needs_health_check_node_port(new) and needs_health_check_node_port(old) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before.get("healthCheckNodePort")


def drop_type_dependent(new: Object, old: Object | None) -> None:
    """Drop what the new type has no use for, where the client left it as it was (dropTypeDependentFields)."""
    spec = new["spec"]
    if spec.get("type") == "ExternalName" and spec.get("internalTrafficPolicy") in ("Cluster", "Local"):
        del spec["internalTrafficPolicy"]
    if old is None:
        return
    before = old["spec"]
    if needs_cluster_ip(old) and not needs_cluster_ip(new):
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if spec.get(name) == before.get(name):
                spec.pop(name, None)
        if spec.get("internalTrafficPolicy") == before.get("internalTrafficPolicy"):
            spec.pop("internalTrafficPolicy", None)
    if _has_node_ports(old) and not _has_node_ports(new):
        _drop_node_ports(spec, before)
    if needs_health_check_node_port(old) and not needs_health_check_node_port(new):
        _drop_same(spec, before, "healthCheckNodePort")
    if old["spec"].get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer":
        _drop_same(spec, before, "allocateLoadBalancerNodePorts")
        _drop_same(spec, before, "loadBalancerClass")
    if _external_policy_applies(old) and not _external_policy_applies(new):
        _drop_same(spec, before, "externalTrafficPolicy")


def _has_node_ports(service: Object) -> bool:
    return service["spec"].get("type") in _WITH_NODE_PORT


def _external_policy_applies(service: Object) -> bool:
    return _has_node_ports(service) or bool(service["spec"].get("externalIPs"))


def _drop_same(spec: Object, before: Object, name: str) -> None:
    if spec.get(name) == before.get(name):
        spec.pop(name, None)


def _drop_node_ports(spec: Object, before: Object) -> None:
    known = {_port_key(p): p.get("nodePort") for p in before.get("ports") or ()}
    for port in spec.get("ports") or ():
        if port.get("nodePort") == known.get(_port_key(port)):
            port.pop("nodePort", None)


def _port_key(port: Object) -> tuple[Any, Any]:
    return port.get("protocol", "TCP"), port["port"]
