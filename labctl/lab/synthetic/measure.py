"""What a number of Services costs, measured where a user feels it: from a pod of the lab.

The probe is one more Service, whose endpoint is a pod of CoreDNS (it serves HTTP on 9153). The pod that asks is a sandbox of
kube-system, which every lab has; its packets pass a node's rules like those of every pod.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.client.http import HttpApi
from labctl.config import LABEL_LAB, LABEL_POD_NAMESPACE, LABEL_ROLE
from labctl.errors import LabctlError
from labctl.lab import engine, proxy_mode, readiness
from labctl.lab.record import Record
from labctl.lab.synthetic import objects
from labctl.proxy.mode import Mode

if TYPE_CHECKING:
    import docker

_PORT = 9153
_CONNECTIONS, _CHANGES = 60, 5
_SWITCH_S = 300
_TIMES = "for i in $(seq {count}); do curl -s -m 2 -o /dev/null -w '%{{time_connect}}\\n' http://{address}/; done"
# Ends when the Service answers, or after thirty seconds; `date` and the host's clock are the same clock.
_UNTIL = (
    "echo ready; end=$(($(date +%s) + 30)); "
    "until curl -s -m 0.3 -o /dev/null http://{address}/; do [ $(date +%s) -lt $end ] || exit 1; done; date +%s.%N"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """One number of Services in one mode, in seconds."""

    services: int
    mode: Mode
    all_rules_s: float
    one_change_s: float
    new_connection_s: float


class Prober:
    """Measures in a lab."""

    def __init__(self, client: docker.DockerClient, lab: Record, api: HttpApi) -> None:
        self._client = client
        self._lab = lab
        self._api = api

    async def figures(self, services: int, mode: Mode) -> Figures:
        """All figures in a mode, which is the lab's afterwards. Raises LabctlError."""
        took = await asyncio.to_thread(self._switch, mode)
        target = await self._target()
        changes = [await self._change(target) for _ in range(_CHANGES)]
        address = await self._probe(f"{objects.PROBE}-c", target)
        connections = await asyncio.to_thread(self._connections, address)
        await self._forget(f"{objects.PROBE}-c")
        return Figures(services, mode, took, statistics.median(changes), statistics.median(connections))

    def _switch(self, mode: Mode) -> float:
        started = time.monotonic()
        proxy_mode.ensure(self._lab, mode)
        readiness.until(
            lambda: proxy_mode.missing(self._client, self._lab, mode),
            timeout_s=_SWITCH_S,
            what="nodes are behind",
            hint="'labctl status' tells more",
        )
        return time.monotonic() - started

    async def _target(self) -> str:
        listed = await self._api.list(kinds.POD, "kube-system", label_selector="k8s-app=kube-dns")
        found = [p["status"]["podIP"] for p in listed.items if (p.get("status") or {}).get("podIP")]
        if not found:
            raise LabctlError("no pod of CoreDNS runs to connect to", hint="'labctl up' repairs the lab")
        return str(found[0])

    async def _probe(self, name: str, target: str) -> str:
        """One more Service that works; returns its address once a pod reaches it."""
        address = await self._service(name)
        await self._api.create(kinds.ENDPOINT_SLICE, objects.endpoint_slice(name, [target], port=_PORT))
        await asyncio.to_thread(self._run, _UNTIL.format(address=address))
        return address

    async def _service(self, name: str) -> str:
        made: Object = await self._api.create(kinds.SERVICE, objects.service(name))
        return str(made["spec"]["clusterIP"])

    async def _forget(self, name: str) -> None:
        await self._api.delete(kinds.SERVICE, objects.NAMESPACE, name)
        await self._api.delete(kinds.ENDPOINT_SLICE, objects.NAMESPACE, f"{name}-x")

    async def _change(self, target: str) -> float:
        """From the request that gives a Service its endpoint to the first answer through it."""
        name = f"{objects.PROBE}-x"
        address = await self._service(name)
        ready, loop = asyncio.Event(), asyncio.get_running_loop()
        asking = loop.run_in_executor(
            None, self._follow, _UNTIL.format(address=address), lambda: loop.call_soon_threadsafe(ready.set)
        )
        await ready.wait()
        started = time.time()
        await self._api.create(kinds.ENDPOINT_SLICE, objects.endpoint_slice(name, [target], port=_PORT))
        answered = float((await asking).split()[-1])
        await self._forget(name)
        return max(answered - started, 0.0)

    def _connections(self, address: str) -> list[float]:
        return [float(line) for line in self._run(_TIMES.format(count=_CONNECTIONS, address=address)).split()]

    def _run(self, script: str) -> str:
        return self._follow(script, lambda: None)

    def _follow(self, script: str, on_first: object) -> str:
        assert callable(on_first)
        said = b""
        with engine.translated("measuring in a pod"):
            execution = self._client.api.exec_create(self._sandbox(), ["sh", "-c", script], stderr=False)["Id"]
            for chunk in self._client.api.exec_start(execution, stream=True):
                if not said:
                    on_first()
                said += chunk
            code = self._client.api.exec_inspect(execution)["ExitCode"]
        if code:
            raise LabctlError("the probe's Service did not answer within 30 s", hint="'labctl status' tells more")
        return said.decode()

    def _sandbox(self) -> str:
        labels = [f"{LABEL_LAB}={self._lab.config.name}", f"{LABEL_ROLE}=sandbox", f"{LABEL_POD_NAMESPACE}=kube-system"]
        found = self._client.api.containers(filters={"label": labels, "status": "running"})
        if not found:
            raise LabctlError("no pod runs in kube-system", hint="'labctl up' repairs the lab")
        return str(found[0]["Id"])
