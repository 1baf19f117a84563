"""exec and attach over WebSocket: the channels of `v4.channel.k8s.io` and `v5.channel.k8s.io`.

A binary message is one byte of channel and data: 0 stdin, 1 stdout, 2 stderr, 3 error (a Status at the end), 4 resize
(JSON with Width and Height). In v5 a message on channel 255 closes the channel that its second byte names (KEP-4006).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from labctl.api import status
from labctl.api.objects import Object
from labctl.apiserver import requests
from labctl.apiserver.context import Context
from labctl.apiserver.options import User
from labctl.apiserver.requests import ResourcePath
from labctl.apiserver.streams import targets
from labctl.engine.protocol import ExecStream

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")


async def serve(context: Context, websocket: WebSocket, user: User, path: ResourcePath) -> None:
    """One exec or attach. Raises ApiError before the handshake, so that refusals are plain HTTP answers."""
    if path.subresource not in ("exec", "attach"):
        raise status.bad_request(f"labctl does not stream {path.kind.resource}/{path.subresource} yet")
    pod = targets.pod_of(context, user, path, "get")
    query = websocket.query_params
    container = targets.container_of(pod, query.get("container", ""))
    runtime = targets.runtime_of(context, pod)
    stdin, tty = requests.flag(query, "stdin"), requests.flag(query, "tty")
    protocol = next((p for p in _PROTOCOLS if p in websocket.scope.get("subprotocols", ())), None)
    if protocol is None:
        raise status.bad_request(f"unable to upgrade: the subprotocol must be one of {', '.join(_PROTOCOLS)}")
    if path.subresource == "exec":
        command = query.getlist("command")
        if not command:
            raise status.bad_request("you must specify at least 1 command for the container")
        stream = await runtime.exec(pod, container, command, stdin=stdin, tty=tty)
    else:
        stream = await runtime.attach(pod, container, stdin=stdin, tty=tty)
    await websocket.accept(subprotocol=protocol)
    await _relay(websocket, stream)


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
        return exit_status(await stream.exit_code())
    except status.ApiError as error:
        # The process never began. A kubelet's error passes two servers, and each says that it is internal.
        return status.internal(error.message).status()


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
            await _resize(stream, data[1:])
        elif data[0] == CLOSE and data[1:2] == bytes([STDIN]):
            await stream.close_stdin()


async def _resize(stream: ExecStream, data: bytes) -> None:
    try:
        size = orjson.loads(data)
        width, height = int(size["Width"]), int(size["Height"])
    except (ValueError, KeyError, TypeError):
        return  # not a size: nothing to do, as in Kubernetes
    if width > 0 and height > 0:
        await stream.resize(width, height)


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
