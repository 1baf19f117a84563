"""Who has which ClusterIP and nodePort, kept in step with the stored Services.

Allocation happens between validation and the write; `plan` takes, `undo` gives back when the write does not happen, and
`forget` frees what a Service no longer has. Follows pkg/registry/core/service/storage/alloc.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import orjson

from labctl.addresses.allocators import AllocationError, ClusterIPs, NodePorts
from labctl.api import kinds, status
from labctl.api.objects import Object
from labctl.api.validation import services
from labctl.api.validation.causes import invalid
from labctl.apiserver import service_fields as fields


@dataclass(slots=True)
class Taken:
    """What one write has taken, to be given back when it fails or is a dry run."""

    undo: list[Callable[[], None]] = field(default_factory=list)

    def give_back(self) -> None:
        """Free everything this write has taken."""
        for step in reversed(self.undo):
            step()
        self.undo.clear()


class ServiceAllocations:
    """The allocators of a lab."""

    def __init__(self, cidrs: dict[str, str], node_ports: tuple[int, int]) -> None:
        """`cidrs` maps IPv4 and IPv6, the default family first, to service ranges."""
        self._ips = {family: ClusterIPs(cidr) for family, cidr in cidrs.items() if cidr}
        self._ports = NodePorts(*node_ports)

    def load(self, services: Iterable[Object]) -> None:
        """Take what stored Services have."""
        for service in services:
            for address in _addresses(service):
                with suppress(AllocationError):  # a range that was changed by hand must not stop the start
                    self._of(address).take(address)
            for port in _node_ports(service):
                with suppress(AllocationError):
                    self._ports.take(port)

    def allocate(self, new: Object, old: Object | None) -> Taken:
        """Fill in addresses and ports of a Service that is about to be written, in place. Raises ApiError 422."""
        taken = Taken()
        try:
            if fields.needs_cluster_ip(new) and not fields.is_headless(new):
                self._cluster_ips(new, old, taken)
            self._service_ports(new, old, taken)
        except status.ApiError:
            taken.give_back()
            raise
        return taken

    def forget(self, old: Object, new: Object | None) -> None:
        """Free what `old` had and `new` (None: deleted) has no more; called after the write."""
        kept_ips = set(_addresses(new)) if new else set()
        for address in _addresses(old):
            if address not in kept_ips:
                self._of(address).release(address)
        kept_ports = set(_node_ports(new)) if new else set()
        for port in set(_node_ports(old)) - kept_ports:
            self._ports.release(port)

    def initialise(self, service: Object, old: Object | None) -> None:
        """Default ipFamilyPolicy and ipFamilies before validation, in place (initIPFamilyFields). Raises ApiError 422."""
        if not fields.needs_cluster_ip(service):
            return
        spec = service["spec"]
        fields.default_family_policy(spec, old)
        _raise(service, services.cluster_ips(spec) or fields.wrong_number(spec, old["spec"] if old else {}))
        families = list(spec.get("ipFamilies") or ())
        _raise(service, self._foreign(spec, len(families)))
        families += [_family(a) for a in _addresses(service)[len(families) :]]
        families = families or [next(iter(self._ips))]
        many = spec["ipFamilyPolicy"] != "SingleStack"
        # Endpoints of a headless Service without selector are somebody else's, of whatever family.
        free = spec.get("clusterIP") == fields.HEADLESS and not spec.get("selector")
        if not free:
            _raise(service, self._not_configured(spec, families))
        spec["ipFamilies"] = _both(families) if many and (free or len(self._ips) > 1) else families

    def _foreign(self, spec: Object, told: int) -> list[status.Cause]:
        """Addresses of a family that the cluster has not; that of the first `told` was named and is looked at by its name."""
        addresses = spec.get("clusterIPs") or ()
        return [
            invalid(f"spec.clusterIPs[{i}]", addresses, f"{_family(address)} is not configured on this cluster")
            for i, address in enumerate(addresses)
            if i >= told and address not in ("", fields.HEADLESS) and _family(address) not in self._ips
        ]

    def _not_configured(self, spec: Object, families: list[str]) -> list[status.Cause]:
        causes = []
        if spec["ipFamilyPolicy"] == "RequireDualStack" and len(self._ips) < 2:
            detail = "this cluster is not configured for dual-stack services"
            causes.append(invalid("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], detail))
        return causes + [
            invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
            for index, family in enumerate(families)
            if family not in self._ips
        ]

    def _cluster_ips(self, service: Object, old: Object | None, taken: Taken) -> None:
        spec = service["spec"]
        had = set(_addresses(old)) if old else set()
        given, families = list(spec.get("clusterIPs") or ()), spec["ipFamilies"]
        for address in given:
            if address not in had:
                self._take(service, address, [*given, *[""] * (len(families) - len(given))], taken)
        given += [self._next(family, taken) for family in families[len(given) :]]
        spec["clusterIPs"] = given[: len(families)]
        spec["clusterIP"] = spec["clusterIPs"][0]

    def _next(self, family: str, taken: Taken) -> str:
        try:
            address = self._ips[family].next()
        except AllocationError as error:
            raise status.internal(f"failed to allocate a serviceIP: {error}") from error
        taken.undo.append(lambda: self._ips[family].release(address))
        return address

    def _take(self, service: Object, address: str, addresses: list[str], taken: Taken) -> None:
        allocator = self._of(address)
        try:
            allocator.take(address)
        except AllocationError as error:
            raise _invalid(
                service, "spec.clusterIPs", f"{_json(addresses)}: failed to allocate IP {address}: {error}"
            ) from None
        taken.undo.append(lambda: allocator.release(address))

    def _service_ports(self, service: Object, old: Object | None, taken: Taken) -> None:
        had = set(_node_ports(old)) if old else set()
        mine: set[int] = set()
        if fields.needs_node_port(service) or any(p.get("nodePort") for p in service["spec"].get("ports") or ()):
            self._explicit_ports(service, had, mine, taken)
        if fields.needs_node_port(service):
            for port in service["spec"].get("ports") or ():
                if not port.get("nodePort"):
                    port["nodePort"] = self._twin(service, port) or self._free_port(taken)
        if fields.needs_health_check_node_port(service):
            self._health_check_port(service, had, taken)

    def _explicit_ports(self, service: Object, had: set[int], mine: set[int], taken: Taken) -> None:
        for index, port in enumerate(service["spec"].get("ports") or ()):
            number = port.get("nodePort")
            if not number or number in had or number in mine:
                continue
            try:
                self._ports.take(number)
            except AllocationError as error:
                raise _invalid(service, f"spec.ports[{index}].nodePort", f"{number}: {error}") from None
            mine.add(number)
            taken.undo.append(lambda number=number: self._ports.release(number))  # type: ignore[misc]  # bound now

    def _twin(self, service: Object, port: Object) -> int | None:
        """The nodePort of the same port number with another protocol: DNS wants one nodePort for UDP and TCP."""
        for other in service["spec"]["ports"]:
            if other is not port and other["port"] == port["port"] and other.get("nodePort"):
                return int(other["nodePort"])
        return None

    def _free_port(self, taken: Taken) -> int:
        try:
            number = self._ports.next()
        except AllocationError as error:
            raise status.internal(f"failed to allocate a nodePort: {error}") from error
        taken.undo.append(lambda: self._ports.release(number))
        return number

    def _health_check_port(self, service: Object, had: set[int], taken: Taken) -> None:
        number = service["spec"].get("healthCheckNodePort")
        if not number:
            service["spec"]["healthCheckNodePort"] = self._free_port(taken)
        elif number not in had:
            try:
                self._ports.take(number)
            except AllocationError as error:
                raise status.internal(f"failed to allocate requested HealthCheck NodePort {number}: {error}") from None
            taken.undo.append(lambda: self._ports.release(number))

    def _of(self, address: str) -> ClusterIPs:
        return self._ips.get(_family(address)) or next(iter(self._ips.values()))


def _family(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def _addresses(service: Object) -> list[str]:
    return [a for a in service["spec"].get("clusterIPs") or () if a and a != fields.HEADLESS]


def _node_ports(service: Object) -> list[int]:
    ports = [p["nodePort"] for p in service["spec"].get("ports") or () if p.get("nodePort")]
    health = service["spec"].get("healthCheckNodePort")
    return [*ports, health] if health else ports


def _both(families: list[str]) -> list[str]:
    return families if len(families) > 1 else [families[0], "IPv6" if families[0] == "IPv4" else "IPv4"]


def _raise(service: Object, causes: list[status.Cause]) -> None:
    if causes:
        raise status.invalid(kinds.SERVICE, service["metadata"].get("name", ""), causes)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _invalid(service: Object, path: str, text: str) -> status.ApiError:
    cause = status.Cause("FieldValueInvalid", f"Invalid value: {text}", path)
    return status.invalid(kinds.SERVICE, service["metadata"].get("name", ""), [cause])
