"""What all pod workers of a lab share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from labctl.api import kinds
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.times import Clock
from labctl.client.protocol import Api
from labctl.config import LABEL_LAB, LABEL_ROLE, LabConfig, NodeConfig
from labctl.engine.protocol import Engine, EngineInfo
from labctl.kubelet.images import Images
from labctl.kubelet.pod_addresses import PodAddresses
from labctl.kubelet.recorder import Recorder
from labctl.kubelet.restarts import Backoff

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Dialer(Protocol):
    """Opens TCP connections as a process on the node would."""

    async def open(self, node: NodeConfig, host: str, port: int) -> Streams:
        """Connect; raises OSError as the node's kernel would, with its text."""
        ...

    async def reaches(self, node: NodeConfig) -> bool:
        """Whether the node is there."""
        ...


class Objects(Protocol):
    """A local copy of the API's objects of some kinds."""

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object; shared, not to be changed."""
        ...

    def all(self, kind: Kind) -> Iterable[Object]:
        """All objects of a kind."""
        ...


@dataclass(slots=True)
class Kit:
    """The shared parts. `root` is the folder for pods' files, `prefix` its path within the lab's state volume."""

    api: Api
    engine: Engine
    config: LabConfig
    objects: Objects
    recorder: Recorder
    dialer: Dialer
    images: Images
    clock: Clock
    root: Path
    prefix: str
    info: EngineInfo
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    crash_backoff: Backoff = field(default_factory=Backoff)
    addresses: dict[str, PodAddresses] = field(default_factory=dict)
    addresses6: dict[str, PodAddresses] = field(default_factory=dict)
    lost_nodes: set[str] = field(default_factory=set)
    """Names of the nodes that do not answer."""
    _node_containers: dict[str, str] = field(default_factory=dict)

    def node(self, name: str) -> NodeConfig:
        """The configuration of a node of this lab."""
        return next(n for n in self.config.nodes if n.name == name)

    async def node_container(self, node: NodeConfig) -> str:
        """The engine's id of the container that is this node; asked anew when it is not running any more."""
        known = self._node_containers.get(node.name)
        if known is not None and (state := await self.engine.inspect(known)) is not None and state.status == "running":
            return known
        for state in await self.engine.list({LABEL_LAB: self.config.name, LABEL_ROLE: "node"}):
            if node.address in state.addresses.values() and state.status == "running":
                self._node_containers[node.name] = state.id
                return state.id
        return ""

    def lookup(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """A ConfigMap or Secret."""
        return self.objects.get(kind, namespace, name)

    def services(self) -> Iterable[Object]:
        """All Services."""
        return self.objects.all(kinds.SERVICE)
