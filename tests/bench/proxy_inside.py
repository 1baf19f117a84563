"""The proxy of one node at many Services, in this network namespace: run by tests.bench.proxy in a container.

`python proxy_inside.py MODE SERVICES CHANGES` prints one JSON object: seconds of a full sync and of single changes (from the
event to rules in the kernel), and resident memory before, during and after.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import json
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from labctl.agents import node as agent
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.proxy.model import NodeView
from labctl.proxy.runner import run
from labctl.proxy.sync import Syncer
from labctl.proxy.tracker import Tracker, compact_service, compact_slice

VIEW = NodeView("node-1", "192.0.2.1", "10.244.0.0/16", "10.96.0.0/12")


def service(number: int) -> Object:
    """A Service as the API server stores it."""
    address = str(ipaddress.ip_address("10.96.16.0") + number)
    meta = {"namespace": "default", "name": f"s{number}", "resourceVersion": str(number), "uid": f"uid-{number}"}
    spec = {
        "clusterIP": address,
        "clusterIPs": [address],
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}],
        "selector": {"app": f"s{number}"},
        "type": "ClusterIP",
        "internalTrafficPolicy": "Cluster",
        "sessionAffinity": "None",
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec, "status": {"loadBalancer": {}}}


def endpoint_slice(number: int, *, second: int = 8) -> Object:
    """Its EndpointSlice with one endpoint on each of two nodes; `second` tells apart what changes."""
    labels = {"kubernetes.io/service-name": f"s{number}"}
    meta = {"namespace": "default", "name": f"s{number}-x", "resourceVersion": "1", "labels": labels}
    conditions = {"ready": True, "serving": True, "terminating": False}
    endpoints = [
        {"addresses": [f"10.244.{node}.{host}"], "nodeName": f"node-{node}", "conditions": conditions}
        for node, host in ((1, number % 250 + 2), (2, (number + second) % 250 + 2))
    ]
    ports = [{"name": "", "port": 8080, "protocol": "TCP"}]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": meta,
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports,
    }


def resident_mib(*, peak: bool = False) -> float:
    """VmRSS or VmHWM of this process."""
    field = "VmHWM" if peak else "VmRSS"
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


class Node:
    """The proxy's part of a node agent, with what its informers keep."""

    def __init__(self, mode: str) -> None:
        self.tracker = Tracker(VIEW)
        self.syncer = Syncer(self.tracker, agent.backend([VIEW], mode), run)  # type: ignore[arg-type]  # from the command line
        self.kept: dict[ObjectKey, Object] = {}

    def put(self, obj: Object) -> None:
        """An object arrives as JSON."""
        obj = orjson.loads(orjson.dumps(obj))
        if "addressType" in obj:
            fresh = compact_slice(obj, node=VIEW.name)
            self.tracker.set_slice(self.kept.get(key_of(fresh)), fresh)
        else:
            fresh = compact_service(obj)
            self.tracker.set_service(key_of(fresh), fresh)
        self.kept[key_of(fresh)] = fresh

    async def timed(self, *objects: Object) -> float:
        """Seconds from the arrival of objects to rules in the kernel."""
        start = time.monotonic()
        for obj in objects:
            self.put(obj)
        await self.syncer.sync()
        return time.monotonic() - start


async def measure(mode: str, count: int, changes: int) -> dict[str, Any]:
    """All figures of one mode."""
    idle = resident_mib()
    node = Node(mode)
    for number in range(count):
        node.put(service(number))
        node.put(endpoint_slice(number))
    full = await node.timed()
    gc.collect()
    gc.freeze()
    turns = range(changes)
    return {
        "mode": mode,
        "services": count,
        "full_s": full,
        "change_s": [await node.timed(endpoint_slice(t * 7 % count, second=9 + t)) for t in turns],
        "addition_s": [await node.timed(service(count + t), endpoint_slice(count + t)) for t in turns],
        "idle_mib": idle,
        "after_mib": resident_mib(),
        "peak_mib": resident_mib(peak=True),
    }


if __name__ == "__main__":
    if sys.version_info < (3, 12):
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    print(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
