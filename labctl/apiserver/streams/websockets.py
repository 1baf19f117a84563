"""exec, attach, port-forward, logs and watches over WebSocket.

exec and attach: see websocket_protocols. Port-forward: SPDY frames as they are inside binary messages. A log is what was
written, in messages wherever it came; a watch is one event in each text message.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from labctl.api import status
from labctl.api.objects import Object
from labctl.apiserver import handlers
from labctl.apiserver.context import Context
from labctl.apiserver.options import User
from labctl.apiserver.requests import ResourcePath
from labctl.apiserver.streams import logs, remote_command, targets, websocket_protocols
from labctl.apiserver.streams.channels import WebSocketChannel
from labctl.apiserver.streams.port_forward import PROTOCOL, PortForward
from labctl.apiserver.streams.websocket_protocols import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT, StreamProtocol
from labctl.engine.protocol import ExecStream

_TUNNEL = f"SPDY/3.1+{PROTOCOL}"


async def serve(context: Context, websocket: WebSocket, user: User, path: ResourcePath) -> None:
    """One stream. Raises ApiError before the handshake, so that refusals are plain HTTP answers."""
    match path.subresource:
        case "portforward":
            await _forward(context, websocket, user, path)
        case "exec" | "attach":
            await _remote_command(context, websocket, user, path)
        case "log":
            await _log(context, websocket, user, path)
        case "":
            await _watch(context, websocket, user, path)
        case _:
            raise status.bad_request(f"{path.kind.resource}/{path.subresource} is not a WebSocket")


def _asked(websocket: WebSocket) -> list[str]:
    return websocket_protocols.without_token(websocket.scope.get("subprotocols", ()))


def _refused(supported: Iterable[str]) -> status.ApiError:
    names = ", ".join(name for name in supported if name)
    return status.bad_request(f"unable to upgrade: the subprotocol must be one of {names}")


async def _forward(context: Context, websocket: WebSocket, user: User, path: ResourcePath) -> None:
    pod = targets.streamed_pod_of(context, user, path, "get")
    runtime = targets.runtime_of(context, pod)
    if _TUNNEL not in _asked(websocket):
        raise _refused([_TUNNEL])
    await websocket.accept(subprotocol=_TUNNEL)
    channel = WebSocketChannel(websocket)
    forward = PortForward(pod["metadata"]["uid"], lambda port: runtime.dial(pod, port))
    try:
        with suppress(ConnectionError):
            await forward.serve(channel)
    finally:
        await channel.close()


async def _remote_command(context: Context, websocket: WebSocket, user: User, path: ResourcePath) -> None:
    protocol = websocket_protocols.stream_protocol(_asked(websocket))
    if protocol is None:
        raise _refused(p.name for p in websocket_protocols.STREAMS)
    stream = await remote_command.begin(context, user, path, websocket.query_params, verb="get")
    await websocket.accept(subprotocol=protocol.name or None)
    await Relay(websocket, protocol, stream).run()


async def _log(context: Context, websocket: WebSocket, user: User, path: ResourcePath) -> None:
    protocol = next((p for p in _asked(websocket) or [""] if p in websocket_protocols.READERS), None)
    if protocol is None:
        raise _refused(websocket_protocols.READERS)
    chunks = await logs.begin(context, websocket.query_params, user, path)
    await websocket.accept(subprotocol=protocol or None)
    is_text = websocket_protocols.READERS[protocol]

    async def send() -> None:
        await _send(websocket, "" if is_text else b"")
        async for chunk in chunks or _nothing():
            await _send(websocket, base64.b64encode(chunk).decode() if is_text else chunk)

    await _send_until_gone(websocket, send)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def _watch(context: Context, websocket: WebSocket, user: User, path: ResourcePath) -> None:
    lines = handlers.watch_lines(context, user, path, websocket.query_params, websocket.headers.get("accept", ""))
    asked = _asked(websocket)
    await websocket.accept(subprotocol=asked[0] if asked else None)

    async def send() -> None:
        async for batch in lines:
            for line in batch.splitlines(keepends=True):
                await _send(websocket, line.decode())

    await _send_until_gone(websocket, send)


async def _send(websocket: WebSocket, message: bytes | str) -> None:
    if isinstance(message, str):
        await websocket.send_text(message)
    else:
        await websocket.send_bytes(message)


async def _send_until_gone(websocket: WebSocket, send: Callable[[], Awaitable[None]]) -> None:
    """Send all there is, or until the client goes; what it says is passed over."""

    async def watch_client() -> None:
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass
        raise WebSocketDisconnect

    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch_client(), name="WebSocket: is the client there")
            await send()
            watching.cancel()
    except* (WebSocketDisconnect, ConnectionError):
        pass  # the client went away
    with suppress(RuntimeError):
        await websocket.close()


class Relay:
    """Carries bytes both ways until the process ends or the client goes."""

    def __init__(self, websocket: WebSocket, protocol: StreamProtocol, stream: ExecStream) -> None:
        self._websocket = websocket
        self._protocol = protocol
        self._stream = stream

    async def run(self) -> None:
        """Relay to the end."""
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._from_client(), name="exec: from the client")
                if self._protocol.greets:
                    await self._tell(STDOUT, b"")
                ended = await self._output()
                await self._tell(ERROR, self._protocol.ending(ended))
                reader.cancel()
        except* (WebSocketDisconnect, ConnectionError):
            pass  # the client went away; closing the stream below ends what it asked for
        finally:
            await self._stream.close()
        with suppress(RuntimeError):  # already closed by the client
            await self._websocket.close()

    async def _tell(self, channel: int, data: bytes) -> None:
        await _send(self._websocket, self._protocol.encode(channel, data))

    async def _output(self) -> Object:
        """Send what the process says; returns the Status of its end."""
        try:
            async for name, data in self._stream.output():
                await self._tell(STDOUT if name == "stdout" else STDERR, data)
            return remote_command.exit_status(await self._stream.exit_code())
        except status.ApiError as error:
            return remote_command.failed_status(error)

    async def _from_client(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                await self._stream.close()
                return
            channel, data = self._protocol.decode(message.get("bytes") or message.get("text") or b"")
            if channel == STDIN:
                await self._stream.write(data)
            elif channel == RESIZE:
                await remote_command.resize(self._stream, data)
            elif channel == CLOSE and data[:1] == bytes([STDIN]):
                await self._stream.close_stdin()
