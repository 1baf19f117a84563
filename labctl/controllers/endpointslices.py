"""EndpointSlices follow Services, pods and nodes (pkg/controller/endpointslice); `slice_plan` decides."""

from __future__ import annotations

from labctl.api import kinds
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.api.status import ApiError
from labctl.controllers import slices
from labctl.controllers.context import Context, KeyController, owner_reference
from labctl.controllers.namespaces import is_terminating, suppress_gone
from labctl.controllers.slice_plan import Content, plan

ZONE = "topology.kubernetes.io/zone"


class EndpointSlices(KeyController):
    """Keys are Services."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        context.on_change(kinds.SERVICE, self.enqueue)
        context.on_change(kinds.POD, self._pod_changed)
        context.on_change(kinds.ENDPOINT_SLICE, self._slice_changed)
        context.on_change(kinds.NODE, self._node_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old or {}
        for service in self.context.all(kinds.SERVICE, key_of(pod).namespace):
            if any(p is not None and slices.selects(service, p) for p in (old, new)):
                self.queue.add(key_of(service))

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        """Slices that somebody else changed or deleted are mended."""
        slice_ = new or old or {}
        labels = slice_["metadata"].get("labels") or {}
        if labels.get(slices.MANAGED_BY) == slices.CONTROLLER:
            self.queue.add(ObjectKey(key_of(slice_).namespace, labels.get(slices.SERVICE_NAME, "")))

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is None or _zone(old) != _zone(new):
            for service in self.context.all(kinds.SERVICE):
                self.queue.add(key_of(service))

    async def reconcile(self, key: ObjectKey) -> None:
        """Make a Service's slices say what its pods are."""
        service = self.context.get(kinds.SERVICE, key)
        known = self._known(key)
        if service is None:
            await self._delete(known)  # sooner than the garbage collector would
            return
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return  # slices that are there stay as they are
        pods = [p for p in self.context.all(kinds.POD, key.namespace) if slices.selects(service, p)]
        zones = {n["metadata"]["name"]: _zone(n) for n in self.context.all(kinds.NODE)}
        made = plan(service, pods, known, zones)
        labels = slices.slice_labels(service)
        if not service["metadata"].get("deletionTimestamp"):
            for content in made.create:
                await self._create(service, content, labels)
        for slice_, content in made.update:
            await self._update(slice_, content, labels)
        await self._delete(made.delete)

    def _known(self, key: ObjectKey) -> list[Object]:
        return [
            s
            for s in self.context.slices_of(key)
            if s["metadata"]["labels"].get(slices.MANAGED_BY) == slices.CONTROLLER
            and not s["metadata"].get("deletionTimestamp")
        ]

    async def _create(self, service: Object, content: Content, labels: dict[str, str]) -> None:
        meta = {
            "generateName": f"{service['metadata']['name']}-",
            "namespace": key_of(service).namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(kinds.SERVICE, service)],
        }
        body = {"metadata": meta, "addressType": content.family, "endpoints": content.endpoints, "ports": content.ports}
        try:
            made = await self.context.api.create(kinds.ENDPOINT_SLICE, body)
        except ApiError as error:
            if not is_terminating(error):
                raise
            return
        # Our own copy learns of it at once: the next reconcile must not make it again.
        self.context.informers[kinds.ENDPOINT_SLICE].learn(made)

    async def _update(self, slice_: Object, content: Content, labels: dict[str, str]) -> None:
        meta = {**slice_["metadata"], "labels": labels}
        body = {**slice_, "metadata": meta, "endpoints": content.endpoints, "ports": content.ports}
        with suppress_gone():  # of a slice that is another by now we will hear
            await self.context.api.update(kinds.ENDPOINT_SLICE, body)

    async def _delete(self, known: list[Object]) -> None:
        for slice_ in known:
            key = key_of(slice_)
            with suppress_gone():
                await self.context.api.delete(kinds.ENDPOINT_SLICE, key.namespace, key.name)


def _zone(node: Object) -> str:
    return str((node["metadata"].get("labels") or {}).get(ZONE, ""))
