"""exec and attach: what is asked, how the process begins, and its streams over SPDY.

Over SPDY each of error, stdin, stdout, stderr and resize is a stream with that name in its header `streamtype`. The end of
the process is told on the error stream: a Status in v4, its message in older protocols.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import orjson
from starlette.datastructures import QueryParams

from labctl.api import status
from labctl.api.objects import Object
from labctl.apiserver import requests
from labctl.apiserver.context import Context
from labctl.apiserver.options import User
from labctl.apiserver.requests import ResourcePath
from labctl.apiserver.streams import targets
from labctl.apiserver.streams.spdy.connection import Channel, Connection, Stream
from labctl.engine.protocol import ExecStream

PROTOCOLS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
_WITH_STATUS = PROTOCOLS[:1]
_WITH_RESIZE = PROTOCOLS[:2]
_STREAMS_S = 30.0  # until a client has opened all streams
_LINGER_S = 5.0  # for a client that is still sending when the process has ended
_MAX_STREAMS = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """The query of an exec or attach."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    def streams(self, protocol: str) -> frozenset[str]:
        """The streams that a client opens for it."""
        wanted = {
            "error": True,
            "stdin": self.stdin,
            "stdout": self.stdout,
            "stderr": self.stderr and not self.tty,
            "resize": self.tty and protocol in _WITH_RESIZE,
        }
        return frozenset(name for name, is_wanted in wanted.items() if is_wanted)


def asked(query: QueryParams) -> Asked:
    """Read the query. Raises ApiError 400 when no stream is asked for."""
    stdin, stdout, stderr, tty = (requests.flag(query, name) for name in ("stdin", "stdout", "stderr", "tty"))
    if not (stdin or stdout or stderr):
        raise status.bad_request("you must specify at least 1 of stdin, stdout, stderr")
    return Asked(stdin, stdout, stderr, tty)


async def begin(context: Context, user: User, path: ResourcePath, query: QueryParams, *, verb: str) -> ExecStream:
    """Start the process, or attach to it. Raises ApiError 400, 403, 404, 500."""
    pod = targets.streamed_pod_of(context, user, path, verb)
    container = targets.container_of(pod, query.get("container", ""))
    runtime = targets.runtime_of(context, pod)
    options = asked(query)
    if path.subresource == "attach":
        return await runtime.attach(pod, container, stdin=options.stdin, tty=options.tty)
    command = query.getlist("command")
    if not command:
        raise status.bad_request("you must specify at least 1 command for the container")
    return await runtime.exec(pod, container, command, stdin=options.stdin, tty=options.tty)


class RemoteCommand:
    """One process and the client's streams."""

    def __init__(self, process: ExecStream, wanted: frozenset[str], protocol: str) -> None:
        self._process = process
        self._wanted = wanted
        self._protocol = protocol
        self._streams: dict[str, Stream] = {}
        self._complete = asyncio.Event()

    async def serve(self, channel: Channel) -> None:
        """Carry bytes until the process ends or the client goes."""
        connection = Connection(channel, self._opened, max_streams=_MAX_STREAMS)
        try:
            async with asyncio.TaskGroup() as tasks:
                gone = tasks.create_task(connection.run(), name="streams of the client")
                work = tasks.create_task(self._run(gone), name="process")
                await asyncio.wait([gone, work], return_when=asyncio.FIRST_COMPLETED)
                gone.cancel()
                work.cancel()
        except* ConnectionError:
            pass  # the client went away; closing the process's streams ends what it asked for
        finally:
            await self._process.close()

    def _opened(self, stream: Stream) -> bool:
        name = stream.headers.get("streamtype", "")
        if name not in self._wanted or name in self._streams:
            return False
        self._streams[name] = stream
        if self._streams.keys() == self._wanted:
            self._complete.set()
        return True

    async def _run(self, gone: asyncio.Task[None]) -> None:
        try:
            async with asyncio.timeout(_STREAMS_S):
                await self._complete.wait()
        except TimeoutError:
            return
        async with asyncio.TaskGroup() as pumps:
            pumping = [pumps.create_task(pump, name="from the client") for pump in (self._stdin(), self._resize())]
            ended = await self._output()
            for task in pumping:
                task.cancel()
        await self._tell(ended)
        # closing while the client still sends would make its kernel forget what it has not read yet
        await asyncio.wait([gone], timeout=_LINGER_S)

    async def _output(self) -> Object:
        """Send what the process says; returns the Status of its end."""
        try:
            async for name, data in self._process.output():
                if (stream := self._streams.get(name)) is not None:
                    await stream.write(data)
            return exit_status(await self._process.exit_code())
        except status.ApiError as error:
            return failed_status(error)

    async def _tell(self, ended: Object) -> None:
        error = self._streams["error"]
        if self._protocol in _WITH_STATUS:
            await error.write(orjson.dumps(ended))
        elif ended["status"] != "Success":
            await error.write(ended["message"].encode())
        for name, stream in self._streams.items():
            stream.end()
            if name != "stdin":
                await stream.close_write()

    async def _stdin(self) -> None:
        if (stream := self._streams.get("stdin")) is None:
            return
        while data := await stream.read():
            await self._process.write(data)
        await self._process.close_stdin()

    async def _resize(self) -> None:
        if (stream := self._streams.get("resize")) is None:
            return
        held = b""
        while data := await stream.read():
            *lines, held = (held + data).split(b"\n")
            for line in lines:
                await resize(self._process, line)
            if len(held) > _MAX_SIZE_BYTES:
                held = b""


_MAX_SIZE_BYTES = 1024


async def resize(process: ExecStream, data: bytes) -> None:
    """Give the terminal the size in a JSON text; what is none is passed over, as in Kubernetes."""
    with suppress(ValueError, KeyError, TypeError):
        size = orjson.loads(data)
        width, height = int(size["Width"]), int(size["Height"])
        if 0 < width <= _MAX_CELLS and 0 < height <= _MAX_CELLS:
            await process.resize(width, height)


_MAX_CELLS = 0xFFFF  # struct winsize has 16 bits for each


def failed_status(error: status.ApiError) -> Object:
    """The Status of a process that never began. A kubelet's error passes two servers, and each says that it is internal."""
    return status.internal(error.message).status()


def exit_status(code: int) -> Object:
    """The Status on the error channel: kubectl takes the exit code from its cause."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
