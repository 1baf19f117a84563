"""What all controllers share: the API, one informer per kind, the event recorder."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from labctl.aiokits.workqueue import WorkQueue
from labctl.api import kinds
from labctl.api.kinds import Kind
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.api.times import format_time
from labctl.client.events import EventRecorder
from labctl.client.informer import Informer, OnChange
from labctl.client.protocol import Api
from labctl.config import LabConfig
from labctl.controllers.slices import SERVICE_NAME

FOLLOWED = (
    kinds.NAMESPACE,
    kinds.NODE,
    kinds.POD,
    kinds.SERVICE,
    kinds.ENDPOINTS,
    kinds.ENDPOINT_SLICE,
    kinds.DEPLOYMENT,
    kinds.REPLICA_SET,
    kinds.REPLICATION_CONTROLLER,
    kinds.SERVICE_ACCOUNT,
    kinds.CONFIG_MAP,
)


def service_of(slice_: Object) -> ObjectKey:
    """The Service that an EndpointSlice is of, by its label."""
    labels = slice_["metadata"].get("labels") or {}
    return ObjectKey(slice_["metadata"]["namespace"], labels.get(SERVICE_NAME, ""))


@dataclass(slots=True)
class Context:
    """One per control plane."""

    api: Api
    config: LabConfig
    clock: Callable[[], float] = time.time
    informers: dict[Kind, Informer] = field(default_factory=dict)
    recorders: dict[str, EventRecorder] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make an informer for every kind that a controller follows."""
        self.informers = {kind: Informer(self.api, kind) for kind in FOLLOWED}
        self.informers[kinds.ENDPOINT_SLICE].index_by(service_of)

    def get(self, kind: Kind, key: ObjectKey) -> Object | None:
        """An object of the local copy."""
        return self.informers[kind].objects.get(key)

    def all(self, kind: Kind, namespace: str = "") -> Iterable[Object]:
        """All objects of the local copy (of a namespace)."""
        informer = self.informers[kind]
        return informer.in_namespace(namespace) if namespace else list(informer.objects.values())

    def slices_of(self, service: ObjectKey) -> list[Object]:
        """The EndpointSlices of a Service, by whomever; without a search, as there may be thousands."""
        return self.informers[kinds.ENDPOINT_SLICE].indexed(service)

    def on_change(self, kind: Kind, handler: OnChange) -> None:
        """Call a handler for each change of a kind, which is followed from then on."""
        if kind not in self.informers:
            self.informers[kind] = Informer(self.api, kind)
        self.informers[kind].add_handler(handler)

    def recorder(self, component: str) -> EventRecorder:
        """The recorder of a controller, by the name its Events carry."""
        if component not in self.recorders:
            self.recorders[component] = EventRecorder(self.api, component, clock=self.clock)
        return self.recorders[component]

    def now(self) -> str:
        """The time as the API writes it."""
        return format_time(self.clock())


class Controller(Protocol):
    """A reconciler: it registers its handlers when it is made, and works keys off in `run`."""

    async def run(self) -> None:
        """Reconcile until cancelled."""
        ...


class KeyController(ABC):
    """Base of controllers with one queue of object keys."""

    workers = 4

    def __init__(self, context: Context) -> None:
        self.context = context
        self.queue: WorkQueue[ObjectKey] = WorkQueue()

    async def run(self) -> None:
        """Reconcile keys until cancelled."""
        await self.queue.run(self.reconcile, workers=self.workers)

    @abstractmethod
    async def reconcile(self, key: ObjectKey) -> None:
        """Bring one object to what it should be."""

    def enqueue(self, old: Object | None, new: Object | None) -> None:
        """A handler that asks for the changed object itself."""
        self.queue.add(key_of(new or old or {}))


def controller_of(obj: Object) -> Object | None:
    """The owner reference of the object's controller."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((o for o in owners if o.get("controller")), None)


def owner_reference(kind: Kind, owner: Object, *, block: bool = True) -> Object:
    """An owner reference that makes `owner` the controller."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": block,
    }


def with_kind(kind: Kind, obj: Object) -> Object:
    """The object with its kind, for Events about it."""
    return {"apiVersion": kind.api_version, "kind": kind.kind, **obj}


async def wait_synced(informers: Iterable[Informer]) -> None:
    """Wait until all local copies are complete."""
    await asyncio.gather(*(informer.synced() for informer in informers))
