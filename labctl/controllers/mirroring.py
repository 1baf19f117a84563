"""Hand-made Endpoints of selector-less Services are mirrored into EndpointSlices (pkg/controller/endpointslicemirroring)."""

from __future__ import annotations

import ipaddress

from labctl.api import kinds
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.controllers import slices
from labctl.controllers.context import Context, KeyController, owner_reference
from labctl.controllers.namespaces import suppress_gone

_CONTROLLER = "endpointslicemirroring-controller.k8s.io"
_SKIP = "endpointslice.kubernetes.io/skip-mirror"
_LEADER = "control-plane.alpha.kubernetes.io/leader"
_MANAGED = "endpoints.kubernetes.io/managed-by"


class Mirroring(KeyController):
    """Keys are Endpoints."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
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
        if endpoints is None or service is None or not _mirrored(endpoints, service):
            await self._delete(known)
            return
        labels = dict(endpoints["metadata"].get("labels") or {})
        labels |= {slices.MANAGED_BY: _CONTROLLER, slices.SERVICE_NAME: key.name}
        for family, ports, wanted in mirror(endpoints):
            present = next((s for s in known if s["addressType"] == family), None)
            if present is None:
                await self._create(endpoints, family, ports, wanted, labels)
                continue
            known.remove(present)
            if not slices.same_content(present, ports, wanted, labels):
                meta = {k: v for k, v in present["metadata"].items() if k != "resourceVersion"} | {"labels": labels}
                body = {**present, "metadata": meta, "ports": ports, "endpoints": wanted}
                with suppress_gone():
                    await self.context.api.update(kinds.ENDPOINT_SLICE, body)
        await self._delete(known)

    def _known(self, key: ObjectKey) -> list[Object]:
        return [
            s
            for s in self.context.all(kinds.ENDPOINT_SLICE, key.namespace)
            if (labels := s["metadata"].get("labels") or {}).get(slices.SERVICE_NAME) == key.name
            and labels.get(slices.MANAGED_BY) == _CONTROLLER
        ]

    async def _create(
        self, endpoints: Object, family: str, ports: list[Object], wanted: list[Object], labels: dict[str, str]
    ) -> None:
        meta = {
            "generateName": f"{endpoints['metadata']['name']}-",
            "namespace": key_of(endpoints).namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(kinds.ENDPOINTS, endpoints)],
        }
        body = {"metadata": meta, "addressType": family, "endpoints": wanted, "ports": ports}
        made = await self.context.api.create(kinds.ENDPOINT_SLICE, body)
        self.context.informers[kinds.ENDPOINT_SLICE].objects.setdefault(key_of(made), made)

    async def _delete(self, known: list[Object]) -> None:
        for slice_ in known:
            key = key_of(slice_)
            with suppress_gone():
                await self.context.api.delete(kinds.ENDPOINT_SLICE, key.namespace, key.name)


def _mirrored(endpoints: Object, service: Object) -> bool:
    labels = endpoints["metadata"].get("labels") or {}
    annotations = endpoints["metadata"].get("annotations") or {}
    if labels.get(_SKIP) == "true" or _LEADER in annotations or labels.get(_MANAGED):
        return False
    return not service["spec"].get("selector")


def mirror(endpoints: Object) -> list[tuple[str, list[Object], list[Object]]]:
    """(family, ports, endpoints) of hand-made Endpoints; one slice for each subset and family. Pure."""
    found = []
    for subset in endpoints.get("subsets") or ():
        ports = [
            {"name": p.get("name", ""), "port": p["port"], "protocol": p.get("protocol", "TCP")}
            | ({"appProtocol": p["appProtocol"]} if p.get("appProtocol") else {})
            for p in subset.get("ports") or ()
        ]
        by_family: dict[str, list[Object]] = {}
        for name, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in subset.get(name) or ():
                family = f"IPv{ipaddress.ip_address(address['ip']).version}"
                endpoint: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
                endpoint |= {k: address[k] for k in ("hostname", "targetRef", "nodeName") if address.get(k)}
                by_family.setdefault(family, []).append(endpoint)
        found += [(family, ports, listed) for family, listed in by_family.items()]
    return found
