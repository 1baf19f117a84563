"""Controllers over an API server in memory, in virtual time. Pods run when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from labctl.api import kinds
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.times import format_time
from labctl.apiserver.options import WriteOptions
from labctl.apiserver.server import ApiServer
from labctl.client.protocol import PatchType
from labctl.config import Credentials, LabConfig
from labctl.controllers import manager
from labctl.controllers.context import Context, wait_synced

BEGIN = 1_800_000_000.0  # Unix seconds at loop time 0
_SETTLED_S = 0.5
CREDENTIALS = Credentials(admin_token="admin", node_token="node", ca_certificate="CA")


class World:
    """What tests do to a cluster, and ask it."""

    def __init__(self) -> None:
        config = LabConfig("test", (), CREDENTIALS, control_plane_address="192.168.123.2")
        self.server = ApiServer(config)
        self.server.registry.clock = self.clock
        self.api = self.server.local
        self.context = Context(self.api, config, self.clock)
        self._addresses = 0
        account = {"metadata": {"name": "default", "namespace": "default"}}  # its controller makes it in a lab
        self.server.registry.create(kinds.SERVICE_ACCOUNT, "default", account, WriteOptions())

    @staticmethod
    def clock() -> float:
        return BEGIN + asyncio.get_running_loop().time()

    async def settle(self, seconds: float = _SETTLED_S) -> None:
        """Let the controllers work until nothing is left to do."""
        await asyncio.sleep(seconds)

    async def create(self, kind: Kind, obj: Object, namespace: str = "default") -> Object:
        made = await self.api.create(kind, obj, namespace=namespace if kind.namespaced else "")
        await self.settle()
        return made

    async def patch(self, kind: Kind, name: str, patch: object, *, subresource: str = "") -> Object:
        kind_of_patch: PatchType = "application/merge-patch+json"
        namespace = "default" if kind.namespaced else ""
        made = await self.api.patch(kind, namespace, name, patch, patch_type=kind_of_patch, subresource=subresource)
        await self.settle()
        return made

    async def delete(self, kind: Kind, name: str, **options: Any) -> None:
        await self.api.delete(kind, "default" if kind.namespaced else "", name, **options)
        await self.settle()

    async def get(self, kind: Kind, name: str, namespace: str = "default") -> Any:
        return await self.api.get(kind, namespace if kind.namespaced else "", name)

    async def all(self, kind: Kind, namespace: str = "default") -> list[Any]:
        return (await self.api.list(kind, namespace)).items

    async def names(self, kind: Kind, namespace: str = "default") -> list[str]:
        return [o["metadata"]["name"] for o in await self.all(kind, namespace)]

    async def events(self, reason: str = "") -> list[str]:
        """Messages of Events in the order in which they were recorded."""
        found = sorted(await self.all(kinds.EVENT), key=lambda e: int(e["metadata"]["resourceVersion"]))
        return [e["message"] for e in found if reason in ("", e["reason"])]

    async def run_pods(self, *, ready: bool = True, names: set[str] | None = None) -> int:
        """Give every pod that does not run an address and a state; returns how many there were."""
        waiting = [p for p in await self.all(kinds.POD) if not is_running(p) or (ready and not is_ready(p))]
        waiting = [p for p in waiting if names is None or p["metadata"]["name"] in names]
        for pod in waiting:
            known = pod["status"].get("podIP")
            if known is None:
                self._addresses += 1
            address = known or f"10.244.{self._addresses // 250}.{self._addresses % 250 + 2}"
            condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": format_time(self.clock())}
            status = {
                "phase": "Running",
                "podIP": address,
                "podIPs": [{"ip": address}],
                "conditions": [condition],
            }
            name = pod["metadata"]["name"]
            await self.api.patch(kinds.POD, "default", name, {"status": status}, subresource="status")
        await self.settle()
        return len(waiting)


def is_running(pod: Object) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Running")


def is_ready(pod: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions") or ())


@asynccontextmanager
async def world(*makers: manager.Maker) -> AsyncIterator[World]:
    """A world in which these controllers run."""
    made = World()
    running = asyncio.get_running_loop().create_task(manager.run(made.context, makers))
    try:
        await wait_synced(made.context.informers.values())  # no settling: time is real outside of tests
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        made.server.store.close()
    if running.done() and not running.cancelled() and (error := running.exception()):
        raise error


def template(image: str = "web:1", **labels: str) -> Object:
    labels = labels or {"app": "web"}
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}


def deployment(name: str = "web", image: str = "web:1", **spec: Any) -> Object:
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template(image, app=name), **spec}
    return {"metadata": {"name": name}, "spec": spec}


def replica_set(name: str = "web", **spec: Any) -> Object:
    return deployment(name, **spec)


def pod(name: str, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    containers = [{"name": "web", "image": "web:1"}]
    metadata = {"name": name, "labels": labels if labels is not None else {"app": "web"}}
    return {"metadata": metadata, "spec": {"containers": containers, **spec}}


def service(name: str = "web", **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": [{"port": 80}], **spec}}
