"""Services, Endpoints, EndpointSlices, Ingresses, NetworkPolicies."""

from __future__ import annotations

from typing import Any

from labctl.api import selectors
from labctl.api.objects import Object
from labctl.api.tables.columns import NONE, Printer, age_of, capped, columns, labels

_LB_WIDTH = 16


def _service(service: Object, now_s: float) -> list[Any]:
    spec = service["spec"]
    return [
        service["metadata"]["name"],
        spec.get("type", ""),
        next(iter(spec.get("clusterIPs") or ()), NONE),
        external_ip(service),
        ports(spec.get("ports") or ()),
        age_of(service, now_s),
        labels(spec.get("selector")),
    ]


def external_ip(service: Object, *, wide: bool = False) -> str:
    """EXTERNAL-IP: getServiceExternalIP."""
    spec = service["spec"]
    listed = list(spec.get("externalIPs") or ())
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    if spec.get("type") == "LoadBalancer":
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        text = ",".join(sorted({i.get("ip") or i.get("hostname") or "" for i in ingress}))
        if not wide and len(text) > _LB_WIDTH:
            text = text[: _LB_WIDTH - 3] + "..."
        found = [text] if text else []
        return ",".join(found + listed) or "<pending>"
    return ",".join(listed) or NONE


def ports(listed: Any) -> str:
    """`80/TCP,8080:30080/TCP` or <none>."""
    texts = [
        f"{p['port']}:{p['nodePort']}/{p['protocol']}" if p.get("nodePort") else f"{p['port']}/{p['protocol']}"
        for p in listed
    ]
    return ",".join(texts) or NONE


def _endpoints(endpoints: Object, now_s: float) -> list[Any]:
    pairs = []
    for subset in endpoints.get("subsets") or ():
        addresses = [a["ip"] for a in subset.get("addresses") or ()]
        if not subset.get("ports"):
            pairs += addresses
        for port in subset.get("ports") or ():
            pairs += [f"[{a}]:{port['port']}" if ":" in a else f"{a}:{port['port']}" for a in addresses]
    return [endpoints["metadata"]["name"], capped(pairs) or NONE, age_of(endpoints, now_s)]


def _slice(slice_: Object, now_s: float) -> list[Any]:
    listed = slice_.get("ports") or ()
    numbers = [str(p["port"]) if p.get("port") is not None else "*" for p in listed]
    addresses = [a for e in slice_.get("endpoints") or () for a in e.get("addresses") or ()]
    return [
        slice_["metadata"]["name"],
        slice_.get("addressType", ""),
        capped(numbers) or "<unset>",
        capped(addresses) or "<unset>",
        age_of(slice_, now_s),
    ]


def _ingress(ingress: Object, now_s: float) -> list[Any]:
    spec = ingress["spec"]
    hosts = [r["host"] for r in spec.get("rules") or () if r.get("host")]
    balancer = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [
        ingress["metadata"]["name"],
        spec.get("ingressClassName") or NONE,
        capped(hosts) or "*",
        ",".join(i.get("ip") or i.get("hostname") or "" for i in balancer),
        "80, 443" if spec.get("tls") else "80",
        age_of(ingress, now_s),
    ]


def _policy(policy: Object, now_s: float) -> list[Any]:
    selector = str(selectors.from_object(policy["spec"].get("podSelector") or {})) or NONE
    return [policy["metadata"]["name"], selector, age_of(policy, now_s)]


SERVICES = Printer(columns("Type", "Cluster-IP", "External-IP", "Port(s)", "Age", wide=("Selector",)), _service)
ENDPOINTS = Printer(columns("Endpoints", "Age"), _endpoints)
ENDPOINT_SLICES = Printer(columns("AddressType", "Ports", "Endpoints", "Age"), _slice)
INGRESSES = Printer(columns("Class", "Hosts", "Address", "Ports", "Age"), _ingress)
NETWORK_POLICIES = Printer(columns("Pod-Selector", "Age"), _policy)
