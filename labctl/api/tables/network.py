"""Services, Endpoints, EndpointSlices, Ingresses, NetworkPolicies, and the address kinds."""

from __future__ import annotations

from typing import Any

from labctl.api.objects import Object
from labctl.api.tables.columns import (
    AGE,
    NAME,
    NONE,
    SELECTOR,
    UNKNOWN,
    UNSET,
    Column,
    Printer,
    age_of,
    capped,
    label_selector,
    labels,
    name_of,
)


def _service(service: Object, now_s: float) -> list[Any]:
    spec = service["spec"]
    return [
        name_of(service),
        spec.get("type", ""),
        next(iter(spec.get("clusterIPs") or ()), NONE),
        external_ip(service),
        ports(spec.get("ports") or ()),
        age_of(service, now_s),
        labels(spec.get("selector")),
    ]


def external_ip(service: Object) -> str:
    """EXTERNAL-IP: what the type of Service says, never shortened (the server always prints for `-o wide`)."""
    spec = service["spec"]
    listed = list(spec.get("externalIPs") or ())
    match spec.get("type"):
        case "ExternalName":
            return str(spec.get("externalName", ""))
        case "LoadBalancer":
            ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
            return ",".join(_ingress_points(ingress) + listed) or "<pending>"
        case "ClusterIP" | "NodePort":
            return ",".join(listed) or NONE
    return UNKNOWN


def _ingress_points(ingress: Any) -> list[str]:
    return sorted({point for i in ingress if (point := i.get("ip") or i.get("hostname"))})


def ports(listed: Any) -> str:
    """`80/TCP,8080:30080/TCP` or <none>."""
    texts = [
        f"{p['port']}:{p['nodePort']}/{p['protocol']}" if p.get("nodePort") else f"{p['port']}/{p['protocol']}"
        for p in listed
    ]
    return ",".join(texts) or NONE


def endpoint_addresses(endpoints: Object, port_name: str | None = None) -> list[str]:
    """`10.244.1.2:80` for every ready address and port of an Endpoints object, or those of one named port."""
    found = []
    for subset in endpoints.get("subsets") or ():
        addresses = [a["ip"] for a in subset.get("addresses") or ()]
        if not subset.get("ports"):
            found += addresses  # a headless Service may have no port
        for port in subset.get("ports") or ():
            if port_name is None or port.get("name", "") == port_name:
                found += [join_host_port(a, port["port"]) for a in addresses]
    return found


def join_host_port(address: str, port: int) -> str:
    """`10.0.0.1:80`, `[fd00::1]:80`."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _endpoints(endpoints: Object, now_s: float) -> list[Any]:
    nothing = "" if endpoints.get("subsets") else NONE
    return [name_of(endpoints), capped(endpoint_addresses(endpoints), nothing), age_of(endpoints, now_s)]


def _slice(slice_: Object, now_s: float) -> list[Any]:
    numbers = [str(p["port"]) if p.get("port") is not None else p.get("name", "*") for p in slice_.get("ports") or ()]
    addresses = [a for e in slice_.get("endpoints") or () for a in e.get("addresses") or ()]
    return [
        name_of(slice_),
        slice_.get("addressType", ""),
        capped(numbers, UNSET),
        capped(addresses, UNSET),
        age_of(slice_, now_s),
    ]


def _ingress(ingress: Object, now_s: float) -> list[Any]:
    spec = ingress["spec"]
    balancer = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [
        name_of(ingress),
        spec.get("ingressClassName") or NONE,
        _hosts(spec.get("rules") or []),
        ",".join(_ingress_points(balancer)),
        "80, 443" if spec.get("tls") else "80",
        age_of(ingress, now_s),
    ]


def _hosts(rules: list[Object], limit: int = 3) -> str:
    """Rules without a host are not listed, but they are counted among the "more", as Kubernetes does."""
    hosts: list[str] = []
    for rule in rules:
        if len(hosts) == limit:
            return ",".join(hosts) + f" + {len(rules) - limit} more..."
        if rule.get("host"):
            hosts.append(rule["host"])
    return ",".join(hosts) or "*"


def _ingress_class(class_: Object, now_s: float) -> list[Any]:
    annotations = class_["metadata"].get("annotations") or {}
    default = " (default)" if annotations.get("ingressclass.kubernetes.io/is-default-class") == "true" else ""
    parameters = class_["spec"].get("parameters")
    shown = NONE
    if parameters:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
        shown = f"{parameters['kind']}{group}/{parameters['name']}"
    return [name_of(class_) + default, class_["spec"].get("controller", ""), shown, age_of(class_, now_s)]


def _policy(policy: Object, now_s: float) -> list[Any]:
    return [name_of(policy), label_selector(policy["spec"].get("podSelector") or {}), age_of(policy, now_s)]


def _service_cidr(cidr: Object, now_s: float) -> list[Any]:
    return [name_of(cidr), ",".join(cidr["spec"].get("cidrs") or ()), age_of(cidr, now_s)]


def _ip_address(address: Object, _: float) -> list[Any]:
    parent = address["spec"].get("parentRef")
    shown = NONE
    if parent:
        resource = f"{parent['resource']}.{parent['group']}" if parent.get("group") else parent["resource"]
        shown = "/".join(p for p in (resource.lower(), parent.get("namespace"), parent["name"]) if p)
    return [name_of(address), shown]


SERVICES = Printer(
    (
        NAME,
        Column("Type", "How the Service is reached: ClusterIP, NodePort, LoadBalancer or ExternalName."),
        Column("Cluster-IP", "The Service's address inside the cluster; None for a headless Service."),
        Column("External-IP", "Addresses outside the cluster that lead to the Service."),
        Column("Port(s)", "The Service's ports, each with its node port, if any, and its protocol."),
        AGE,
        SELECTOR,
    ),
    _service,
)
ENDPOINTS = Printer((NAME, Column("Endpoints", "Ready addresses and ports behind the Service."), AGE), _endpoints)
ENDPOINT_SLICES = Printer(
    (
        NAME,
        Column("AddressType", "What the addresses are: IPv4, IPv6 or FQDN."),
        Column("Ports", "The ports that every endpoint of the slice listens on."),
        Column("Endpoints", "Addresses of the endpoints, ready or not."),
        AGE,
    ),
    _slice,
)
INGRESSES = Printer(
    (
        NAME,
        Column("Class", "The IngressClass whose controller is to handle the Ingress."),
        Column("Hosts", "The host names that requests are matched against."),
        Column("Address", "Where a controller has made the Ingress reachable."),
        Column("Ports", "Ports that are open: 443 when TLS is configured."),
        AGE,
    ),
    _ingress,
)
INGRESS_CLASSES = Printer(
    (
        NAME,
        Column("Controller", "The controller that handles Ingresses of the class."),
        Column("Parameters", "An object with further settings for the controller."),
        AGE,
    ),
    _ingress_class,
)
NETWORK_POLICIES = Printer((NAME, Column("Pod-Selector", "The pods that the policy is about."), AGE), _policy)
SERVICE_CIDRS = Printer((NAME, Column("CIDRs", "Ranges from which Services get addresses."), AGE), _service_cidr)
# Kubernetes' rows have a third cell, the age, and no column for it: clients leave it out.
IP_ADDRESSES = Printer((NAME, Column("ParentRef", "The object that has the address.")), _ip_address)
