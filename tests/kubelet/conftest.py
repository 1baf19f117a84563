"""A kubelet on a fake engine and a fake API, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.config import LABEL_LAB, LABEL_ROLE, Credentials, LabConfig, NodeConfig
from labctl.engine.fake import FakeEngine
from labctl.engine.protocol import ContainerSpec, ImageInfo
from labctl.kubelet.kit import Streams
from labctl.kubelet.kubelet import Kubelet
from tests.kubelet.fake_api import FakeApi, Recorded

CONFIG = LabConfig(
    name="t",
    nodes=(
        NodeConfig("node-1", "192.168.123.11", "10.244.1.0/24", "10.244.1.1"),
        NodeConfig("node-2", "192.168.123.12", "10.244.2.0/24", "10.244.2.1"),
    ),
    credentials=Credentials(),
    control_plane_address="192.168.123.2",
    pods_network="t-pods",
    lan_network="t-lan",
    lab_image="labctl/lab",
    state_volume="t-state",
    stand_ins={"kiamol/ch03-sleep": "labctl/sleep"},
)


class FakeDialer:
    """Answers by host and port: HTTP status codes, or an OSError to raise."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, int], int | OSError | bytes] = {}
        self.dialled: list[tuple[str, str, int]] = []
        self.silent: set[str] = set()  # nodes that do not answer

    async def open(self, node: NodeConfig, host: str, port: int) -> Streams:
        self.dialled.append((node.name, host, port))
        answer = self.answers.get((host, port), ConnectionRefusedError(111, "Connection refused"))
        if isinstance(answer, OSError):
            raise answer
        reader = asyncio.StreamReader()
        data = answer if isinstance(answer, bytes) else f"HTTP/1.1 {answer} Whatever\r\n\r\n".encode()
        reader.feed_data(data)
        reader.feed_eof()
        transport = _Sink()
        protocol = asyncio.StreamReaderProtocol(reader)
        return reader, asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())

    async def reaches(self, node: NodeConfig) -> bool:
        return node.name not in self.silent


class _Sink(asyncio.Transport):
    """Takes everything, sends nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self._is_closed = False

    def write(self, data: bytes | bytearray | memoryview[int]) -> None:
        self.data += bytes(data)

    def is_closing(self) -> bool:
        return self._is_closed

    def close(self) -> None:
        self._is_closed = True


class World:
    """Everything a test of the kubelet looks at."""

    def __init__(self, root: Path) -> None:
        self.api = FakeApi()
        self.engine = FakeEngine(clock=self.now, images=["app", "labctl/lab", "labctl/sleep"])
        self.events = Recorded()
        self.dialer = FakeDialer()
        self.root = root / "pods"
        self.holder = ""  # what the helper finds that looks for a port's holder
        self.kubelet: Kubelet
        self._running: asyncio.Task[None] | None = None

    def now(self) -> float:
        """A wall clock that moves with the loop's."""
        return 1_800_000_000 + asyncio.get_running_loop().time()

    async def start(self, config: LabConfig = CONFIG) -> None:
        """Start (or restart) the kubelet."""
        self.kubelet = Kubelet(
            self.api, self.engine, config, recorder=self.events, dialer=self.dialer, root=self.root, clock=self.now
        )
        self._running = asyncio.create_task(self.kubelet.run())
        await settle()

    async def stop(self) -> None:
        """End it as kill -9 would: nothing is cleaned up."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None

    async def run_pod(self, name: str = "p", **spec: Any) -> Object:
        """Create a pod and let it start."""
        if self._running is None:
            await self.start()
        self.api.put(kinds.POD, pod(name, **spec))
        await settle()
        return self.pod(name)

    def pod(self, name: str = "p") -> Object:
        return self.api.peek(kinds.POD, name)

    def status(self, name: str = "p") -> Object:
        found: Object = self.pod(name)["status"]
        return found

    def container(self, name: str = "main", of: str = "p") -> Object:
        statuses = [*self.status(of).get("initContainerStatuses", ()), *self.status(of)["containerStatuses"]]
        found: Object = next(s for s in statuses if s["name"] == name)
        return found

    def is_ready(self, name: str = "p") -> bool:
        return self.condition("Ready", name) == "True"

    def condition(self, kind: str, name: str = "p") -> str:
        return next((str(c["status"]) for c in self.status(name)["conditions"] if c["type"] == kind), "")

    def uid(self, name: str = "p") -> str:
        return str(self.pod(name)["metadata"]["uid"])

    def crash(self, container: str, *, of: str = "p", exit_code: int = 1, oom: bool = False) -> None:
        """End the process of a pod's container."""
        prefix = f"k8s_{container}_{of}_default_"
        running = [
            c.state.name
            for c in self.engine.containers.values()
            if c.state.name.startswith(prefix) and c.state.status == "running"
        ]
        self.engine.crash(running[-1], exit_code=exit_code, oom=oom)

    def spec_of(self, name: str) -> ContainerSpec:
        """What the engine was asked for, by a part of the container's name."""
        return self.engine.named(name).spec

    async def add_node_container(self, node: str = "node-1", address: str = "192.168.123.11") -> str:
        """The container that is a node."""
        labels = {LABEL_LAB: "t", LABEL_ROLE: "node"}
        made = await self.engine.create(
            ContainerSpec(f"labctl-t-{node}", "labctl/lab", labels=labels, network="t-lan", address=address)
        )
        await self.engine.start(made)
        return made


def pod(name: str = "p", *, containers: list[Object] | None = None, **spec: Any) -> Object:
    """A pod on node-1 with one container `main` of image `app`; keywords that are no pod fields go to it."""
    own = {k: spec.pop(k) for k in list(spec) if k in CONTAINER_FIELDS}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "generation": 1},
        "spec": {
            "nodeName": "node-1",
            "restartPolicy": "Always",
            "enableServiceLinks": True,
            "containers": containers or [{"name": "main", "image": "app", **own}],
            **spec,
        },
    }


CONTAINER_FIELDS = (
    "image", "command", "args", "env", "envFrom", "ports", "volumeMounts", "livenessProbe", "readinessProbe",
    "startupProbe", "lifecycle", "imagePullPolicy", "resources", "terminationMessagePath", "terminationMessagePolicy",
    "workingDir", "stdin", "tty",
)  # fmt: skip


async def settle(seconds: float = 0.9) -> None:
    """Let everything that is due happen; time is virtual."""
    await asyncio.sleep(seconds)


async def eventually(check: Callable[[], bool], *, within: float = 400) -> None:
    """Wait in virtual time."""
    waited = 0.0
    while not check():
        assert waited < within, "not true in time"
        await asyncio.sleep(0.25)
        waited += 0.25


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A kubelet that starts with the first pod: only inside a test is time virtual."""
    world = World(tmp_path)
    yield world
    await world.stop()


def from_registry(name: str) -> ImageInfo:
    """An image that was pulled once."""
    return ImageInfo(f"sha256:{name}", is_from_registry=True)
