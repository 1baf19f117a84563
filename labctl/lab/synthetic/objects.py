"""Synthetic Services and their EndpointSlices, by number. Pure."""

from __future__ import annotations

import ipaddress

from labctl.api.objects import Object

NAMESPACE = "labctl-synthetic"
ENDPOINTS = 2
PROBE = "probe"
_OF_SERVICE, _MANAGED_BY = "kubernetes.io/service-name", "endpointslice.kubernetes.io/managed-by"


def name_of(number: int) -> str:
    """`s00017`: names in the order of numbers."""
    return f"s{number:05d}"


def service(name: str) -> Object:
    """A Service of one port and without a selector: its endpoints are nobody else's affair."""
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"ports": ports}}


def endpoint_slice(name: str, addresses: list[str], *, port: int) -> Object:
    """The EndpointSlice of a Service, all its endpoints ready."""
    labels = {_OF_SERVICE: name, _MANAGED_BY: "labctl-bench"}
    return {
        "metadata": {"name": f"{name}-x", "namespace": NAMESPACE, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
    }


def addresses_of(number: int, pod_cidr: str) -> list[str]:
    """Endpoints of a synthetic Service: from the end of the pods' range, which belongs to no node. They repeat."""
    network = ipaddress.ip_network(pod_cidr)
    unused = network.num_addresses // 4
    first = network.num_addresses - 2 - unused
    return [str(network[first + (number * ENDPOINTS + n) % unused]) for n in range(ENDPOINTS)]


def sizes(largest: int, *, steps: int = 3) -> list[int]:
    """Numbers of Services to measure at: up to the largest one, each ten times the one before."""
    found = [largest // 10**step for step in reversed(range(steps))]
    return [size for size in found if size >= 1]
