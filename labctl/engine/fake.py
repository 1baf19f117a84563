"""FakeEngine: the Engine Protocol in memory, for tests of everything that runs containers.

It keeps the engine's rules (names, addresses and host ports are unique; a container can only join one that exists)
and its event order, and lets a test play the part of the world: `crash` ends a process, `hold_port` takes a host port,
`images` and `pullable` say what is where. Commands are Python functions in `programs`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from labctl.api import times
from labctl.engine.errors import (
    AddressInUse,
    EngineError,
    EngineUnreachable,
    ImageUnavailable,
    NameInUse,
    NoSuchContainer,
    PortUnavailable,
    StartFailed,
)
from labctl.engine.protocol import ContainerSpec, ContainerState, EngineEvent, EngineInfo, ExecStream, ImageInfo

Output = Sequence[tuple[Literal["stdout", "stderr"], bytes]]
Program = Callable[[bytes], tuple[Output, int]]
"""What a command does: stdin -> tagged output and exit code."""

SIGTERM_CODE, SIGKILL_CODE = 143, 137


@dataclass(slots=True)
class FakeContainer:
    """One container of the fake."""

    id: str
    spec: ContainerSpec
    state: ContainerState
    log: list[tuple[Literal["stdout", "stderr"], bytes]] = field(default_factory=list)
    archives: list[tuple[str, bytes]] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    ignores_sigterm: bool = False


class FakeExec:
    """A program that runs when its input ends (without stdin: at once)."""

    def __init__(self, program: Program, *, stdin: bool) -> None:
        self._program = program
        self._input = b""
        self._input_ended = asyncio.Event()
        self._code = 0
        if not stdin:
            self._input_ended.set()

    async def write(self, data: bytes) -> None:
        """Send to stdin."""
        self._input += data

    async def close_stdin(self) -> None:
        """End of stdin."""
        self._input_ended.set()

    async def output(self) -> AsyncIterator[tuple[Literal["stdout", "stderr"], bytes]]:
        """Output until the process ends."""
        await self._input_ended.wait()
        chunks, self._code = self._program(self._input)
        for chunk in chunks:
            yield chunk

    async def resize(self, width: int, height: int) -> None:
        """A fake terminal has any size."""

    async def exit_code(self) -> int:
        """Exit code."""
        return self._code

    async def close(self) -> None:
        """Give the stream up."""
        self._input_ended.set()


def _cat(data: bytes) -> tuple[Output, int]:
    return [("stdout", data)] if data else [], 0


class FakeEngine:
    """An engine in memory. `clock` gives Unix seconds for the states' times."""

    def __init__(self, *, clock: Callable[[], float] = lambda: 0.0, images: Sequence[str] = ()) -> None:
        self.images: dict[str, ImageInfo] = {name: ImageInfo(f"sha256:{name}") for name in images}
        self.pullable: dict[str, ImageInfo] = {}
        self.unreachable_registry = False
        self.containers: dict[str, FakeContainer] = {}
        self.volumes: dict[str, Mapping[str, str]] = {}
        self.programs: dict[tuple[str, ...], Program] = {("cat",): _cat, ("true",): lambda _: ([], 0)}
        self.cannot_start: dict[str, str] = {}  # first word of a command -> the runtime's complaint
        self.held_ports: set[tuple[int, str]] = set()
        self.taken_addresses: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.is_down = False
        self._clock = clock
        self._history: list[EngineEvent] = []
        self._ids = itertools.count(1)
        self._listeners: list[tuple[Mapping[str, str], asyncio.Queue[EngineEvent | None]]] = []

    # What a test does to the world.

    def named(self, name: str) -> FakeContainer:
        """The container with this name (or the only one whose name contains it)."""
        found = [c for c in self.containers.values() if c.state.name == name]
        found = found or [c for c in self.containers.values() if name in c.state.name]
        if len(found) != 1:
            raise LookupError(f"{name}: {[c.state.name for c in self.containers.values()]}")
        return found[0]

    def crash(self, name: str, *, exit_code: int = 1, oom: bool = False) -> None:
        """End a container's process."""
        container = self.named(name)
        if oom:
            container.state = replace(container.state, oom_killed=True)
            self._tell("oom", container)
        self._end(container, exit_code)

    def say(self, name: str, text: str, *, stream: Literal["stdout", "stderr"] = "stdout") -> None:
        """Let a container write to its log."""
        self.named(name).log.append((stream, text.encode()))

    def hold_port(self, port: int, protocol: str = "tcp") -> None:
        """Take a host port, as a process outside the engine would."""
        self.held_ports.add((port, protocol))

    def stop_events(self) -> None:
        """Break the event streams and forget what was, as a restart of the engine does."""
        for _, queue in self._listeners:
            queue.put_nowait(None)

    # The Protocol.

    def _called(self, name: str) -> None:
        self.calls[name] += 1
        if self.is_down:
            raise EngineUnreachable("the container engine does not answer")

    def _get(self, container_id: str) -> FakeContainer:
        found = self.containers.get(container_id)
        if found is None:
            found = next((c for c in self.containers.values() if c.state.name == container_id), None)
        if found is None:
            raise NoSuchContainer(f"No such container: {container_id}")
        return found

    async def info(self) -> EngineInfo:
        """Two CPUs and 8 GiB."""
        self._called("info")
        return EngineInfo(2, 8 * 2**30, "6.1.0", "Debian GNU/Linux 12 (bookworm)", "amd64", "28.0.0")

    async def pull(self, image: str) -> None:
        """Fetch an image from `pullable`."""
        self._called("pull")
        await asyncio.sleep(0)
        if self.unreachable_registry:
            raise ImageUnavailable(image, "dial tcp: lookup registry: no such host", is_unreachable=True)
        if image not in self.pullable:
            raise ImageUnavailable(image, f"manifest for {image} not found: manifest unknown")
        self.images[image] = self.pullable[image]

    async def image(self, image: str) -> ImageInfo | None:
        """A local image."""
        self._called("image")
        return self.images.get(image)

    async def create(self, spec: ContainerSpec) -> str:
        """Create a container."""
        self._called("create")
        await asyncio.sleep(0)
        if (holder := next((c.id for c in self.containers.values() if c.state.name == spec.name), None)) is not None:
            raise NameInUse(f'Conflict. The container name "/{spec.name}" is already in use', holder=holder)
        if spec.image not in self.images:
            raise EngineError(f"No such image: {spec.image}")
        if spec.network_of:
            self._get(spec.network_of)
        for mount in spec.mounts:
            if mount.volume and not mount.subpath:
                self.volumes.setdefault(mount.volume, dict(spec.labels))
        container_id = f"{next(self._ids):064x}"
        state = ContainerState(
            container_id, spec.name, spec.image, self.images[spec.image].id, dict(spec.labels), "created",
            addresses={spec.network: spec.address} if spec.network else {},
        )  # fmt: skip
        self.containers[container_id] = FakeContainer(container_id, spec, state)
        return container_id

    async def start(self, container_id: str) -> None:
        """Start it."""
        self._called("start")
        await asyncio.sleep(0)
        container = self._get(container_id)
        if container.state.status == "running":
            return
        self._check_start(container.spec)
        container.ended = asyncio.Event()
        started = times.format_time(self._clock())
        container.state = replace(container.state, status="running", started_at=started, finished_at="", exit_code=0)
        self._tell("start", container)

    def _check_start(self, spec: ContainerSpec) -> None:
        running = [c.spec for c in self.containers.values() if c.state.status == "running"]
        word = next(iter((*spec.command, *spec.args)), "")
        if word in self.cannot_start:
            raise StartFailed(self.cannot_start[word])
        if spec.address and (spec.address in self.taken_addresses or any(r.address == spec.address for r in running)):
            raise AddressInUse("Address already in use")
        used = {(p.host_port, p.protocol) for r in running for p in r.ports} | self.held_ports
        for port in spec.ports:
            if (port.host_port, port.protocol) in used:
                raise PortUnavailable(port.host_port, f"Bind for 127.0.0.1:{port.host_port} failed")
        if spec.network_of and self._get(spec.network_of).state.status != "running":
            raise EngineError(f"cannot join network of a non running container: {spec.network_of}")

    def _end(self, container: FakeContainer, exit_code: int) -> None:
        if container.state.status != "running":
            return
        finished = times.format_time(self._clock())
        container.state = replace(container.state, status="exited", exit_code=exit_code, finished_at=finished)
        container.ended.set()
        self._tell("die", container, exit_code)

    async def stop(self, container_id: str, *, grace_s: float) -> None:
        """SIGTERM, then SIGKILL."""
        self._called("stop")
        try:
            container = self._get(container_id)
        except NoSuchContainer:
            return
        if container.ignores_sigterm:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await container.ended.wait()
        self._end(container, SIGKILL_CODE if container.ignores_sigterm else SIGTERM_CODE)

    async def kill(self, container_id: str, *, signal: str = "KILL") -> None:
        """Send a signal; only KILL and TERM do something."""
        self._called("kill")
        container = self._get(container_id)
        if container.state.status != "running":
            raise EngineError(f"Container {container_id} is not running")
        if signal in ("KILL", "TERM"):
            self._end(container, SIGKILL_CODE if signal == "KILL" else SIGTERM_CODE)

    async def remove(self, container_id: str, *, force: bool = True) -> None:
        """Remove it."""
        self._called("remove")
        try:
            container = self._get(container_id)
        except NoSuchContainer:
            return
        if container.state.status == "running" and not force:
            raise EngineError("You cannot remove a running container")
        self._end(container, SIGKILL_CODE)
        del self.containers[container.id]
        self._tell("destroy", container)

    async def inspect(self, container_id: str) -> ContainerState | None:
        """State, or None."""
        self._called("inspect")
        try:
            return self._get(container_id).state
        except NoSuchContainer:
            return None

    async def list(self, labels: Mapping[str, str]) -> Sequence[ContainerState]:
        """All containers that carry these labels."""
        self._called("list")
        return [c.state for c in self.containers.values() if _carries(c.state.labels, labels)]

    async def events(self, labels: Mapping[str, str], *, since: float | None = None) -> AsyncIterator[EngineEvent]:
        """Follow container events."""
        self._called("events")
        queue: asyncio.Queue[EngineEvent | None] = asyncio.Queue()
        for event in self._history:
            if since is not None and event.time >= since and _carries(event.labels, labels):
                queue.put_nowait(event)
        self._listeners.append((labels, queue))
        try:
            while (new := await queue.get()) is not None:
                yield new
            raise EngineUnreachable("the container engine closed its event stream")
        finally:
            self._listeners.remove((labels, queue))

    def _tell(
        self, action: Literal["start", "die", "destroy", "oom"], container: FakeContainer, exit_code: int | None = None
    ) -> None:
        event = EngineEvent(action, container.id, container.state.labels, exit_code, self._clock())
        self._history.append(event)
        for labels, queue in self._listeners:
            if _carries(event.labels, labels):
                queue.put_nowait(event)

    async def exec(
        self,
        container_id: str,
        command: Sequence[str],
        *,
        stdin: bool = False,
        tty: bool = False,  # noqa: ARG002  # output is the same
        env: Mapping[str, str] | None = None,  # noqa: ARG002  # programs are functions
    ) -> ExecStream:
        """Run a program."""
        self._called("exec")
        if self._get(container_id).state.status != "running":
            raise EngineError(f"Container {container_id} is not running")
        program = self.programs.get(tuple(command)) or self.programs.get((command[0],))
        return FakeExec(program or _not_found(command[0]), stdin=stdin)

    async def attach(self, container_id: str, *, stdin: bool = False, tty: bool = False) -> ExecStream:  # noqa: ARG002  # output is the same
        """Attach to the main process: it echoes."""
        self._called("attach")
        if self._get(container_id).state.status != "running":
            raise EngineError("container is in CONTAINER_EXITED state")
        return FakeExec(_cat, stdin=stdin)

    async def logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,  # noqa: ARG002  # lines carry no times here
        timestamps: bool = False,  # noqa: ARG002
    ) -> AsyncIterator[tuple[Literal["stdout", "stderr"], bytes]]:
        """Log chunks, one for each `say`."""
        self._called("logs")
        container = self._get(container_id)
        seen = 0 if tail is None else max(0, len(container.log) - tail)
        while True:
            while seen < len(container.log):
                yield container.log[seen]
                seen += 1
            if not follow or container.state.status != "running":
                return
            await container.ended.wait()

    async def port_holder(self, port: int, protocol: str) -> str | None:
        """Name of the container that publishes a host port."""
        self._called("port_holder")
        for container in self.containers.values():
            ports = {(p.host_port, p.protocol) for p in container.spec.ports}
            if container.state.status == "running" and (port, protocol) in ports:
                return container.state.name
        return None

    async def put_archive(self, container_id: str, path: str, tar: bytes) -> None:
        """Keep the archive."""
        self._called("put_archive")
        self._get(container_id).archives.append((path, tar))

    async def list_volumes(self, labels: Mapping[str, str]) -> Sequence[str]:
        """Names of the volumes that carry these labels."""
        self._called("list_volumes")
        return [name for name, own in self.volumes.items() if _carries(own, labels)]

    async def remove_volume(self, name: str) -> None:
        """Remove a volume."""
        self._called("remove_volume")
        self.volumes.pop(name, None)

    async def close(self) -> None:
        """End the event streams."""
        self.stop_events()


def _carries(own: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(own.get(key) == value for key, value in wanted.items())


def _not_found(word: str) -> Program:
    text = f'OCI runtime exec failed: exec failed: unable to start container process: exec: "{word}": '
    return lambda _: ([("stdout", f"{text}executable file not found in $PATH: unknown\r\n".encode())], 126)
