"""exec, attach, logs and port-forward for the API server: what it would ask a node's kubelet over HTTPS."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Literal, Protocol

from labctl.api import kinds, status
from labctl.api.objects import Object
from labctl.engine.errors import EngineError, NoSuchContainer
from labctl.engine.protocol import Engine, ExecStream
from labctl.kubelet.instances import Instance
from labctl.kubelet.kit import Dialer, Streams
from labctl.kubelet.pod_state import PodState

_RUNTIME_FAILED = b"OCI runtime exec failed"
_NOT_STARTED = (126, 127)
_REFUSAL_S = 0.25  # by then a relay in the pod has ended when nobody listens


class LogQuery(Protocol):
    """The query of a log request (labctl.apiserver.runtime.LogOptions: this package does not know that one)."""

    @property
    def container(self) -> str: ...  # noqa: D102  # said by its name, as are the others
    @property
    def follow(self) -> bool: ...  # noqa: D102
    @property
    def previous(self) -> bool: ...  # noqa: D102
    @property
    def tail_lines(self) -> int | None: ...  # noqa: D102
    @property
    def limit_bytes(self) -> int | None: ...  # noqa: D102
    @property
    def since_time(self) -> float | None: ...  # noqa: D102
    @property
    def timestamps(self) -> bool: ...  # noqa: D102
    @property
    def stream(self) -> str: ...  # noqa: D102


class Runtime:
    """`find` gives the state of a pod by its uid, or None when no worker runs it."""

    def __init__(self, engine: Engine, dialer: Dialer, find: Callable[[str], PodState | None]) -> None:
        self._engine = engine
        self._dialer = dialer
        self._find = find

    async def exec(self, pod: Object, container: str, command: Sequence[str], *, stdin: bool, tty: bool) -> ExecStream:
        """Run a command in a container of the pod."""
        instance = self._running(pod, container, f'container not found ("{container}")')
        with _as_internal("error executing command in container"):
            env = {"TERM": "xterm"} if tty else None
            return CheckedExec(await self._engine.exec(instance.id, command, stdin=stdin, tty=tty, env=env))

    async def attach(self, pod: Object, container: str, *, stdin: bool, tty: bool) -> ExecStream:  # noqa: ARG002  # the container's own setting counts
        """Attach to a container's main process."""
        meta = pod["metadata"]
        full_name = f"{meta['name']}_{meta['namespace']}"
        instance = self._running(pod, container, f"container {container} not found in pod {full_name}")
        spec = self._state(pod).container(container) or {}
        with _as_internal("error attaching to container"):
            return Attached(await self._engine.attach(instance.id, stdin=stdin, tty=bool(spec.get("tty"))))

    def _state(self, pod: Object) -> PodState:
        state = self._find(pod["metadata"]["uid"])
        if state is None:
            raise status.not_found(kinds.POD, pod["metadata"]["name"])
        return state

    def _running(self, pod: Object, container: str, otherwise: str) -> Instance:
        current = self._state(pod).instances.current(container)
        if current is None or not current.is_running:
            raise status.KubeletError(otherwise)
        return current

    async def logs(self, pod: Object, options: LogQuery) -> AsyncIterator[bytes]:
        """Log bytes of one container. The first chunk is empty: it only says that the container was found."""
        instance = self._logged(pod, options)
        left = options.limit_bytes
        chunks = self._engine.logs(
            instance.id,
            follow=options.follow and instance.is_running,
            tail=options.tail_lines,
            since=options.since_time,
            timestamps=options.timestamps,
        )
        yield b""
        try:
            async for tag, data in chunks:
                if options.stream not in ("All", tag.capitalize()):
                    continue
                yield data if left is None else data[:left]
                if left is not None and (left := left - len(data)) <= 0:
                    return
        except NoSuchContainer:
            yield f"unable to retrieve container logs for docker://{instance.id}".encode()

    def _logged(self, pod: Object, options: LogQuery) -> Instance:
        """The run of the container whose log is meant. Raises ApiError 400 in the kubelet's words."""
        state, name = self._state(pod), options.container
        where = f'container "{name}" in pod "{pod["metadata"]["name"]}"'
        instances = state.instances
        current, previous = instances.current(name), instances.previous(name)
        if current is not None and current.state == "created":
            current, previous = previous, None
        if options.previous:
            ended = _waiting_to_restart(state, current) or previous
            if ended is None:
                raise status.bad_request(f"previous terminated {where} not found")
            return ended
        if current is not None:
            return current
        reason = state.waiting[name].reason if name in state.waiting else "ContainerCreating"
        words = {
            "ErrImagePull": "image can't be pulled",
            "ImagePullBackOff": "trying and failing to pull image",
        }
        raise status.bad_request(f"{where} is waiting to start: {words.get(reason, reason)}")

    async def dial(self, pod: Object, port: int) -> Streams:
        """A TCP connection to a port of the pod.

        Most programs listen on every address and are reached through the node at once. One that listens on the pod's
        own loopback only is reached by a relay in its sandbox.
        """
        state = self._state(pod)
        with contextlib.suppress(OSError):
            return await self._dialer.open(state.node, next(iter(state.pod_ips), ""), port)
        sandbox = state.instances.sandbox
        if sandbox is None or not sandbox.is_running:
            raise status.internal(f"pod {pod['metadata']['name']} has no running sandbox")
        with _as_internal(f"error forwarding port {port} to pod {pod['metadata']['uid']}"):
            relay = await self._engine.exec(sandbox.id, ("busybox", "nc", "127.0.0.1", str(port)), stdin=True)
        return await RelayTransport.streams(relay, port)


def _waiting_to_restart(state: PodState, current: Instance | None) -> Instance | None:
    """A container that has ended and waits for its restart counts as the previous one."""
    return current if current is not None and not current.is_running and current.name in state.waiting else None


@contextlib.contextmanager
def _as_internal(what: str) -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        raise status.internal(f"{what}: {error}") from error


class Attached:
    """An attach ends well however its process does: kubelets tell no exit code there, clients find it in the Pod."""

    def __init__(self, stream: ExecStream) -> None:
        self.write = stream.write
        self.close_stdin = stream.close_stdin
        self.output = stream.output
        self.resize = stream.resize
        self.close = stream.close

    async def exit_code(self) -> int:
        """That of the attaching."""
        return 0


class CheckedExec:
    """An exec whose command could not be started says so as an error, not as output with exit code 126."""

    def __init__(self, stream: ExecStream) -> None:
        self._stream = stream
        self.write = stream.write
        self.close_stdin = stream.close_stdin
        self.resize = stream.resize
        self.exit_code = stream.exit_code
        self.close = stream.close

    async def output(self) -> AsyncIterator[tuple[Literal["stdout", "stderr"], bytes]]:
        """Output until the process ends. Raises ApiError 500 when it never began."""
        held = b""
        is_first = True
        async for tag, data in self._stream.output():
            if (is_first and data.startswith(_RUNTIME_FAILED)) or held:
                held += data
            else:
                yield tag, data
            is_first = False
        if not held:
            return
        if await self._stream.exit_code() not in _NOT_STARTED:  # a program's own words after all
            yield "stdout", held
            return
        text = held.decode(errors="replace").strip()
        raise status.internal(f"error executing command in container: failed to exec in container: {text}")


class RelayTransport(asyncio.Transport):
    """Makes a relay's exec look like a connection."""

    def __init__(self, relay: ExecStream, reader: asyncio.StreamReader) -> None:
        super().__init__()
        self._relay = relay
        self._reader = reader
        self._to_send: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._is_closing = False
        self._pumps: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()

    @classmethod
    async def streams(cls, relay: ExecStream, port: int) -> Streams:
        """Reader and writer of the relay. Raises ApiError 500 when nobody listens on the port."""
        reader = asyncio.StreamReader()
        transport = cls(relay, reader)
        transport._pumps = asyncio.ensure_future(transport._pump())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REFUSAL_S):
                await transport.ended.wait()
        if transport.ended.is_set() and reader.at_eof():
            raise status.internal(
                f"error forwarding port {port}: dial tcp4 127.0.0.1:{port}: connect: connection refused"
            )
        protocol = asyncio.StreamReaderProtocol(reader)
        return reader, asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())

    async def _pump(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._send())
                async for tag, data in self._relay.output():
                    if tag == "stdout":
                        self._reader.feed_data(data)
                sending.cancel()
        finally:
            self._reader.feed_eof()
            self.ended.set()
            await self._relay.close()

    async def _send(self) -> None:
        while (data := await self._to_send.get()) is not None:
            await self._relay.write(data)
        await self._relay.close_stdin()

    def write(self, data: bytes | bytearray | memoryview[int]) -> None:
        """Send."""
        self._to_send.put_nowait(bytes(data))

    def can_write_eof(self) -> bool:
        """Half-close is possible."""
        return True

    def write_eof(self) -> None:
        """Half-close."""
        self._to_send.put_nowait(None)

    def is_closing(self) -> bool:
        """Whether `close` was called."""
        return self._is_closing

    def close(self) -> None:
        """End the relay."""
        self._is_closing = True
        if self._pumps is not None:
            self._pumps.cancel()

    abort = close
