"""`Upgrade: SPDY/3.1` through a real uvicorn: refusals are HTTP answers, an accepted one becomes another protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn

from labctl.api import kinds
from labctl.apiserver.app import build
from labctl.apiserver.options import WriteOptions
from labctl.apiserver.server import ApiServer
from labctl.apiserver.streams.port_forward import Streams
from labctl.apiserver.streams.spdy.codec import Decoder, Encoder
from labctl.apiserver.streams.spdy.frames import Data, Frame, GoAway, Ping, SynReply, SynStream
from labctl.apiserver.streams.upgrade import UpgradeProtocol
from labctl.config import Credentials, LabConfig
from tests.apiserver.streams.test_remote_command import Process

PODS = "/api/v1/namespaces/default/pods"
EXEC = f"{PODS}/web/exec?command=ls&stdout=true&stderr=true"
UPGRADE = ("Connection: Upgrade", "Upgrade: SPDY/3.1")
V4 = "X-Stream-Protocol-Version: v4.channel.k8s.io"
FORWARD = "X-Stream-Protocol-Version: portforward.k8s.io"
ADMIN = "Authorization: Bearer admin"


class Runtime:
    """Says hello in exec, and leads every port to an echo."""

    async def exec(self, pod: Any, container: str, command: Any, *, stdin: bool, tty: bool) -> Process:
        return Process(("stdout", f"{container} {' '.join(command)}".encode()))

    async def attach(self, pod: Any, container: str, *, stdin: bool, tty: bool) -> Process:
        return Process(("stdout", b"attached"))

    async def logs(self, pod: Any, options: Any) -> AsyncIterator[bytes]:
        yield b"log"

    async def dial(self, pod: Any, port: int) -> Streams:
        raise ConnectionRefusedError(111, "Connection refused")


@dataclass(frozen=True, slots=True)
class Connected:
    """A TCP connection to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, method: str, path: str, *headers: str, after: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        """Code, headers and body of the answer to a request; bytes `after` it go with the same packet."""
        head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""])
        self.writer.write(head.encode() + after)
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        found = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines[1:] if line)}
        body = await self.reader.readexactly(int(found.get("content-length", 0)))
        return int(lines[0].split()[1]), found, body

    async def frames(self) -> list[Frame]:
        """Everything that comes until the server closes."""
        return list(Decoder().decode(await self.reader.read(-1)))


@pytest.fixture
async def connection() -> AsyncIterator[Connected]:
    server = ApiServer(LabConfig("test", (), Credentials(admin_token="admin"), ""))
    account = {"metadata": {"name": "default"}}
    server.registry.create(kinds.SERVICE_ACCOUNT, "default", account, WriteOptions())
    pod = {"metadata": {"name": "web"}, "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "i"}]}}
    server.registry.create(kinds.POD, "default", pod, WriteOptions())
    app = build(server.context(Runtime()))
    config = uvicorn.Config(app, port=0, http=UpgradeProtocol, ws="wsproto", lifespan="off", log_level="critical")
    config.load()
    running = uvicorn.Server(config)
    running.lifespan = config.lifespan_class(config)
    await running.startup()
    reader, writer = await asyncio.open_connection(*running.servers[0].sockets[0].getsockname()[:2])
    async with asyncio.timeout(10):
        yield Connected(reader, writer)
    writer.close()
    running.servers[0].close()
    server.store.close()


def client_frames(*frames: Frame) -> bytes:
    encoder = Encoder()
    return b"".join(encoder.encode(f) for f in frames)


EXEC_STREAMS = [SynStream(i, {"streamtype": name}) for i, name in ((1, "error"), (3, "stdout"), (5, "stderr"))]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_exec_answers_101_and_goes_on_in_spdy(connection: Connected, method: str) -> None:
    # the frames come in the same packet as the request: what was read too early must not be lost
    early = client_frames(*EXEC_STREAMS)
    code, headers, _ = await connection.ask(method, EXEC, *UPGRADE, V4, ADMIN, after=early)
    assert (code, headers["upgrade"], headers["x-stream-protocol-version"]) == (101, "SPDY/3.1", "v4.channel.k8s.io")
    connection.writer.write_eof()
    frames = await connection.frames()
    assert [f for f in frames if isinstance(f, SynReply)] == [SynReply(i, {}) for i in (1, 3, 5)]


async def test_exec_carries_output_and_status(connection: Connected) -> None:
    await connection.ask("POST", EXEC, *UPGRADE, V4, ADMIN)
    connection.writer.write(client_frames(*EXEC_STREAMS))
    decoder, received = Decoder(), dict[int, bytes]()
    while received.get(1, b"")[-1:] != b"}":
        for frame in decoder.decode(await connection.reader.read(65536)):
            if isinstance(frame, Data):
                received[frame.stream_id] = received.get(frame.stream_id, b"") + frame.data
    assert received[3] == b"app ls"
    assert json.loads(received[1])["status"] == "Success"


async def test_port_forward_is_the_same_over_an_upgrade(connection: Connected) -> None:
    code, _, _ = await connection.ask("POST", f"{PODS}/web/portforward", *UPGRADE, FORWARD, ADMIN)
    assert code == 101
    pair = {"port": "80", "requestid": "0"}
    streams = [SynStream(1, pair | {"streamtype": "error"}), SynStream(3, pair | {"streamtype": "data"})]
    connection.writer.write(client_frames(*streams, Ping(1)))
    decoder, frames = Decoder(), list[Frame]()
    while not any(isinstance(f, Data) and f.stream_id == 1 and f.data for f in frames):
        frames += decoder.decode(await connection.reader.read(65536))
    text = next(f.data for f in frames if isinstance(f, Data) and f.data)
    assert text.startswith(b"error forwarding port 80 to pod ")
    assert text.endswith(b", uid : Connection refused")
    assert Ping(1) in frames


async def test_frames_that_are_none_end_the_connection(connection: Connected) -> None:
    await connection.ask("POST", f"{PODS}/web/portforward", *UPGRADE, FORWARD, ADMIN, after=b"\x80\x03\xff\xff" * 40)
    assert await connection.frames() == [GoAway(0, 1)]


@pytest.mark.parametrize(
    ("method", "path", "headers", "code", "words"),
    [
        ("POST", EXEC, (ADMIN, V4), 400, "Upgrade request required"),
        ("POST", EXEC, (ADMIN, *UPGRADE), 400, "header X-Stream-Protocol-Version does not exist in request with"),
        (
            "POST",
            EXEC,
            (ADMIN, *UPGRADE, "X-Stream-Protocol-Version: v9, v8"),
            403,
            "unable to negotiate protocol: client supports [v9 v8], server accepts [v4.channel.k8s.io v3.channel",
        ),
        ("POST", EXEC, (*UPGRADE, V4), 403, 'cannot create resource "pods/exec"'),
        ("DELETE", EXEC, (ADMIN, *UPGRADE, V4), 405, "does not allow this method"),
        ("POST", f"{PODS}/none/exec?command=ls", (ADMIN, *UPGRADE, V4), 404, 'pods "none" not found'),
        ("POST", f"{PODS}/web/exec?command=ls", (ADMIN, *UPGRADE, V4), 400, "at least 1 of stdin, stdout, stderr"),
        ("POST", f"{PODS}/web/exec?stdout=1", (ADMIN, *UPGRADE, V4), 400, "at least 1 command"),
        (
            "POST",
            EXEC,
            (ADMIN, *UPGRADE, V4, "Content-Length: 3"),
            400,
            "the request has a body",
        ),
    ],
)
async def test_refusals_are_answers_over_http(
    connection: Connected, method: str, path: str, headers: tuple[str, ...], code: int, words: str
) -> None:
    answered, _, body = await connection.ask(method, path, *headers)
    assert (answered, words in json.loads(body)["message"]) == (code, True), body


async def test_a_refused_connection_can_be_used_again(connection: Connected) -> None:
    for _ in range(2):
        code, _, _ = await connection.ask("POST", f"{PODS}/none/exec", *UPGRADE, V4, ADMIN)
        assert code == 404
    code, _, _ = await connection.ask("GET", PODS, ADMIN)
    assert code == 200


async def test_other_upgrades_stay_requests(connection: Connected) -> None:
    code, _, _ = await connection.ask("GET", PODS, "Connection: Upgrade", "Upgrade: h2c", ADMIN)
    assert code == 200
