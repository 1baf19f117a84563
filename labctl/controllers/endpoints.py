"""v1 Endpoints for Services with a selector (pkg/controller/endpoint): deprecated, and what the chapter looks at."""

from __future__ import annotations

from contextlib import suppress

from labctl.api import kinds
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.api.status import ApiError
from labctl.controllers import slices
from labctl.controllers.context import Context, KeyController
from labctl.controllers.namespaces import suppress_gone

_MANAGED = "endpoints.kubernetes.io/managed-by"
_MANAGER = "endpoint-controller"
_MAX_ADDRESSES = 1000


class LegacyEndpoints(KeyController):
    """Keys are Services."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        context.on_change(kinds.SERVICE, self.enqueue)
        context.on_change(kinds.POD, self._pod_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old or {}
        for service in self.context.all(kinds.SERVICE, key_of(pod).namespace):
            if any(p is not None and slices.selects(service, p) for p in (old, new)):
                self.queue.add(key_of(service))

    async def reconcile(self, key: ObjectKey) -> None:
        """Make a Service's Endpoints say what its pods are."""
        service = self.context.get(kinds.SERVICE, key)
        if service is None:
            with suppress_gone():
                if self.context.get(kinds.ENDPOINTS, key) is not None:
                    await self.context.api.delete(kinds.ENDPOINTS, key.namespace, key.name)
            return
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return
        pods = [p for p in self.context.all(kinds.POD, key.namespace) if slices.selects(service, p)]
        subsets = subsets_of(service, pods)
        labels = {**(service["metadata"].get("labels") or {}), _MANAGED: _MANAGER}
        if service["spec"].get("clusterIP") == "None":
            labels[slices.HEADLESS] = ""
        present = self.context.get(kinds.ENDPOINTS, key)
        if present is None:
            meta = {"name": key.name, "namespace": key.namespace, "labels": labels}
            with suppress(ApiError):  # created meanwhile: the change will bring us back
                await self.context.api.create(kinds.ENDPOINTS, {"metadata": meta, "subsets": subsets})
        elif (present.get("subsets") or []) != subsets or (present["metadata"].get("labels") or {}) != labels:
            meta = {k: v for k, v in present["metadata"].items() if k != "resourceVersion"} | {"labels": labels}
            with suppress_gone():
                await self.context.api.update(kinds.ENDPOINTS, {**present, "metadata": meta, "subsets": subsets})


def subsets_of(service: Object, pods: list[Object]) -> list[Object]:
    """Ready and not ready addresses, grouped by what ports the pods have. Pure."""
    groups: dict[str, Object] = {}
    family = slices.families_of(service)[0]
    for pod in sorted(pods, key=lambda p: p["metadata"]["name"]):
        if not slices.should_be_in(pod, include_terminating=False):
            continue
        endpoint = slices.endpoint_of(service, pod, family)
        ports = [_port(p) for p in slices.endpoint_ports(service, pod)]
        if endpoint is None or (not ports and service["spec"].get("ports")):
            continue
        group = groups.setdefault(repr(ports), {"ports": ports, "addresses": [], "notReadyAddresses": []})
        name = "addresses" if endpoint["conditions"]["ready"] else "notReadyAddresses"
        if sum(len(group[k]) for k in ("addresses", "notReadyAddresses")) < _MAX_ADDRESSES:
            group[name].append(_address(endpoint))
    for group in groups.values():
        for name in ("addresses", "notReadyAddresses"):
            group[name].sort(key=lambda a: tuple(int(p) for p in a["ip"].split(".")) if "." in a["ip"] else a["ip"])
    return [{k: v for k, v in group.items() if v} for _, group in sorted(groups.items())]


def _port(port: Object) -> Object:
    return {k: v for k, v in port.items() if v not in ("", None)}


def _address(endpoint: Object) -> Object:
    address: Object = {"ip": endpoint["addresses"][0]}
    if endpoint.get("hostname"):
        address["hostname"] = endpoint["hostname"]
    if endpoint.get("nodeName"):
        address["nodeName"] = endpoint["nodeName"]
    return address | {"targetRef": endpoint["targetRef"]}


def service_key(obj: Object) -> ObjectKey:
    """Endpoints have their Service's name."""
    return key_of(obj)
