"""Services: pkg/api/service/warnings.go."""

from __future__ import annotations

from labctl.api.objects import Object
from labctl.api.warnings import addresses

_TOPOLOGY_HINTS = "service.kubernetes.io/topology-aware-hints"


def of(service: Object) -> list[str]:
    """Fields that are ignored or on their way out."""
    spec, found = service["spec"], list[str]()
    if _TOPOLOGY_HINTS in (service["metadata"].get("annotations") or {}):
        mode = "service.kubernetes.io/topology-mode"
        found.append(f"annotation {_TOPOLOGY_HINTS} is deprecated, please use {mode} instead")
    external, is_name = spec.get("externalIPs") or [], spec.get("type") == "ExternalName"
    headless = spec.get("type") == "ClusterIP" and spec.get("clusterIP") == "None"
    found += addresses.warnings("spec.clusterIPs", [a for a in spec.get("clusterIPs") or () if a != "None"])
    found += _ignored_when_headless(spec) if headless else []
    found += addresses.warnings("spec.externalIPs", external)
    if external and not headless and not is_name:
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if external and is_name:
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if spec.get("externalName") and not is_name:
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


def _ignored_when_headless(spec: Object) -> list[str]:
    given = {
        "loadBalancerIP": spec.get("loadBalancerIP"),
        "externalIPs": spec.get("externalIPs"),
        "SessionAffinity": spec.get("sessionAffinity") != "None",
    }
    return [f"spec.{name} is ignored for headless services" for name, value in given.items() if value]
