from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from labctl.agents.tunnel import Tunnel
from labctl.config import Credentials, LabConfig, NodeConfig
from labctl.kubelet import dialing
from labctl.kubelet.dialing import NodeDialer

NODE = NodeConfig("node-1", "127.0.0.1", "10.244.1.0/24", "10.244.1.1")


def config(token: str = "secret") -> LabConfig:
    return LabConfig("t", (NODE,), Credentials(node_token=token), "127.0.0.1")


@asynccontextmanager
async def tunnel(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A tunnel on a free port of loopback, which the dialer is told of."""
    server = Tunnel(config(), NODE)
    listening = await asyncio.start_server(server._serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    monkeypatch.setattr(dialing, "TUNNEL_PORT", port)
    async with listening:
        yield port


async def test_bytes_pass_both_ways_and_half_close_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.close()

    pod = await asyncio.start_server(shout, "127.0.0.1", 0)
    async with tunnel(monkeypatch), pod:
        reader, writer = await NodeDialer(config()).open(NODE, "127.0.0.1", pod.sockets[0].getsockname()[1])
        writer.write(b"hello")
        writer.write_eof()
        assert await reader.read() == b"HELLO"
        writer.close()


async def test_a_refused_connection_is_refused_at_this_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    free = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = free.sockets[0].getsockname()[1]
    free.close()
    await free.wait_closed()
    async with tunnel(monkeypatch):
        with pytest.raises(ConnectionRefusedError):
            await NodeDialer(config()).open(NODE, "127.0.0.1", port)


@pytest.mark.parametrize(
    ("token", "host", "code"), [("wrong", "127.0.0.1", "407"), ("", "127.0.0.1", "407"), ("secret", "192.0.2.1", "403")]
)
async def test_strangers_and_strange_addresses_are_refused(
    monkeypatch: pytest.MonkeyPatch, token: str, host: str, code: str
) -> None:
    async with tunnel(monkeypatch):
        with pytest.raises(OSError, match=code):
            await NodeDialer(config(token)).open(NODE, host, 1)


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"CONNECT x\r\n\r\n", b"\xff" * 70000])
async def test_nonsense_is_answered_with_an_error_or_a_closed_connection(
    monkeypatch: pytest.MonkeyPatch, request_: bytes
) -> None:
    async with tunnel(monkeypatch) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_)
        answer = await reader.read()
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
        writer.close()
