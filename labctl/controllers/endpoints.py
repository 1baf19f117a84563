"""v1 Endpoints for Services with a selector (pkg/controller/endpoint): deprecated, and what the chapter looks at."""

from __future__ import annotations

from collections.abc import Iterable

from labctl.api import kinds
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.api.status import ApiError
from labctl.controllers import slices, subsets
from labctl.controllers.context import Context, KeyController
from labctl.controllers.namespaces import is_terminating, suppress_gone

_MANAGED = "endpoints.kubernetes.io/managed-by"
_MANAGER = "endpoint-controller"
_OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"


class LegacyEndpoints(KeyController):
    """Keys are Services."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        context.on_change(kinds.SERVICE, self.enqueue)
        context.on_change(kinds.POD, self._pod_changed)
        context.on_change(kinds.ENDPOINTS, self._endpoints_gone)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old or {}
        for service in self.context.all(kinds.SERVICE, key_of(pod).namespace):
            if any(p is not None and slices.selects(service, p) for p in (old, new)):
                self.queue.add(key_of(service))

    def _endpoints_gone(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self.enqueue(old, new)

    async def reconcile(self, key: ObjectKey) -> None:
        """Make a Service's Endpoints say what its pods are."""
        service, present = self.context.get(kinds.SERVICE, key), self.context.get(kinds.ENDPOINTS, key)
        if service is None:
            if present is not None:
                with suppress_gone():
                    await self.context.api.delete(kinds.ENDPOINTS, key.namespace, key.name)
            return
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return  # hand-made ones are none of our business, and former ones stay
        pods = (p for p in self.context.all(kinds.POD, key.namespace) if slices.selects(service, p))
        wanted, is_cut = subsets.truncated(subsets_of(service, pods))
        labels = {**(service["metadata"].get("labels") or {}), _MANAGED: _MANAGER}
        labels.pop(slices.HEADLESS, None)
        if slices.is_headless(service):
            labels[slices.HEADLESS] = ""
        if present is None:
            await self._create(key, wanted, labels, is_cut=is_cut)
        elif not _is_right(present, wanted, labels, is_cut=is_cut):
            notes = _noted(present["metadata"].get("annotations") or {}, is_cut=is_cut)
            meta = {**present["metadata"], "labels": labels, "annotations": notes}
            with suppress_gone():  # of others' changes we will not hear: they are written over
                meta.pop("resourceVersion", None)
                await self.context.api.update(kinds.ENDPOINTS, {**present, "metadata": meta, "subsets": wanted})

    async def _create(self, key: ObjectKey, wanted: list[Object], labels: dict[str, str], *, is_cut: bool) -> None:
        meta: Object = {"name": key.name, "namespace": key.namespace, "labels": labels}
        if notes := _noted({}, is_cut=is_cut):
            meta["annotations"] = notes
        try:
            await self.context.api.create(kinds.ENDPOINTS, {"metadata": meta, "subsets": wanted})
        except ApiError as error:
            if not is_terminating(error):
                raise


def subsets_of(service: Object, pods: Iterable[Object]) -> list[Object]:
    """Ready and not ready addresses, grouped by what ports the pods have. Pure."""
    family = slices.families_of(service)[0]
    published = bool(service["spec"].get("publishNotReadyAddresses"))
    found: list[Object] = []
    for pod in pods:
        endpoint = (
            slices.endpoint_of(service, pod, family)
            if slices.should_be_in(pod, include_terminating=published)
            else None
        )
        if endpoint is None:
            continue
        ports = slices.endpoint_ports(service, pod)
        if not ports and (service["spec"].get("ports") or service["spec"].get("clusterIP") != "None"):
            continue
        name = "addresses" if endpoint["conditions"]["ready"] else "notReadyAddresses"
        found.append({name: [_address(endpoint)], "ports": ports})
    return subsets.repacked(found)


def _is_right(present: Object, wanted: list[Object], labels: dict[str, str], *, is_cut: bool) -> bool:
    meta = present["metadata"]
    noted = _OVER_CAPACITY in (meta.get("annotations") or {})
    return (present.get("subsets") or []) == wanted and (meta.get("labels") or {}) == labels and noted == is_cut


def _noted(annotations: dict[str, str], *, is_cut: bool) -> dict[str, str]:
    kept = {k: v for k, v in annotations.items() if k != _OVER_CAPACITY}
    return {**kept, _OVER_CAPACITY: "truncated"} if is_cut else kept


def _address(endpoint: Object) -> Object:
    address: Object = {"ip": endpoint["addresses"][0]}
    return address | {k: endpoint[k] for k in ("hostname", "nodeName", "targetRef") if endpoint.get(k)}
