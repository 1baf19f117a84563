"""An API server with its controllers and no Docker, for tests of Kubernetes clients (what envtest gives to Go programs).

There is one Node, which exists in the API only: the scheduler gives it the pods, nothing starts them, and they stay
Pending until a client writes their status itself. A pod that is deleted goes at once, since no process of it has to end.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NoReturn

from labctl import controllers
from labctl.aiokits.workqueue import WorkQueue
from labctl.api import kinds, status
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.api.status import ApiError
from labctl.api.times import format_time
from labctl.apiserver import bootstrap
from labctl.apiserver.runtime import LogOptions
from labctl.apiserver.server import ApiServer
from labctl.client.informer import Informer
from labctl.client.protocol import Api
from labctl.config import LabConfig
from labctl.engine.protocol import ExecStream
from labctl.errors import LabctlError, MissingPrerequisite
from labctl.kubelet.nodes import KUBELET_PORT, KUBELET_VERSION, MAX_PODS, node_labels
from labctl.store.errors import StoreError

NODE = "labctl-api"
_CAPACITY = {"cpu": "4", "ephemeral-storage": "100Gi", "memory": "8Gi", "pods": str(MAX_PODS)}


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises MissingPrerequisite when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MissingPrerequisite(
            f"cannot listen on {host}:{port}: {reason}", hint="--port 0 takes a free port"
        ) from error
    # asyncio does so for sockets that it made; a connection inherits it, and its answers do not wait 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def open_server(config: LabConfig, state_path: str = "") -> ApiServer:
    """The server over a state file (empty: in memory). Raises LabctlError when that cannot be used."""
    try:
        return ApiServer(config, state_path=state_path)
    except (OSError, StoreError) as error:
        raise LabctlError(f"{state_path} cannot keep the state: {error}", hint="--state takes another file") from error


async def run(server: ApiServer, listener: socket.socket, started: Callable[[], None]) -> None:
    """Run API server and controllers until cancelled; `started` is called when requests are answered."""
    finisher = PodFinisher(server.local)
    await ensure_service_account(server.local)
    await register_node(server.local, format_time(server.registry.clock()))
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(HollowRuntime(), listener=listener, started=started), name="API server")
            tasks.create_task(controllers.run_all(server.local, server.config), name="controllers")
            tasks.create_task(bootstrap.keep_kubernetes_service(server.registry), name="service kubernetes")
            tasks.create_task(server.store.keep_compacting(), name="forget old revisions")
            tasks.create_task(finisher.run(), name="deletions of pods")
    finally:
        server.store.close()


async def ensure_service_account(api: Api) -> None:
    """The ServiceAccount that pods of namespace `default` need: its controller would make it a moment too late."""
    try:
        await api.create(kinds.SERVICE_ACCOUNT, {"metadata": {"name": "default"}}, namespace="default")
    except ApiError as error:
        if error.code != 409:
            raise


async def register_node(api: Api, now: str) -> None:
    """Make sure that the Node exists and is Ready; `now` is RFC 3339."""
    node = new_node(now)
    try:
        await api.create(kinds.NODE, node)
    except ApiError as error:
        if error.code != 409:
            raise
    else:
        # a client's create has no say in the status: it is written apart, as kubelets do
        await api.update(kinds.NODE, node, subresource="status")


def new_node(now: str) -> Object:
    """The Node, with a kubelet's labels and conditions."""
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "labctl apiserver: pods are bound to this node and never started",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE, "labels": node_labels(NODE, "amd64")},
        "spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"]},
        "status": {
            "addresses": [{"type": "Hostname", "address": NODE}],
            "capacity": _CAPACITY,
            "allocatable": _CAPACITY,
            "conditions": [ready],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
            "nodeInfo": _node_info(),
        },
    }


def _node_info() -> Object:
    unknown = ("bootID", "kernelVersion", "kubeProxyVersion", "machineID", "osImage", "systemUUID")
    known = {"architecture": "amd64", "operatingSystem": "linux", "kubeletVersion": KUBELET_VERSION}
    return dict.fromkeys(unknown, "") | known | {"containerRuntimeVersion": "none://"}


class PodFinisher:
    """Ends the deletion of pods on the Node, which a kubelet would do after their containers have stopped."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._queue: WorkQueue[ObjectKey] = WorkQueue()
        self._pods = Informer(api, kinds.POD, self._changed, field_selector=f"spec.nodeName={NODE}")

    async def run(self) -> None:
        """Follow the pods until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pods.run(), name="pods of the node")
            tasks.create_task(self._queue.run(self._finish, workers=1), name="deletions")

    def _changed(self, _: Object | None, pod: Object | None) -> None:
        if pod is not None and pod["metadata"].get("deletionTimestamp"):
            self._queue.add(key_of(pod))

    async def _finish(self, key: ObjectKey) -> None:
        pod = self._pods.objects.get(key)
        if pod is None:
            return
        try:
            await self._api.delete(kinds.POD, *key, grace_period_s=0, uid=pod["metadata"]["uid"])
        except ApiError as error:
            if error.code not in (404, 409):  # gone already, or another one of that name
                raise


class HollowRuntime:
    """Streams into pods that never start: refused in the words of a kubelet whose containers are not there yet."""

    async def exec(self, pod: Object, container: str, command: Sequence[str], *, stdin: bool, tty: bool) -> ExecStream:  # noqa: ARG002  # nothing to run it in
        """Refuse. Raises ApiError 500."""
        _refuse(f'container not found ("{container}")')

    async def attach(self, pod: Object, container: str, *, stdin: bool, tty: bool) -> ExecStream:  # noqa: ARG002  # nothing to attach to
        """Refuse. Raises ApiError 500."""
        _refuse(f"container {container} not found in pod {_full_name(pod)}")

    async def logs(self, pod: Object, options: LogOptions) -> AsyncIterator[bytes]:
        """Refuse. Raises ApiError 400."""
        name, spec = pod["metadata"]["name"], pod["spec"]
        what = f'container "{options.container}" in pod "{name}"'
        if options.previous:
            raise status.bad_request(f"previous terminated {what} not found")
        waits_for_init = spec.get("initContainers") and any(c["name"] == options.container for c in spec["containers"])
        reason = "PodInitializing" if waits_for_init else "ContainerCreating"
        raise status.bad_request(f"{what} is waiting to start: {reason}")
        yield b""  # makes this an asynchronous generator, as the protocol wants

    async def dial(self, pod: Object, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:  # noqa: ARG002  # no port is open
        """Refuse. Raises ApiError 500."""
        _refuse(f'pod not found ("{_full_name(pod)}")')


def _full_name(pod: Object) -> str:
    return f"{pod['metadata']['name']}_{pod['metadata']['namespace']}"


def _refuse(why: str) -> NoReturn:
    raise status.KubeletError(why)
