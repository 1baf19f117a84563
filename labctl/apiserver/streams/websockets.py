"""exec, attach and port-forward over WebSocket.

exec and attach: the channels of `v4.channel.k8s.io` and `v5.channel.k8s.io`. A binary message is one byte of channel and data:
0 stdin, 1 stdout, 2 stderr, 3 error (a Status at the end), 4 resize (JSON with Width and Height). In v5 a message on channel
255 closes the channel that its second byte names (KEP-4006). Port-forward: SPDY frames as they are inside binary messages.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from labctl.api import status
from labctl.api.objects import Object
from labctl.apiserver.context import Context
from labctl.apiserver.options import User
from labctl.apiserver.requests import ResourcePath
from labctl.apiserver.streams import remote_command, targets
from labctl.apiserver.streams.channels import WebSocketChannel
from labctl.apiserver.streams.port_forward import PROTOCOL, PortForward
from labctl.engine.protocol import ExecStream

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_TUNNEL = f"SPDY/3.1+{PROTOCOL}"


async def serve(context: Context, websocket: WebSocket, user: User, path: ResourcePath) -> None:
    """One exec, attach or port-forward. Raises ApiError before the handshake, so that refusals are plain HTTP answers."""
    if path.subresource == "portforward":
        await _forward(context, websocket, user, path)
    elif path.subresource in ("exec", "attach"):
        protocol = _negotiate(websocket, _PROTOCOLS)
        stream = await remote_command.begin(context, user, path, websocket.query_params, verb="get")
        await websocket.accept(subprotocol=protocol)
        await _relay(websocket, stream)
    else:
        raise status.bad_request(f"{path.kind.resource}/{path.subresource} is not a WebSocket")


async def _forward(context: Context, websocket: WebSocket, user: User, path: ResourcePath) -> None:
    pod = targets.streamed_pod_of(context, user, path, "get")
    runtime = targets.runtime_of(context, pod)
    await websocket.accept(subprotocol=_negotiate(websocket, (_TUNNEL,)))
    channel = WebSocketChannel(websocket)
    forward = PortForward(pod["metadata"]["uid"], lambda port: runtime.dial(pod, port))
    try:
        with suppress(ConnectionError):
            await forward.serve(channel)
    finally:
        await channel.close()


def _negotiate(websocket: WebSocket, supported: tuple[str, ...]) -> str:
    asked = websocket.scope.get("subprotocols", ())
    protocol = next((p for p in asked if p in supported), None)
    if protocol is None:
        raise status.bad_request(f"unable to upgrade: the subprotocol must be one of {', '.join(supported)}")
    return str(protocol)


async def _relay(websocket: WebSocket, stream: ExecStream) -> None:
    """Carry bytes both ways until the process ends or the client goes."""
    try:
        async with asyncio.TaskGroup() as tasks:
            reader = tasks.create_task(_from_client(websocket, stream), name="exec: from the client")
            ended = await _send_output(websocket, stream)
            await websocket.send_bytes(bytes([ERROR]) + orjson.dumps(ended))
            reader.cancel()
    except* (WebSocketDisconnect, ConnectionError):
        pass  # the client went away; closing the stream below ends what it asked for
    finally:
        await stream.close()
    with suppress(RuntimeError):  # already closed by the client
        await websocket.close()


async def _send_output(websocket: WebSocket, stream: ExecStream) -> Object:
    """Send what the process says; returns the Status of its end."""
    try:
        async for name, data in stream.output():
            await websocket.send_bytes(bytes([STDOUT if name == "stdout" else STDERR]) + data)
        return remote_command.exit_status(await stream.exit_code())
    except status.ApiError as error:
        return remote_command.failed_status(error)


async def _from_client(websocket: WebSocket, stream: ExecStream) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            await stream.close()
            return
        data = message.get("bytes") or (message.get("text") or "").encode()
        if not data:
            continue
        if data[0] == STDIN:
            await stream.write(data[1:])
        elif data[0] == RESIZE:
            await remote_command.resize(stream, data[1:])
        elif data[0] == CLOSE and data[1:2] == bytes([STDIN]):
            await stream.close_stdin()
