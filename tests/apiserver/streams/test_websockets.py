"""exec, logs and watches over WebSocket, from the handshake to the end, with a client in memory."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlencode

import pytest

from labctl.api.objects import Object
from labctl.apiserver import app as asgi
from labctl.apiserver.server import ApiServer
from labctl.apiserver.streams.websocket_protocols import BEARER, STREAMS, bearer_token, stream_protocol
from tests.apiserver.harness import DEFAULT, Client, config_map, pod
from tests.apiserver.streams.test_remote_command import Process


class Runtime:
    """Every pod says the same, and logs it."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def exec(self, *_: Any, **__: Any) -> Process:
        return self.process

    async def logs(self, *_: Any) -> AsyncIterator[bytes]:
        for chunk in (b"", b"one\n", b"two\n"):
            yield chunk


class Socket:
    """A WebSocket client: what the server sends, and what it is sent."""

    def __init__(
        self, server: ApiServer, path: str, protocols: list[str], *, runtime: Runtime, token: str, query: Object
    ) -> None:
        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        self._scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "query_string": urlencode(query, doseq=True).encode(),
            "headers": headers,
            "subprotocols": protocols,
            "scheme": "wss",
            "server": ("localhost", 443),
            "client": ("localhost", 1),
            "extensions": {"websocket.http.response": {}},
        }
        self._app = asgi.build(replace(server.context(), runtime=cast(Any, runtime)))
        self._inbox: asyncio.Queue[Object] = asyncio.Queue()
        self.sent: asyncio.Queue[Object] = asyncio.Queue()
        self._inbox.put_nowait({"type": "websocket.connect"})

    def says(self, message: bytes) -> None:
        self._inbox.put_nowait({"type": "websocket.receive", "bytes": message})

    def leaves(self) -> None:
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})

    async def serve(self) -> None:
        async with asyncio.timeout(5):
            await self._app(self._scope, self._inbox.get, self._put)

    async def _put(self, message: Any) -> None:
        self.sent.put_nowait(message)

    async def to_the_end(self) -> list[Any]:
        """What was sent: the accepted protocol first, then messages."""
        await self.serve()
        messages = [self.sent.get_nowait() for _ in range(self.sent.qsize())]
        return [_content(m) for m in messages if m["type"] != "websocket.close"]


def _content(message: Object) -> Any:
    if message["type"] == "websocket.accept":
        return message.get("subprotocol")
    if message["type"].startswith("websocket.http.response"):
        return message.get("status") or json.loads(message["body"])["message"]
    return message.get("bytes") if message.get("bytes") is not None else message.get("text")


PODS = f"{DEFAULT}/pods"
EXEC: dict[str, Any] = {"command": ["true"], "stdout": "1", "stderr": "1"}


async def opened(
    api: Client, path: str, *protocols: str, process: Process | None = None, token: str = "admin", **query: Any
) -> Socket:
    """A connection to a pod that runs, or to what else the path names."""
    await api.post(PODS, pod("p", nodeName="node-1"))
    runtime = Runtime(process or Process())
    return Socket(api.server, path, list(protocols), runtime=runtime, token=token, query=query)


def failing() -> Process:
    return Process(("stdout", b"out"), ("stderr", b"err"), code=3)


MESSAGE = "command terminated with non-zero exit code: exit status 3"


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
async def test_exec_ends_with_a_status(local: Client, protocol: str) -> None:
    connection = await opened(local, f"{PODS}/p/exec", protocol, process=failing(), **EXEC)
    accepted, *messages = await connection.to_the_end()
    assert accepted == protocol
    *output, ended = [m for m in messages if m != b"\x01"]
    assert output == [b"\x01out", b"\x02err"]
    assert json.loads(ended[1:])["message"] == MESSAGE


@pytest.mark.parametrize("protocols", [["channel.k8s.io"], []])
async def test_the_first_protocol_greets_and_ends_with_words(local: Client, protocols: list[str]) -> None:
    connection = await opened(local, f"{PODS}/p/exec", *protocols, process=failing(), **EXEC)
    accepted, *messages = await connection.to_the_end()
    assert accepted == (protocols[0] if protocols else None)
    assert messages == [b"\x01", b"\x01out", b"\x02err", b"\x03" + MESSAGE.encode()]


async def test_base64_protocols_speak_text(local: Client) -> None:
    connection = await opened(local, f"{PODS}/p/exec", "base64.channel.k8s.io", process=failing(), **EXEC)
    _, *messages = await connection.to_the_end()
    decoded = [(m[0], base64.b64decode(m[1:])) for m in messages]
    assert decoded == [("1", b""), ("1", b"out"), ("2", b"err"), ("3", MESSAGE.encode())]


async def test_a_log_is_read_over_a_websocket(local: Client) -> None:
    connection = await opened(local, f"{PODS}/p/log", "binary.k8s.io")
    accepted, *chunks = await connection.to_the_end()
    assert (accepted, b"".join(chunks)) == ("binary.k8s.io", b"one\ntwo\n")
    text = await opened(local, f"{PODS}/p/log", "base64.binary.k8s.io")
    assert b"".join(map(base64.b64decode, (await text.to_the_end())[1:])) == b"one\ntwo\n"


async def test_a_watch_sends_one_event_a_message(local: Client) -> None:
    await local.post(f"{DEFAULT}/configmaps", config_map("a"))
    connection = await opened(local, f"{DEFAULT}/configmaps", watch="true")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(connection.serve())
        async with asyncio.timeout(5):
            accepted, first = [await connection.sent.get() for _ in range(2)]
        connection.leaves()
    assert accepted["type"] == "websocket.accept"
    event = json.loads(first["text"])
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")


async def test_a_token_may_come_as_a_protocol(local: Client) -> None:
    token = BEARER + base64.urlsafe_b64encode(b"admin").decode().rstrip("=")
    connection = await opened(local, f"{PODS}/p/log", token, "binary.k8s.io", token="")
    assert (await connection.to_the_end())[0] == "binary.k8s.io"
    stranger = await opened(local, f"{PODS}/p/log", BEARER + "bm9ib2R5", "binary.k8s.io", token="")
    assert await stranger.to_the_end() == [401, "Unauthorized"]


@pytest.mark.parametrize(
    ("path", "protocol", "message"),
    [
        (f"{PODS}/p/exec", "v9", "unable to upgrade: the subprotocol must be one of v5.channel.k8s.io, "),
        (
            f"{PODS}/p/log",
            "v9",
            "unable to upgrade: the subprotocol must be one of binary.k8s.io, base64.binary.k8s.io",
        ),
        (PODS, "binary.k8s.io", "pods is not a WebSocket unless it is watched"),
        (f"{PODS}/p/status", "binary.k8s.io", "pods/status is not a WebSocket"),
    ],
)
async def test_what_cannot_be_a_websocket_is_refused(local: Client, path: str, protocol: str, message: str) -> None:
    code, said = await (await opened(local, path, protocol, **EXEC)).to_the_end()
    assert code == 400
    assert said.startswith(message)


@pytest.mark.parametrize("protocol", STREAMS)
def test_messages_are_read_as_they_are_written(protocol: Any) -> None:
    assert protocol.decode(protocol.encode(4, b"\x00\xff")) == (4, b"\x00\xff")
    assert protocol.decode(b"") == (-1, b"")
    assert stream_protocol(["v9", protocol.name]) == protocol


def test_what_is_no_base64_is_no_message() -> None:
    protocol = stream_protocol(["base64.channel.k8s.io"])
    assert protocol is not None
    assert protocol.decode("1!") == (-1, b"")
    assert protocol.decode("x") == (-1, b"")
    assert bearer_token([BEARER + "%%%%%", "v9"]) == ""
