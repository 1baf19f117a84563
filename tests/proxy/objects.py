"""Services and EndpointSlices for tests.

The addresses: node-1 is 192.168.123.11 on the LAN and 10.244.1.1 among the pods; node N owns 10.244.N.0/24; Services have
10.96.0.0/12; 203.0.113.50 is a load balancer's address, 203.0.113.77 an external IP; 198.51.100.7 is a client outside.
"""

from __future__ import annotations

from typing import Any

from labctl.api.objects import Object
from labctl.proxy.model import NodeView, ServicePort, group_slices, service_ports
from labctl.proxy.tracker import compact_service, compact_slice

NODE, NODE_IP, NODE_POD_IP = "node-1", "192.168.123.11", "10.244.1.1"
POD_CIDR, SERVICE_CIDR = "10.244.0.0/16", "10.96.0.0/12"
CLUSTER_IP, NODE_PORT, LOAD_BALANCER_IP, EXTERNAL_IP = "10.96.1.1", 30080, "203.0.113.50", "203.0.113.77"
LOCAL, REMOTE = "10.244.1.7:8080", "10.244.2.8:8080"
OUTSIDE, POD_HERE, POD_ELSEWHERE = "198.51.100.7", "10.244.1.20", "10.244.2.20"
ADDRESSES = frozenset({NODE_IP, NODE_POD_IP, "127.0.0.1"})

VIEW = NodeView(NODE, NODE_IP, POD_CIDR, SERVICE_CIDR)

READY = {"ready": True, "serving": True, "terminating": False}
TERMINATING = {"ready": False, "serving": True, "terminating": True}
GONE = {"ready": False, "serving": False, "terminating": True}


def service(name: str = "web", *, namespace: str = "default", address: str = CLUSTER_IP, **spec: Any) -> Object:
    """A Service of one TCP port 80 unless told otherwise."""
    body = {"clusterIP": address, "clusterIPs": [address], "ports": [{"port": 80, "protocol": "TCP"}], **spec}
    return {"metadata": {"namespace": namespace, "name": name}, "spec": body}


def reachable_everywhere(**spec: Any) -> Object:
    """A Service with a ClusterIP, a NodePort, a load balancer's address and an external IP."""
    ports = [{"port": 80, "protocol": "TCP", "nodePort": NODE_PORT}]
    found = service(type="LoadBalancer", ports=ports, externalIPs=[EXTERNAL_IP], **spec)
    found["status"] = {"loadBalancer": {"ingress": [{"ip": LOAD_BALANCER_IP}]}}
    return found


def endpoint(address: str, conditions: Object | None = None, *, node: str | None = None, **more: Any) -> Object:
    """An endpoint; on node-1 or node-2 by its address unless told otherwise."""
    node = node or f"node-{address.split('.')[2]}"
    return {"addresses": [address], "conditions": conditions or READY, "nodeName": node, **more}


def endpoint_slice(
    *endpoints: Object, of: str = "web", namespace: str = "default", name: str = "", **more: Any
) -> Object:
    """An EndpointSlice of port 8080."""
    meta = {"namespace": namespace, "name": name or f"{of}-1", "labels": {"kubernetes.io/service-name": of}}
    body = {"metadata": meta, "addressType": "IPv4", "ports": [{"name": "", "port": 8080, "protocol": "TCP"}]}
    return {**body, "endpoints": list(endpoints), **more}


def compact(obj: Object) -> Object:
    """What the agent keeps of a Service or EndpointSlice."""
    versioned = {**obj, "metadata": {"resourceVersion": "1", **obj["metadata"]}}
    return compact_slice(versioned, node=NODE) if "addressType" in obj else compact_service(versioned)


def ports_of(*objects: Object) -> list[ServicePort]:
    """Service ports of Services and slices on node-1."""
    slices = [o for o in objects if "addressType" in o]
    return service_ports([o for o in objects if "spec" in o], group_slices(slices), node=NODE)
