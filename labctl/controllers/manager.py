"""All controllers in one task group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from labctl.client.protocol import Api
from labctl.config import LabConfig
from labctl.controllers.context import Context, Controller, wait_synced
from labctl.controllers.deployments import Deployments
from labctl.controllers.disruptions import Disruptions
from labctl.controllers.endpoints import LegacyEndpoints
from labctl.controllers.endpointslices import EndpointSlices
from labctl.controllers.garbage import GarbageCollector
from labctl.controllers.mirroring import Mirroring
from labctl.controllers.namespaces import Namespaces
from labctl.controllers.replicasets import ReplicaSets, ReplicationControllers
from labctl.controllers.scheduler import Scheduler
from labctl.controllers.serviceaccounts import ServiceAccounts
from labctl.controllers.taint_eviction import TaintEviction

Maker = Callable[[Context], Controller]
ALL: tuple[Maker, ...] = (
    ServiceAccounts,
    Namespaces,
    Scheduler,
    Deployments,
    ReplicaSets,
    ReplicationControllers,
    Disruptions,
    TaintEviction,
    EndpointSlices,
    LegacyEndpoints,
    Mirroring,
    GarbageCollector,
)


async def run_all(api: Api, config: LabConfig) -> None:
    """Run every controller until cancelled."""
    await run(Context(api, config), ALL)


async def run(context: Context, makers: Iterable[Maker]) -> None:
    """Run some controllers over one set of informers until cancelled."""
    controllers = [make(context) for make in makers]
    async with asyncio.TaskGroup() as tasks:
        for informer in context.informers.values():
            tasks.create_task(informer.run(), name=f"informer {informer.kind}")
        for name, recorder in context.recorders.items():
            tasks.create_task(recorder.run(), name=f"events of {name}")
        # A controller that acted on half a picture would delete and create what it will see a moment later.
        await wait_synced(context.informers.values())
        for controller in controllers:
            tasks.create_task(controller.run(), name=type(controller).__name__)
