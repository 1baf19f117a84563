"""Hand-made Endpoints of selector-less Services are mirrored into EndpointSlices (pkg/controller/endpointslicemirroring)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from labctl.api import kinds
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.api.status import ApiError
from labctl.controllers import port_order, slices, subsets
from labctl.controllers.context import Context, KeyController, owner_reference, with_kind
from labctl.controllers.namespaces import is_terminating, suppress_gone

_CONTROLLER = "endpointslicemirroring-controller.k8s.io"
_COMPONENT = "endpoint-slice-mirroring-controller"
_SKIP = "endpointslice.kubernetes.io/skip-mirror"
_LEADER = "control-plane.alpha.kubernetes.io/leader"
_NOT_MIRRORED = (
    "endpoints.kubernetes.io/last-change-trigger-time",
    "kubectl.kubernetes.io/last-applied-configuration",
)
MAX_ADDRESSES = 1000  # of one subset


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What one slice is to say."""

    family: str
    ports: list[Object]
    endpoints: list[Object]


class Mirroring(KeyController):
    """Keys are Endpoints."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._recorder = context.recorder(_COMPONENT)
        for kind in (kinds.ENDPOINTS, kinds.SERVICE):
            context.on_change(kind, self.enqueue)
        context.on_change(kinds.ENDPOINT_SLICE, self._slice_changed)

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        slice_ = new or old or {}
        labels = slice_["metadata"].get("labels") or {}
        if labels.get(slices.MANAGED_BY) == _CONTROLLER:
            self.queue.add(ObjectKey(key_of(slice_).namespace, labels.get(slices.SERVICE_NAME, "")))

    async def reconcile(self, key: ObjectKey) -> None:
        """Make the mirrored slices say what the Endpoints say."""
        endpoints = self.context.get(kinds.ENDPOINTS, key)
        service = self.context.get(kinds.SERVICE, key)
        known = self._known(key)
        if endpoints is None or service is None or not _is_mirrored(endpoints, service):
            await self._delete(known)
            return
        wanted, skipped = mirror(endpoints)
        if skipped:
            text = (
                f"A max of {MAX_ADDRESSES} addresses can be mirrored to EndpointSlices per Endpoints subset. "
                f"{skipped} addresses were skipped"
            )
            self._recorder.event(with_kind(kinds.ENDPOINTS, endpoints), "Warning", "TooManyAddressesToMirror", text)
        for content in wanted:
            present = _stored(known, content)
            if present is None:
                await self._create(endpoints, content)
                continue
            known.remove(present)
            if not _is_right(present, endpoints, content):
                with suppress_gone():  # of a slice that is another by now we will hear
                    await self.context.api.update(kinds.ENDPOINT_SLICE, _changed(present, endpoints, content))
        await self._delete(known)

    def _known(self, key: ObjectKey) -> list[Object]:
        return [s for s in self.context.slices_of(key) if s["metadata"]["labels"].get(slices.MANAGED_BY) == _CONTROLLER]

    async def _create(self, endpoints: Object, content: Mirrored) -> None:
        meta = {"generateName": f"{endpoints['metadata']['name']}-", "namespace": key_of(endpoints).namespace}
        body = _changed({"metadata": meta, "addressType": content.family}, endpoints, content)
        try:
            made = await self.context.api.create(kinds.ENDPOINT_SLICE, body)
        except ApiError as error:
            if not is_terminating(error):
                raise
            return
        self.context.informers[kinds.ENDPOINT_SLICE].learn(made)

    async def _delete(self, known: Sequence[Object]) -> None:
        for slice_ in known:
            key = key_of(slice_)
            with suppress_gone():
                await self.context.api.delete(kinds.ENDPOINT_SLICE, key.namespace, key.name)


def _is_mirrored(endpoints: Object, service: Object) -> bool:
    labels = endpoints["metadata"].get("labels") or {}
    annotations = endpoints["metadata"].get("annotations") or {}
    return labels.get(_SKIP) != "true" and _LEADER not in annotations and not service["spec"].get("selector")


def mirror(endpoints: Object) -> tuple[list[Mirrored], int]:
    """One slice for each subset and family, and how many addresses were too many. Pure."""
    found, skipped = [], 0
    for subset in subsets.repacked(endpoints.get("subsets") or ()):
        ports = sorted((_port(p) for p in subset.get("ports") or ()), key=port_order.of_slice)
        every = [(a, True) for a in subset.get("addresses") or ()]
        every += [(a, False) for a in subset.get("notReadyAddresses") or ()]
        skipped += max(len(every) - MAX_ADDRESSES, 0)
        by_family: dict[str, list[Object]] = {}
        for address, ready in every[:MAX_ADDRESSES]:
            family = f"IPv{ipaddress.ip_address(address['ip']).version}"
            by_family.setdefault(family, []).append(_endpoint(address, ready=ready))
        found += [Mirrored(family, ports, listed) for family, listed in by_family.items()]
    return found, skipped


def _port(port: Object) -> Object:
    known = {"name": port.get("name", ""), "port": port["port"], "protocol": port.get("protocol", "TCP")}
    return known | ({"appProtocol": port["appProtocol"]} if port.get("appProtocol") else {})


def _endpoint(address: Object, *, ready: bool) -> Object:
    endpoint: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    return endpoint | {k: address[k] for k in ("hostname", "targetRef", "nodeName") if address.get(k)}


def _stored(known: Sequence[Object], content: Mirrored) -> Object | None:
    """The slice of these ports; what has other ports is made anew, as watchers know slices by their ports."""
    same = (s for s in known if s["addressType"] == content.family and (s.get("ports") or []) == content.ports)
    return next(same, None)


def _changed(slice_: Object, endpoints: Object, content: Mirrored) -> Object:
    annotations = _annotations(endpoints)
    meta = {
        **{k: v for k, v in slice_["metadata"].items() if k != "annotations"},
        **({"annotations": annotations} if annotations else {}),
        "labels": _labels(endpoints),
        "ownerReferences": [owner_reference(kinds.ENDPOINTS, endpoints)],
    }
    return {**slice_, "metadata": meta, "ports": content.ports, "endpoints": content.endpoints}


def _is_right(present: Object, endpoints: Object, content: Mirrored) -> bool:
    annotations = present["metadata"].get("annotations") or {}
    same = slices.same_content(present, content.ports, content.endpoints, _labels(endpoints))
    return same and annotations == _annotations(endpoints)


def _labels(endpoints: Object) -> dict[str, str]:
    labels = endpoints["metadata"].get("labels") or {}
    return {**labels, slices.MANAGED_BY: _CONTROLLER, slices.SERVICE_NAME: endpoints["metadata"]["name"]}


def _annotations(endpoints: Object) -> dict[str, str]:
    annotations = endpoints["metadata"].get("annotations") or {}
    return {k: v for k, v in annotations.items() if k not in _NOT_MIRRORED}
