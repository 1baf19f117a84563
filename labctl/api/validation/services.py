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
    duplicate,
    endpoint_address_complaints,
    forbidden,
    invalid,
    required,
    unsupported,
)

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_WITH_CLUSTER_IP = ("ClusterIP", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POLICIES = ("Cluster", "Local")
_FAMILIES = ("IPv4", "IPv6")
_FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_MAX_AFFINITY_S = 86400
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")


def validate(service: Object) -> list[Cause]:
    """Everything that can be wrong with a Service by itself."""
    spec = service["spec"]
    kind, headless = spec.get("type", ""), spec.get("clusterIP") == "None"
    causes: list[Cause] = []
    if not spec.get("ports") and not headless and kind != "ExternalName":
        causes.append(required("spec.ports"))
    if kind not in _TYPES:
        causes.append(unsupported("spec.type", kind, _TYPES))
    causes += _by_type(spec, headless=headless)
    causes += _ports(spec)
    causes += meta.labels("spec.selector", spec.get("selector") or {})
    if spec.get("sessionAffinity") not in ("None", "ClientIP"):
        causes.append(unsupported("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None")))
    causes += _affinity(spec)
    causes += _cluster_ips(spec)
    causes += _external_ips(spec)
    causes += _load_balancer(spec)
    return causes + _policies(spec)


def validate_update(new: Object, old: Object) -> list[Cause]:
    """What a change of a Service may not do: move its addresses, or change a load balancer's class."""
    causes: list[Cause] = []
    after, before = new["spec"], old["spec"]
    stays = before.get("type") in _WITH_CLUSTER_IP and after.get("type") in _WITH_CLUSTER_IP
    had, has = before.get("clusterIPs") or [], after.get("clusterIPs") or []
    if stays and had and (not has or has[0] != had[0]):
        causes.append(invalid("spec.clusterIPs[0]", has or None, "may not change once set"))
    if stays and len(had) > 1 and len(has) > 1 and had[1] != has[1]:
        causes.append(invalid("spec.clusterIPs[1]", has, "may not change once set"))
    families, wanted = before.get("ipFamilies") or [], after.get("ipFamilies") or []
    if stays and families and wanted and families[0] != wanted[0]:
        causes.append(invalid("spec.ipFamilies[0]", wanted, "may not change once set"))
    balanced = before.get("type") == after.get("type") == "LoadBalancer"
    if balanced and before.get("loadBalancerClass") != after.get("loadBalancerClass"):
        causes.append(invalid("spec.loadBalancerClass", after.get("loadBalancerClass"), "may not change once set"))
    return causes


def _by_type(spec: Object, *, headless: bool) -> list[Cause]:
    kind = spec.get("type")
    if kind == "LoadBalancer" and headless:
        return [invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services")]
    if kind == "NodePort" and headless:
        return [invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for NodePort services")]
    if kind != "ExternalName":
        return []
    causes = [
        forbidden(f"spec.{name}", "may not be set when `type` is 'ExternalName'")
        for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
        if spec.get(name)
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
        if app := port.get("appProtocol"):
            causes += all_invalid(f"{path}.appProtocol", app, names.qualified_name(app))
        if spec.get("type") in ("ClusterIP", "ExternalName") and port.get("nodePort"):
            causes.append(forbidden(f"{path}.nodePort", "may not be used when `type` is 'ClusterIP'"))
    return causes + _twice(ports, "port") + _twice(ports, "nodePort")


def _target_port(path: str, target: int | str | None) -> list[Cause]:
    if isinstance(target, int):
        return all_invalid(f"{path}.targetPort", target, names.port_number(target))
    return all_invalid(f"{path}.targetPort", target or "", names.port_name(target or ""))


def _twice(ports: list[Object], name: str) -> list[Cause]:
    seen: set[tuple[str, int]] = set()
    causes = []
    for index, port in enumerate(ports):
        number = port.get(name)
        if not number:
            continue
        key = (port.get("protocol", "TCP"), number)
        if key in seen:
            value = {"port": number, "protocol": key[0]} if name == "port" else number
            path = f"spec.ports[{index}]" + ("" if name == "port" else ".nodePort")
            causes.append(_duplicate_port(path, value))
        seen.add(key)
    return causes


def _duplicate_port(path: str, value: Object | int) -> Cause:
    if isinstance(value, dict):
        text = f'{{"protocol":"{value["protocol"]}","port":{value["port"]},"targetPort":0}}'
        return Cause("FieldValueDuplicate", f"Duplicate value: {text}", path)
    return duplicate(path, value)


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


def _cluster_ips(spec: Object) -> list[Cause]:
    if spec.get("type") == "ExternalName":
        return []
    causes: list[Cause] = []
    single, addresses = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    if addresses and single != addresses[0]:
        causes.append(invalid("spec.clusterIPs", addresses, "first value must match `clusterIP`"))
    if len(addresses) > 2:
        causes.append(invalid("spec.clusterIPs", addresses, "may only hold up to 2 values"))
    for index, address in enumerate(addresses):
        if address == "None":
            if index or len(addresses) > 1:
                causes.append(invalid(f"spec.clusterIPs[{index}]", "None", "must be a valid IP address"))
        else:
            causes += all_invalid(f"spec.clusterIPs[{index}]", address, address_complaints(address))
    policy = spec.get("ipFamilyPolicy")
    if policy and policy not in _FAMILY_POLICIES:
        causes.append(unsupported("spec.ipFamilyPolicy", policy, _FAMILY_POLICIES))
    families = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        if family not in _FAMILIES:
            causes.append(unsupported(f"spec.ipFamilies[{index}]", family, _FAMILIES))
        elif family in families[:index]:
            causes.append(duplicate(f"spec.ipFamilies[{index}]", family))
    return causes + _family_of_addresses(addresses, families)


def _family_of_addresses(addresses: list[str], families: list[str]) -> list[Cause]:
    causes = []
    for index, (address, family) in enumerate(zip(addresses, families, strict=False)):
        usable = address != "None" and not address_complaints(address)
        if usable and f"IPv{ipaddress.ip_address(address).version}" != family:
            detail = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            causes.append(invalid(f"spec.clusterIPs[{index}]", address, detail))
    return causes


def _external_ips(spec: Object) -> list[Cause]:
    causes = []
    for index, address in enumerate(spec.get("externalIPs") or ()):
        complaints = address_complaints(address) or endpoint_address_complaints(address)
        causes += all_invalid(f"spec.externalIPs[{index}]", address, complaints)
    return causes


def _load_balancer(spec: Object) -> list[Cause]:
    causes: list[Cause] = []
    is_lb = spec.get("type") == "LoadBalancer"
    for index, cidr in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        path = f"spec.loadBalancerSourceRanges[{index}]"
        try:
            ipaddress.ip_network(cidr.strip(), strict=False)
            if "/" not in cidr:
                raise ValueError(cidr)
        except ValueError:
            causes.append(invalid(path, cidr, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"))
    causes += [
        forbidden(f"spec.{name}", "may only be used when `type` is 'LoadBalancer'")
        for name in ("loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "loadBalancerClass")
        if spec.get(name) is not None and not is_lb
    ]
    if is_lb and "allocateLoadBalancerNodePorts" not in spec:
        causes.append(required("spec.allocateLoadBalancerNodePorts"))
    if is_lb and spec.get("loadBalancerClass"):
        causes += all_invalid(
            "spec.loadBalancerClass", spec["loadBalancerClass"], names.qualified_name(spec["loadBalancerClass"])
        )
    return causes


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
    if internal and internal not in _POLICIES:
        causes.append(unsupported("spec.internalTrafficPolicy", internal, _POLICIES))
    health = spec.get("healthCheckNodePort")
    if health and not (spec.get("type") == "LoadBalancer" and external == "Local"):
        detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        causes.append(invalid("spec.healthCheckNodePort", health, detail))
    distribution = spec.get("trafficDistribution")
    if distribution and distribution not in _DISTRIBUTIONS:
        causes.append(unsupported("spec.trafficDistribution", distribution, _DISTRIBUTIONS))
    return causes
