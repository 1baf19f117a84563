"""Services: ValidateService and ValidateServiceUpdate of pkg/apis/core/validation."""

from __future__ import annotations

import ipaddress

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation import meta
from labctl.api.validation.causes import (
    address_complaints,
    all_invalid,
    cidr_complaints,
    duplicate,
    endpoint_address_complaints,
    forbidden,
    invalid,
    listed,
    required,
    unsupported,
)

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POLICIES = ("Cluster", "Local")
_FAMILIES = ("IPv4", "IPv6")
_FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_MAX_AFFINITY_S = 86400
_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_MODE = "service.kubernetes.io/topology-mode"
_HINTS = "service.kubernetes.io/topology-aware-hints"
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")


def validate(service: Object) -> list[Cause]:
    """Everything that can be wrong with a Service by itself."""
    spec = service["spec"]
    kind, headless = spec.get("type", ""), spec.get("clusterIP") == "None"
    notes = service["metadata"].get("annotations") or {}
    causes = _topology(notes)
    if not spec.get("ports") and not headless and kind != "ExternalName":
        causes.append(required("spec.ports"))
    causes += _by_type(spec, headless=headless)
    causes += _ports(spec)
    causes += meta.labels("spec.selector", spec.get("selector") or {})
    if spec.get("sessionAffinity") not in ("None", "ClientIP"):
        causes.append(unsupported("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None")))
    causes += _affinity(spec)
    causes += cluster_ips(spec)
    causes += _external_ips(spec)
    if kind not in _TYPES:
        causes.append(unsupported("spec.type", kind, _TYPES))
    causes += _node_ports(spec)
    causes += _load_balancer(spec, notes)
    return causes + _policies(spec)


def validate_update(new: Object, old: Object) -> list[Cause]:
    """What a change of a Service may not do: move its addresses, or change a load balancer's class."""
    after, before = new["spec"], old["spec"]
    causes = _moved(after, before)
    balanced = before.get("type") == after.get("type") == "LoadBalancer"
    if balanced and before.get("loadBalancerClass") != after.get("loadBalancerClass"):
        causes.append(invalid("spec.loadBalancerClass", after.get("loadBalancerClass"), "may not change once set"))
    causes += _load_balancer_class(after)
    had, has = (spec.get("healthCheckNodePort") for spec in (before, after))
    if _needs_health_check(before) and _needs_health_check(after) and had != has:
        causes.append(forbidden("spec.healthCheckNodePort", "field is immutable"))
    return causes


def _moved(after: Object, before: Object) -> list[Cause]:
    """Addresses and families that are not those of before: validateUpgradeDowngrade…"""
    if "ExternalName" in (before.get("type"), after.get("type")) or after.get("type") not in _TYPES:
        return []
    headless, was_headless = _is_headless(after), _is_headless(before)
    causes: list[Cause] = []
    if not (headless and was_headless):
        causes += _changed("clusterIPs", "clusterIP", after, before)
    if not headless and not was_headless:
        causes += _changed("ipFamilies", "ipFamily", after, before)
    return causes


def _changed(name: str, one: str, after: Object, before: Object) -> list[Cause]:
    had, has = before.get(name) or [], after.get(name) or []
    if len(had) == len(has):
        paths = [f"spec.{name}[{i if one == 'clusterIP' else 0}]" for i, v in enumerate(had) if v != has[i]]
        return [invalid(path, has, "may not change once set") for path in paths]
    causes: list[Cause] = []
    if had and not has:
        causes.append(invalid(f"spec.{name}[0]", None, f"primary {one} can not be unset"))
    elif had and had[0] != has[0]:
        causes.append(invalid(f"spec.{name}[0]", after.get("clusterIPs"), "may not change once set"))
    policy = after.get("ipFamilyPolicy")
    if len(had) > len(has) == 1 and policy != "SingleStack":
        detail = f"must be set to 'SingleStack' when releasing the secondary {one}"
        causes.append(invalid("spec.ipFamilyPolicy", policy, detail))
    return causes


def _is_headless(spec: Object) -> bool:
    return spec.get("clusterIPs") == ["None"]


def _needs_health_check(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _topology(notes: Object) -> list[Cause]:
    mode, hints = notes.get(_MODE), notes.get(_HINTS)
    if mode is None or hints is None or mode == hints:
        return []
    return [
        invalid(f"metadata.annotations[{_MODE}]", mode, f"must match annotations[{_HINTS}] when both are specified")
    ]


def _by_type(spec: Object, *, headless: bool) -> list[Cause]:
    kind = spec.get("type")
    if kind == "LoadBalancer" and headless:
        return [invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services")]
    if kind == "NodePort" and headless:
        return [invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for NodePort services")]
    if kind != "ExternalName":
        return []
    causes = [
        forbidden(f"spec.{name}", "may not be set for ExternalName services")
        for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
        if spec.get(name) or (name == "ipFamilyPolicy" and name in spec)
    ]
    target = (spec.get("externalName") or "").removesuffix(".")
    if not target:
        return [*causes, required("spec.externalName")]
    return causes + all_invalid("spec.externalName", target, names.dns1123_subdomain(target))


def _ports(spec: Object) -> list[Cause]:
    ports = spec.get("ports") or []
    causes: list[Cause] = []
    seen_names: set[str] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        name = port.get("name", "")
        if not name and len(ports) > 1:
            causes.append(required(f"{path}.name"))
        elif name:
            causes += all_invalid(f"{path}.name", name, names.dns1123_label(name))
            if name in seen_names:
                causes.append(duplicate(f"{path}.name", name))
            seen_names.add(name)
        causes += all_invalid(f"{path}.port", port["port"], names.port_number(port["port"]))
        if port.get("protocol") not in _PROTOCOLS:
            causes.append(unsupported(f"{path}.protocol", port.get("protocol"), _PROTOCOLS))
        causes += _target_port(path, port.get("targetPort"))
        if (app := port.get("appProtocol")) is not None:
            causes += all_invalid(f"{path}.appProtocol", app, names.qualified_name(app))
    return causes


def _node_ports(spec: Object) -> list[Cause]:
    ports = spec.get("ports") or []
    causes = [
        forbidden(f"spec.ports[{index}].nodePort", "may not be used when `type` is 'ClusterIP'")
        for index, port in enumerate(ports)
        if spec.get("type") == "ClusterIP" and port.get("nodePort")
    ]
    return causes + _twice(ports, "nodePort") + _twice(ports, "port")


def _target_port(path: str, target: int | str | None) -> list[Cause]:
    if isinstance(target, int):
        return all_invalid(f"{path}.targetPort", target, names.port_number(target))
    return all_invalid(f"{path}.targetPort", target or "", names.port_name(target or ""))


def _twice(ports: list[Object], name: str) -> list[Cause]:
    seen: set[tuple[str, int]] = set()
    causes = []
    for index, port in enumerate(ports):
        number = port.get(name, 0)
        if not number and name == "nodePort":
            continue
        key = (port.get("protocol", "TCP"), number)
        if key in seen and name == "nodePort":
            causes.append(duplicate(f"spec.ports[{index}].nodePort", number))
        elif key in seen:
            causes.append(duplicate(f"spec.ports[{index}]", _port_as_shown(*key)))
        seen.add(key)
    return causes


def _port_as_shown(protocol: str, number: int) -> Object:
    """Kubernetes shows its internal type, whose fields have no JSON names."""
    port: Object = {"Name": "", "Protocol": protocol, "AppProtocol": None}
    return port | {"Port": number, "TargetPort": 0, "NodePort": 0}


def _affinity(spec: Object) -> list[Cause]:
    config = spec.get("sessionAffinityConfig")
    path = "spec.sessionAffinityConfig"
    if spec.get("sessionAffinity") == "None":
        detail = "must not be set when session affinity is None"
        return [forbidden(path, detail)] if config else []
    if spec.get("sessionAffinity") != "ClientIP" or not config:
        return []
    timeout = (config.get("clientIP") or {}).get("timeoutSeconds")
    if timeout is None:
        return [required(f"{path}.clientIP", f"when session affinity type is {spec['sessionAffinity']}")]
    if not 0 < timeout <= _MAX_AFFINITY_S:
        return [
            invalid(
                f"{path}.clientIP.timeoutSeconds", timeout, f"must be greater than 0 and less than {_MAX_AFFINITY_S}"
            )
        ]
    return []


def cluster_ips(spec: Object) -> list[Cause]:
    """clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy by themselves (ValidateServiceClusterIPsRelatedFields)."""
    if spec.get("type") == "ExternalName":
        return []
    causes: list[Cause] = []
    single, addresses = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    if addresses and not single:
        causes.append(invalid("spec.clusterIPs", addresses, "must be empty when `clusterIP` is not specified"))
    elif addresses and single != addresses[0]:
        causes.append(invalid("spec.clusterIPs", addresses, "first value must match `clusterIP`"))
    causes += _families(spec)
    wrong = _bad_addresses(addresses)
    causes += wrong
    if len(addresses) > 2:
        causes.append(invalid("spec.clusterIPs", addresses, "may only hold up to 2 values"))
    if wrong:
        return causes
    if len(addresses) > 1 and len({ipaddress.ip_address(a).version for a in addresses}) < len(addresses):
        causes.append(invalid("spec.clusterIPs", addresses, "may specify no more than one IP for each IP family"))
    return causes + _family_of_addresses(addresses, spec.get("ipFamilies") or [])


def _families(spec: Object) -> list[Cause]:
    causes: list[Cause] = []
    families = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        if family not in _FAMILIES:
            causes.append(unsupported(f"spec.ipFamilies[{index}]", family, _FAMILIES))
        if family in families[:index]:
            causes.append(duplicate(f"spec.ipFamilies[{index}]", family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in _FAMILY_POLICIES:
        causes.append(unsupported("spec.ipFamilyPolicy", policy, _FAMILY_POLICIES))
    return causes


def _bad_addresses(addresses: list[str]) -> list[Cause]:
    causes: list[Cause] = []
    for index, address in enumerate(addresses):
        if index or address != "None":
            causes += all_invalid(f"spec.clusterIPs[{index}]", address, address_complaints(address))
        elif len(addresses) > 1:
            causes.append(invalid("spec.clusterIPs", addresses, "'None' must be the first and only value"))
    return causes


def _family_of_addresses(addresses: list[str], families: list[str]) -> list[Cause]:
    causes = []
    for index, (address, family) in enumerate(zip(addresses, families, strict=False)):
        if address != "None" and family in _FAMILIES and f"IPv{ipaddress.ip_address(address).version}" != family:
            detail = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            causes.append(invalid(f"spec.clusterIPs[{index}]", address, detail))
    return causes


def _external_ips(spec: Object) -> list[Cause]:
    causes = []
    for index, address in enumerate(spec.get("externalIPs") or ()):
        complaints = address_complaints(address) or endpoint_address_complaints(address)
        causes += all_invalid(f"spec.externalIPs[{index}]", address, complaints)
    return causes


def _load_balancer(spec: Object, notes: Object) -> list[Cause]:
    causes: list[Cause] = []
    is_lb, only = spec.get("type") == "LoadBalancer", "may only be used when `type` is 'LoadBalancer'"
    ranges, path = spec.get("loadBalancerSourceRanges") or [], "spec.LoadBalancerSourceRanges"  # Kubernetes' spelling
    if ranges and not is_lb:
        causes.append(forbidden(path, only))
    for index, cidr in enumerate(ranges):
        causes += all_invalid(f"{path}[{index}]", cidr.strip(), cidr_complaints(cidr.strip()))
    if not ranges and (noted := notes.get(_RANGES)) is not None:
        if not is_lb:
            causes.append(forbidden(f"metadata.annotations[{_RANGES}]", only))
        for cidr in (c.strip() for c in noted.split(",") if noted.strip()):
            causes += all_invalid(f"metadata.annotations[{_RANGES}]", cidr, cidr_complaints(cidr))
    if spec.get("allocateLoadBalancerNodePorts") is not None and not is_lb:
        causes.append(forbidden("spec.allocateLoadBalancerNodePorts", only))
    if is_lb and "allocateLoadBalancerNodePorts" not in spec:
        causes.append(required("allocateLoadBalancerNodePorts"))
    return causes + _load_balancer_class(spec)


def _load_balancer_class(spec: Object) -> list[Cause]:
    name, path = spec.get("loadBalancerClass"), "spec.loadBalancerClass"
    if name is None:
        return []
    if spec.get("type") != "LoadBalancer":
        return [forbidden(path, "may only be used when `type` is 'LoadBalancer'")]
    return all_invalid(path, name, names.qualified_name(name))


def _policies(spec: Object) -> list[Cause]:
    causes: list[Cause] = []
    external, internal = spec.get("externalTrafficPolicy"), spec.get("internalTrafficPolicy")
    reachable = spec.get("type") in ("LoadBalancer", "NodePort") or bool(spec.get("externalIPs"))
    if external and not reachable:
        causes.append(
            invalid("spec.externalTrafficPolicy", external, "may only be set for externally-accessible services")
        )
    elif external and external not in _POLICIES:
        causes.append(unsupported("spec.externalTrafficPolicy", external, _POLICIES))
    health = spec.get("healthCheckNodePort")
    if health and not _needs_health_check(spec):
        detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        causes.append(invalid("spec.healthCheckNodePort", health, detail))
    elif health:
        causes += all_invalid("spec.healthCheckNodePort", health, names.port_number(health))
    if internal is not None and internal not in _POLICIES:
        causes.append(unsupported("spec.internalTrafficPolicy", internal, _POLICIES))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        causes.append(listed("spec.trafficDistribution", distribution, _DISTRIBUTIONS))
    return causes
