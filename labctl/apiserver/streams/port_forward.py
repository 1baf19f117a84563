"""Port-forward over SPDY: pairs of streams, each a TCP connection to a port of the pod.

The client opens an error stream and a data stream with the headers `port`, `streamtype` and the same `requestid`. Why a
connection could not be had is written on the error stream. Both end when the pod's side has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from labctl.api.status import ApiError
from labctl.apiserver.streams.spdy.connection import Channel, Connection, Stream
from labctl.apiserver.streams.spdy.frames import RstStatus

PROTOCOL = "portforward.k8s.io"
_PAIRING_S = 30.0  # from the first stream of a pair to the second
_LAST_WORDS_S = 1.0  # a client may go on sending for so long after the pod has ended its side
_CHUNK = 64 * 1024

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[int], Awaitable[Streams]]
"""Connects to a port of the pod. Raises ApiError or OSError."""


@dataclass(slots=True)
class _Pair:
    """The streams of one forwarded connection."""

    port: int
    streams: dict[str, Stream] = field(default_factory=dict)
    complete: asyncio.Event = field(default_factory=asyncio.Event)


class PortForward:
    """All forwarded connections of one client; `pod` is how errors name the pod."""

    def __init__(self, pod: str, dial: Dial) -> None:
        self._pod = pod
        self._dial = dial
        self._pairs: dict[str, _Pair] = {}
        self._forwards: set[asyncio.Task[None]] = set()
        self._tasks: asyncio.TaskGroup

    async def serve(self, channel: Channel) -> None:
        """Forward until the client goes."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                await Connection(channel, self._opened).run()
            finally:
                for task in self._forwards:
                    task.cancel()

    def _opened(self, stream: Stream) -> bool:
        kind, port = stream.headers.get("streamtype", ""), port_of(stream.headers.get("port", ""))
        if kind not in ("error", "data") or port is None:
            return False
        # clients from before 1.2 sent no id: a data stream followed its error stream at once
        request = stream.headers.get("requestid") or str(stream.id - 2 * (kind == "data"))
        pair = self._pairs.get(request)
        if pair is None:
            pair = self._pairs[request] = _Pair(port)
            task = self._tasks.create_task(self._forward(request, pair), name=f"forward to port {port}")
            self._forwards.add(task)
            task.add_done_callback(self._forwards.discard)
        if kind in pair.streams:
            return False
        pair.streams[kind] = stream
        if len(pair.streams) == 2:
            pair.complete.set()
        return True

    async def _forward(self, request: str, pair: _Pair) -> None:
        try:
            async with asyncio.timeout(_PAIRING_S):
                await pair.complete.wait()
        except TimeoutError:
            with suppress(ConnectionError):
                for stream in pair.streams.values():
                    await stream.reset(RstStatus.CANCEL)
            return
        finally:
            self._pairs.pop(request, None)
        data, error = pair.streams["data"], pair.streams["error"]
        error.end()  # clients send nothing on it
        with suppress(ConnectionError):
            if (connected := await self._connect(pair.port, data, error)) is not None:
                await _relay(*connected, data)
                await error.close_write()

    async def _connect(self, port: int, data: Stream, error: Stream) -> Streams | None:
        try:
            return await self._dial(port)
        except (ApiError, OSError) as failure:
            why = reason_of(failure)
            await error.write(f"error forwarding port {port} to pod {self._pod}, uid : {why}".encode())
            await error.close_write()
            await data.close_write()
            data.end()
            return None


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: Stream) -> None:
    """Carry bytes until the pod's side has ended. A broken connection to the pod resets the data stream."""
    try:
        async with asyncio.TaskGroup() as tasks:
            upload = tasks.create_task(_upload(data, writer), name="to the pod")
            while chunk := await reader.read(_CHUNK):
                await data.write(chunk)
            await data.close_write()
            await asyncio.wait([upload], timeout=_LAST_WORDS_S)
            upload.cancel()
            data.end()
    except* OSError:
        await data.reset()
    finally:
        writer.close()


async def _upload(data: Stream, writer: asyncio.StreamWriter) -> None:
    while chunk := await data.read():
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def port_of(text: str) -> int | None:
    """A port number, or None."""
    return int(text) if text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535 else None


def reason_of(failure: ApiError | OSError) -> str:
    """Why a connection failed, without the words that go with an answer over HTTP."""
    if isinstance(failure, ApiError):
        return failure.message.removeprefix("Internal error occurred: ")
    return failure.strerror or str(failure)
