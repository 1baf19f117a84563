"""Recordings of kube-proxy 1.36: the objects of a case and the rules it made of them.

The recorded cluster had one node, node1 (10.250.0.10), pods 10.245.0.0/16, and the Services kubernetes and kube-dns. The
recordings of IPv6 are from a dual-stack lab, on its node-1.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from labctl.api.objects import Object
from labctl.proxy.model import NodeView, ServicePort, group_slices, service_ports

GOLDEN = Path(__file__).parents[1] / "golden" / "kube-proxy"
VIEW = NodeView("node1", "10.250.0.10", "10.245.0.0/16", "10.96.0.0/12")


VIEW6 = NodeView("node-1", "fd00:192:168:123::b", "fd00:10:244::/64", "fd00:10:96::/108")


def load6(mode: str) -> tuple[list[ServicePort], str]:
    """Service ports and the recorded rules of IPv6."""
    lines = (GOLDEN / "ipv6" / f"{mode}.txt").read_text().splitlines()
    objects: list[Object] = [json.loads(line[2:]) for line in lines if line.startswith("# {")]
    slices = group_slices(o for o in objects if o["kind"] == "EndpointSlice")
    services = [o for o in objects if o["kind"] == "Service"]
    ports = service_ports(services, slices, node=VIEW6.name, ip_family="IPv6")
    return ports, "\n".join(line for line in lines if not line.startswith("#"))


def cases(mode: str) -> list[Any]:
    """The recordings of a proxy mode as parameters."""
    return [pytest.param(path, id=path.stem) for path in sorted((GOLDEN / mode).glob("*.txt"))]


def load(path: Path) -> tuple[list[ServicePort], str]:
    """Service ports and the recorded rules of a case."""
    services, slices = _system_objects()
    lines = path.read_text().splitlines()
    status = re.search(r"ingress = (\S+)", lines[0])
    for line in lines:
        if not line.startswith("# {"):
            continue
        obj: dict[str, Any] = json.loads(line[2:])
        if obj["kind"] == "Service":
            if status:
                obj["status"] = {"loadBalancer": {"ingress": [{"ip": status[1]}]}}
            services.append(obj)
        else:
            slices.append(obj)
    ports = service_ports(services, group_slices(slices), node=VIEW.name)
    return ports, "\n".join(line for line in lines if not line.startswith("#"))


def _system_objects() -> tuple[list[Object], list[Object]]:
    def svc(ns: str, name: str, ip: str, *ports: tuple[str, str, int]) -> Object:
        listed = [{"name": n, "protocol": p, "port": number} for n, p, number in ports]
        return {"metadata": {"namespace": ns, "name": name}, "spec": {"clusterIP": ip, "ports": listed}}

    def slc(ns: str, name: str, ip: str, node: str, *ports: tuple[str, str, int]) -> Object:
        listed = [{"name": n, "protocol": p, "port": number} for n, p, number in ports]
        return {
            "metadata": {"namespace": ns, "name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [ip], "conditions": {"ready": True}, "nodeName": node}],
            "ports": listed,
        }

    dns = (("dns", "UDP", 53), ("dns-tcp", "TCP", 53), ("metrics", "TCP", 9153))
    return (
        [
            svc("default", "kubernetes", "10.96.0.1", ("https", "TCP", 443)),
            svc("kube-system", "kube-dns", "10.96.0.10", *dns),
        ],
        [
            slc("default", "kubernetes", "10.250.0.10", "", ("https", "TCP", 6443)),
            slc("kube-system", "kube-dns", "10.245.0.2", "node1", *dns),
        ],
    )
