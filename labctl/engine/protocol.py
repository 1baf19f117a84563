"""What the kubelet may ask of a container engine.

Implementations: `labctl.engine.docker.DockerEngine` (the docker SDK in threads) and `labctl.engine.fake.FakeEngine`
(in memory, shipped and tested: the same contract tests run on both).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount of a named volume, or a tmpfs when `volume` is empty.

    `subpath` is a folder or file inside the volume and must exist when the container is created. `in_memory` makes
    the volume, when it is new, a tmpfs of `size_bytes` that several containers can share.
    """

    target: str
    volume: str = ""
    subpath: str = ""
    read_only: bool = False
    size_bytes: int = 0
    in_memory: bool = False


@dataclass(frozen=True, slots=True)
class PortBinding:
    """A port published on the host: `host_ip:host_port` -> `container_port/protocol`."""

    container_port: int
    host_port: int
    host_ip: str = "127.0.0.1"
    protocol: Literal["tcp", "udp", "sctp"] = "tcp"


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """Everything needed to create one container. `network_of` joins another container's network namespace."""

    name: str
    image: str
    command: Sequence[str] = ()  # replaces the image's entrypoint when not empty
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = ""
    user: str = ""
    groups: Sequence[str] = ()
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    network: str = ""
    network_of: str = ""
    pid_of: str = ""
    pid_host: bool = False
    ipc_of: str = ""
    ipc_shareable: bool = False
    address: str = ""  # IPv4 address on `network`
    address6: str = ""
    hostname: str = ""
    dns: Sequence[str] = ()
    dns_search: Sequence[str] = ()
    dns_options: Sequence[str] = ()
    extra_hosts: Mapping[str, str] = field(default_factory=dict)
    ports: Sequence[PortBinding] = ()
    mounts: Sequence[Mount] = ()
    cap_add: Sequence[str] = ()
    cap_drop: Sequence[str] = ()
    privileged: bool = False
    read_only_rootfs: bool = False
    shm_bytes: int = 0
    sysctls: Mapping[str, str] = field(default_factory=dict)
    security_opt: Sequence[str] = ()
    memory_bytes: int = 0
    nano_cpus: int = 0
    cpu_shares: int = 0
    oom_score_adj: int = 0


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What the engine knows of a container. Times are RFC 3339 as the engine gives them, or empty."""

    id: str
    name: str
    image: str
    image_id: str
    labels: Mapping[str, str]
    status: Literal["created", "running", "paused", "restarting", "exited", "dead", "removing"]
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    started_at: str = ""
    finished_at: str = ""
    addresses: Mapping[str, str] = field(default_factory=dict)  # network name -> IPv4
    pid: int = 0


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """A container changed. `time` is Unix seconds."""

    action: Literal["start", "die", "destroy", "oom"]
    container_id: str
    labels: Mapping[str, str]
    exit_code: int | None = None
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """A local image. `is_from_registry` tells pulled images from those that were built or loaded here."""

    id: str
    user: str = ""
    size_bytes: int = 0
    is_from_registry: bool = False


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The engine's machine: CPUs, memory in bytes, kernel, operating system, engine version and architecture (Go's)."""

    cpus: int
    memory_bytes: int
    kernel: str = ""
    operating_system: str = ""
    architecture: str = "amd64"
    version: str = ""


class ExecStream(Protocol):
    """A running exec or attach: bytes in, tagged bytes out, an exit code at the end."""

    async def write(self, data: bytes) -> None:
        """Send to stdin."""
        ...

    async def close_stdin(self) -> None:
        """End of stdin."""
        ...

    def output(self) -> AsyncIterator[tuple[Literal["stdout", "stderr"], bytes]]:
        """Output until the process ends."""
        ...

    async def resize(self, width: int, height: int) -> None:
        """New terminal size in characters."""
        ...

    async def exit_code(self) -> int:
        """Exit code, valid after `output` has ended."""
        ...

    async def close(self) -> None:
        """Give the stream up."""
        ...


class Engine(Protocol):
    """The container engine. Raises the errors of `labctl.engine.errors`."""

    async def pull(self, image: str) -> None:
        """Fetch an image. ImageUnavailable says why not."""
        ...

    async def image(self, image: str) -> ImageInfo | None:
        """A local image, or None."""
        ...

    async def info(self) -> EngineInfo:
        """What machine and engine this is."""
        ...

    async def create(self, spec: ContainerSpec) -> str:
        """Create a container; returns its id."""
        ...

    async def start(self, container_id: str) -> None:
        """Start it. PortUnavailable, AddressInUse, StartFailed (with the engine's words)."""
        ...

    async def stop(self, container_id: str, *, grace_s: float) -> None:
        """SIGTERM, then SIGKILL after `grace_s`; a container that is gone is no error."""
        ...

    async def kill(self, container_id: str, *, signal: str = "KILL") -> None:
        """Send a signal."""
        ...

    async def remove(self, container_id: str, *, force: bool = True) -> None:
        """Remove it with its anonymous volumes; gone already is no error."""
        ...

    async def inspect(self, container_id: str) -> ContainerState | None:
        """State, or None when it does not exist."""
        ...

    async def list(self, labels: Mapping[str, str]) -> Sequence[ContainerState]:
        """All containers, running or not, that carry these labels."""
        ...

    def events(self, labels: Mapping[str, str], *, since: float | None = None) -> AsyncIterator[EngineEvent]:
        """Follow events of containers with these labels, from the Unix time `since` on.

        Never ends by itself: raises EngineUnreachable when the engine goes away.
        """
        ...

    async def exec(
        self,
        container_id: str,
        command: Sequence[str],
        *,
        stdin: bool = False,
        tty: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> ExecStream:
        """Run a command inside. One that cannot be started gives exit code 126 or 127 and the runtime's words."""
        ...

    async def attach(self, container_id: str, *, stdin: bool = False, tty: bool = False) -> ExecStream:
        """Attach to the main process, which has to run: EngineError when it has ended."""
        ...

    def logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        timestamps: bool = False,
    ) -> AsyncIterator[tuple[Literal["stdout", "stderr"], bytes]]:
        """Log chunks; `since` is Unix seconds. Ends when the container ends, or at once without `follow`."""
        ...

    async def port_holder(self, port: int, protocol: str) -> str | None:
        """Name of the container that publishes a host port, or None."""
        ...

    async def put_archive(self, container_id: str, path: str, tar: bytes) -> None:
        """Unpack a tar archive inside a container (running or not)."""
        ...

    async def list_volumes(self, labels: Mapping[str, str]) -> Sequence[str]:
        """Names of the volumes that carry these labels."""
        ...

    async def remove_volume(self, name: str) -> None:
        """Remove a volume; gone already is no error."""
        ...

    async def close(self) -> None:
        """Release sockets and threads."""
        ...
