"""EndpointSlices follow Services and pods (pkg/controller/endpointslice and k8s.io/endpointslice)."""

from __future__ import annotations

from labctl.api import kinds
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.controllers import slices
from labctl.controllers.context import Context, KeyController, owner_reference
from labctl.controllers.namespaces import suppress_gone


class EndpointSlices(KeyController):
    """Keys are Services."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        context.on_change(kinds.SERVICE, self.enqueue)
        context.on_change(kinds.POD, self._pod_changed)
        context.on_change(kinds.ENDPOINT_SLICE, self._slice_changed)

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

    async def reconcile(self, key: ObjectKey) -> None:
        """Make a Service's slices say what its pods are."""
        service = self.context.get(kinds.SERVICE, key)
        known = self._known(key)
        if service is None or service["metadata"].get("deletionTimestamp") or not service["spec"].get("selector"):
            if service is None:
                await self._delete(known)  # sooner than the garbage collector would
            return
        if service["spec"].get("type") == "ExternalName":
            await self._delete(known)
            return
        pods = [p for p in self.context.all(kinds.POD, key.namespace) if slices.selects(service, p)]
        labels = slices.slice_labels(service)
        for (family, _), (ports, endpoints) in slices.wanted_groups(service, pods).items():
            for chunk in slices.chunks(endpoints):
                present = _best(known, family, ports, chunk)
                if present is None:
                    await self._create(service, family, ports, chunk, labels)
                    continue
                known.remove(present)
                if not slices.same_content(present, ports, chunk, labels):
                    await self._update(present, ports, chunk, labels)
        await self._delete(known)

    def _known(self, key: ObjectKey) -> list[Object]:
        return [
            s
            for s in self.context.all(kinds.ENDPOINT_SLICE, key.namespace)
            if (labels := s["metadata"].get("labels") or {}).get(slices.SERVICE_NAME) == key.name
            and labels.get(slices.MANAGED_BY) == slices.CONTROLLER
        ]

    async def _create(
        self, service: Object, family: str, ports: list[Object], endpoints: list[Object], labels: dict[str, str]
    ) -> None:
        meta = {
            "generateName": f"{service['metadata']['name']}-",
            "namespace": key_of(service).namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(kinds.SERVICE, service)],
        }
        body = {"metadata": meta, "addressType": family, "endpoints": endpoints, "ports": ports}
        made = await self.context.api.create(kinds.ENDPOINT_SLICE, body)
        # Our own copy learns of it at once: the next reconcile must not make it again.
        self.context.informers[kinds.ENDPOINT_SLICE].objects.setdefault(key_of(made), made)

    async def _update(
        self, present: Object, ports: list[Object], endpoints: list[Object], labels: dict[str, str]
    ) -> None:
        meta = {k: v for k, v in present["metadata"].items() if k != "resourceVersion"} | {"labels": labels}
        body = {**present, "metadata": meta, "endpoints": endpoints, "ports": ports}
        with suppress_gone():
            await self.context.api.update(kinds.ENDPOINT_SLICE, body)

    async def _delete(self, known: list[Object]) -> None:
        for slice_ in known:
            key = key_of(slice_)
            with suppress_gone():
                await self.context.api.delete(kinds.ENDPOINT_SLICE, key.namespace, key.name)


def _best(known: list[Object], family: str, ports: list[Object], endpoints: list[Object]) -> Object | None:
    """The stored slice that needs the fewest changes: the same ports first, then any, as Kubernetes reuses them."""
    candidates = [s for s in known if s.get("addressType") == family]
    wanted = {a for e in endpoints for a in e["addresses"]}

    def score(slice_: Object) -> tuple[bool, int]:
        have = {a for e in slice_.get("endpoints") or () for a in e["addresses"]}
        return (slice_.get("ports") or []) == ports, len(have & wanted)

    return max(candidates, key=score, default=None)
