"""What packet filter rules need to know of pods. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

from labctl.api.objects import Object
from labctl.proxy.family import Family


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port of the node that belongs to a pod. Protocols are lower case, as rules have them."""

    protocol: str
    port: int
    container_port: int
    address: str = ""  # only at this address of the node


@dataclass(frozen=True, slots=True, eq=False)
class Pod:
    """A pod with an address of its own. `ports` are its named ports: (name, protocol, number)."""

    namespace: str
    name: str
    address: str
    node: str
    labels: Mapping[str, str]
    ports: tuple[tuple[str, str, int], ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    also: tuple[str, ...] = ()  # its addresses in the other family

    def of(self, family: Family) -> Pod | None:
        """The pod with its address of a family; None when it has none."""
        address = next(filter(family.owns, (self.address, *self.also)), None)
        return replace(self, address=address, also=()) if address else None


def parse_pod(pod: Object) -> Pod | None:
    """A pod that packets may come from or go to; None when it has no address of its own, or has ended."""
    status, spec, meta = pod.get("status") or {}, pod["spec"], pod["metadata"]
    if not status.get("podIP") or spec.get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    listed = [p for c in spec.get("containers") or () for p in c.get("ports") or ()]
    return Pod(
        sys.intern(meta["namespace"]),
        meta["name"],
        status["podIP"],
        sys.intern(spec.get("nodeName") or ""),
        meta.get("labels") or {},
        tuple((p["name"], _protocol(p), p["containerPort"]) for p in listed if p.get("name")),
        tuple(_host_port(p) for p in listed if p.get("hostPort")),
        tuple(a["ip"] for a in status.get("podIPs") or () if a["ip"] != status["podIP"]),
    )


def compact_pod(pod: Object) -> Object:
    """What is kept of a pod: its name, version and what rules need."""
    meta = pod["metadata"]
    stub = {"namespace": meta["namespace"], "name": meta["name"], "resourceVersion": meta["resourceVersion"]}
    return {"metadata": stub, "pod": parse_pod(pod)}


def _protocol(port: Object) -> str:
    return sys.intern(port.get("protocol", "TCP").lower())


def _host_port(port: Object) -> HostPort:
    address = port.get("hostIP") or ""
    everywhere = ("", "0.0.0.0", "::")  # noqa: S104  # what a manifest may say, nothing listens here
    return HostPort(_protocol(port), port["hostPort"], port["containerPort"], "" if address in everywhere else address)
