"""Which EndpointSlices of a Service are made, changed and deleted, so that few of them change. Pure.

Follows the reconciler of k8s.io/endpointslice: an endpoint stays in its slice; new ones fill up slices that change anyway, then
one that has room for all that is left, then new slices; a slice that would be deleted is used for one that would be made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from labctl.api.objects import Object
from labctl.controllers import port_order, slices

MAX_ENDPOINTS = 100
Identity = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """What a slice is to say: one address family, one set of ports."""

    family: str
    ports: list[Object]
    endpoints: list[Object]


@dataclass(slots=True)
class Plan:
    """What has to be done; a slice in `update` is the stored one."""

    create: list[Content] = field(default_factory=list)
    update: list[tuple[Object, Content]] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def plan(service: Object, pods: Iterable[Object], known: Sequence[Object], zones: Mapping[str, str]) -> Plan:
    """From the Service's slices as stored to what its pods are. `zones` has the zone of every node, empty for none."""
    whole = Plan()
    pods = sorted((p for p in pods if _counts(service, p, zones)), key=lambda p: p["metadata"]["name"])
    families = slices.families_of(service)
    whole.delete += [s for s in known if s["addressType"] not in families]
    for family in families:
        part = _plan_family(service, pods, [s for s in known if s["addressType"] == family], zones, family)
        whole.create += part.create
        whole.update += part.update
        whole.delete += part.delete
    return whole


def _counts(service: Object, pod: Object, zones: Mapping[str, str]) -> bool:
    """A pod on a node that is not there has no endpoint, unless all are to be published."""
    published = service["spec"].get("publishNotReadyAddresses") or pod["spec"].get("nodeName") in zones
    return slices.should_be_in(pod) and bool(published)


def _plan_family(
    service: Object, pods: Iterable[Object], known: Sequence[Object], zones: Mapping[str, str], family: str
) -> Plan:
    made = Plan(delete=[s for s in known if not _is_owned(s, service)])
    stored: dict[bytes, list[Object]] = {}
    for slice_ in known:
        if _is_owned(slice_, service):
            stored.setdefault(_text(slice_.get("ports") or []), []).append(slice_)
    labels = slices.slice_labels(service)
    for key, (ports, wanted) in _groups(service, pods, zones, family).items():
        _place(made, Content(family, ports, []), stored.pop(key, []), wanted, labels)
    made.delete += [s for group in stored.values() for s in group]
    if len(made.delete) == len(known) and not made.create:
        # A Service without endpoints has one empty slice, so that watchers know it was looked at.
        made.create.append(Content(family, [], []))
    _reuse(made, service, labels)
    return made


def _groups(
    service: Object, pods: Iterable[Object], zones: Mapping[str, str], family: str
) -> dict[bytes, tuple[list[Object], dict[Identity, Object]]]:
    """Endpoints by their ports: pods whose named ports have different numbers go into different slices."""
    groups: dict[bytes, tuple[list[Object], dict[Identity, Object]]] = {}
    for pod in pods:
        ports = sorted(slices.endpoint_ports(service, pod), key=port_order.of_slice)
        _, endpoints = groups.setdefault(_text(ports), (ports, {}))
        zone = zones.get(pod["spec"].get("nodeName") or "", "")
        endpoint = slices.endpoint_of(service, pod, family, zone)
        if endpoint is not None:
            endpoints[_identity(endpoint)] = endpoint
    return groups


def _place(
    made: Plan, content: Content, stored: Sequence[Object], wanted: dict[Identity, Object], labels: dict[str, str]
) -> None:
    """Endpoints of one set of ports: those that are stored stay where they are."""
    kept: dict[str, list[Object]] = {}
    changed: list[Object] = []
    unchanged: list[Object] = []
    left = dict(wanted)
    for slice_ in stored:
        present = slice_.get("endpoints") or []
        staying = [e for old in present if (e := left.pop(_identity(old), None)) is not None]
        if present and not staying:
            made.delete.append(slice_)
            continue
        same = staying == present and slice_["metadata"].get("labels") == labels
        (unchanged if same else changed).append(slice_)
        kept[slice_["metadata"]["name"]] = staying
    rest = list(left.values())
    for slice_ in sorted(changed, key=lambda s: -len(kept[s["metadata"]["name"]])):
        _fill(kept[slice_["metadata"]["name"]], rest)
    while rest:
        room = _with_room(unchanged, kept, len(rest))
        if room is None:
            made.create.append(Content(content.family, content.ports, _fill([], rest)))
        else:
            unchanged.remove(room)
            changed.append(room)
            _fill(kept[room["metadata"]["name"]], rest)
    for slice_ in changed:
        made.update.append((slice_, Content(content.family, content.ports, kept[slice_["metadata"]["name"]])))


def _fill(endpoints: list[Object], rest: list[Object]) -> list[Object]:
    room = MAX_ENDPOINTS - len(endpoints)
    endpoints += rest[:room]
    del rest[:room]
    return endpoints


def _with_room(unchanged: Sequence[Object], kept: Mapping[str, list[Object]], number: int) -> Object | None:
    """The fullest slice that can take so many more."""
    if number >= MAX_ENDPOINTS:
        return None
    fitting = [s for s in unchanged if len(kept[s["metadata"]["name"]]) + number <= MAX_ENDPOINTS]
    return max(fitting, key=lambda s: len(kept[s["metadata"]["name"]]), default=None)


def _reuse(made: Plan, service: Object, labels: dict[str, str]) -> None:
    """Slices that would go become those that would come; one that is right already is left alone."""
    for slice_ in [s for s in made.delete if _is_owned(s, service)]:
        if not made.create:
            return
        content = made.create.pop()
        made.delete.remove(slice_)
        if not slices.same_content(slice_, content.ports, content.endpoints, labels):
            made.update.append((slice_, content))


def _is_owned(slice_: Object, service: Object) -> bool:
    """Slices of an earlier Service of this name are not ours: the garbage collector is after them."""
    owners = slice_["metadata"].get("ownerReferences") or ()
    return any(o["uid"] == service["metadata"]["uid"] and o["kind"] == "Service" for o in owners)


def _identity(endpoint: Object) -> Identity:
    target = endpoint.get("targetRef") or {}
    about = (endpoint.get("hostname", ""), target.get("namespace", ""), target.get("name", ""))
    return (*about, *sorted(endpoint["addresses"]))


def _text(ports: list[Object]) -> bytes:
    return orjson.dumps(ports, option=orjson.OPT_SORT_KEYS)
