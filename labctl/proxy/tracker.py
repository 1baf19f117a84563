"""Service ports of one node, kept per Service while Services and EndpointSlices come and go.

Keeps what rules are made of and nothing else of the objects, and remembers which Services changed since somebody last asked,
so that one change costs one Service's work, however many there are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from labctl.api.objects import Object, ObjectKey, key_of
from labctl.proxy.model import (
    NodeView,
    ParsedSlice,
    ServicePort,
    parse_service,
    parse_slice,
    service_of,
    with_endpoints,
)


def compact_service(service: Object, *, ip_families: Sequence[str] = ("IPv4",)) -> Object:
    """What is kept of a Service: its name, version and service ports. Half a kilobyte instead of ten."""
    ports = tuple(p for ip_family in ip_families for p in parse_service(service, ip_family=ip_family))
    return {"metadata": _stub(service), "ports": ports}


def compact_slice(slice_: Object, *, node: str, ip_families: Sequence[str] = ("IPv4",)) -> Object:
    """What is kept of an EndpointSlice: its name, version, its Service and the endpoints by port."""
    endpoints = parse_slice(slice_, node=node, ip_families=ip_families)
    return {"metadata": _stub(slice_), "service": service_of(slice_), "endpoints": endpoints}


def _stub(obj: Object) -> Object:
    meta = obj["metadata"]
    return {
        "namespace": sys.intern(meta["namespace"]),
        "name": meta["name"],
        "resourceVersion": meta["resourceVersion"],
    }


class Tracker:
    """All Services of the cluster as one node sees them. Takes compact objects."""

    def __init__(self, view: NodeView) -> None:
        self.view = view
        self._services: dict[ObjectKey, tuple[ServicePort, ...]] = {}
        self._slices: dict[ObjectKey, dict[str, ParsedSlice]] = {}
        self._changed: set[ObjectKey] = set()
        self._health_checked: set[ObjectKey] = set()

    def set_service(self, key: ObjectKey, service: Object | None) -> bool:
        """A Service as it is now; None when it is gone. Returns whether that matters to rules."""
        ports = service["ports"] if service else ()
        if ports == self._services.get(key, ()):
            return False
        if ports:
            self._services[key] = ports
        else:
            del self._services[key]
        if any(p.health_check_port for p in ports):
            self._health_checked.add(key)
        else:
            self._health_checked.discard(key)
        self._changed.add(key)
        return True

    def set_slice(self, old: Object | None, new: Object | None) -> bool:
        """An EndpointSlice as it was and is. Returns whether that matters to rules."""
        changed = False
        if old is not None and (new is None or old["service"] != new["service"]):
            changed = self._put_slice(old["service"], key_of(old).name, None)
        if new is not None:
            changed = self._put_slice(new["service"], key_of(new).name, new["endpoints"]) or changed
        return changed

    def _put_slice(self, service: ObjectKey | None, name: str, parsed: ParsedSlice | None) -> bool:
        if service is None:
            return False
        known = self._slices.get(service, {})
        if known.get(name) == parsed:
            return False
        if parsed is not None:
            self._slices.setdefault(service, known)[name] = parsed
        else:
            del known[name]
            if not known:
                del self._slices[service]
        self._changed.add(service)
        return True

    def set_zone(self, zone: str) -> bool:
        """The zone that the node is in. Returns whether that is new: all rules may depend on it."""
        if zone == self.view.zone:
            return False
        self.view = replace(self.view, zone=zone)
        return True

    def take_changed(self) -> set[ObjectKey]:
        """The Services that changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def ports(self, key: ObjectKey) -> tuple[ServicePort, ...]:
        """The present service ports of one Service with their endpoints; none when it is gone."""
        slices = self._slices.get(key, {}).values()
        return tuple(with_endpoints(p, slices) for p in self._services.get(key, ()))

    def all(self) -> Iterator[tuple[ObjectKey, tuple[ServicePort, ...]]]:
        """Every Service with its ports, in the order of their names."""
        return ((key, self.ports(key)) for key in sorted(self._services))

    def health_checked(self) -> list[ServicePort]:
        """The service ports that a load balancer asks about (healthCheckNodePort)."""
        return [p for key in self._health_checked for p in self.ports(key)]
