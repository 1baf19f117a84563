"""Forwarded connections: pairs of streams to a TCP server that stands for the pod."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from labctl.api import status
from labctl.apiserver.streams import port_forward
from labctl.apiserver.streams.port_forward import PortForward
from labctl.apiserver.streams.spdy.frames import Data, RstStatus, RstStream
from tests.apiserver.streams.client import Client

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers when the question has ended."""
    writer.write((await reader.read(-1)).upper())
    writer.close()


@asynccontextmanager
async def forwarding(handler: Handler = upper) -> AsyncIterator[Client]:
    """A client whose ports lead to a server; port 81 is refused, port 82 is an error of the kubelet."""
    client = Client()
    async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()

        async def dial(port: int) -> port_forward.Streams:
            if port == 81:
                raise ConnectionRefusedError(111, "Connection refused")
            if port == 82:
                raise status.internal("pod web has no running sandbox")
            return await asyncio.open_connection(*address)

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(PortForward("uid", dial).serve(client))
            yield client
            client.leaves()
            await task


def opened(client: Client, *, port: str = "80", request: str = "0") -> tuple[int, int]:
    """The error and the data stream of a connection."""
    headers = {"port": port, "requestid": request}
    return client.opens(streamtype="error", **headers), client.opens(streamtype="data", **headers)


async def test_many_connections_at_once_each_get_their_own_answer() -> None:
    async with forwarding() as client:
        pairs = [opened(client, request=str(n)) for n in range(20)]
        for number, (_, data) in enumerate(pairs):
            client.sends(Data(data, b"hello %d" % number, is_last=True))
        await client.until_ended(*(i for pair in pairs for i in pair))
        assert [client.received[d] for _, d in pairs] == [b"HELLO %d" % n for n in range(20)]
        assert all(client.received[e] == b"" for e, _ in pairs)
        assert client.resets == {}


async def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 12_000  # three times what may wait in the connection
    async with forwarding() as client:
        error, data = opened(client)
        for start in range(0, len(body), 100_000):
            client.sends(Data(data, body[start : start + 100_000]))
        client.sends(Data(data, b"", is_last=True))
        await client.until_ended(error, data)
        assert client.received[data] == body.upper()


async def test_clients_without_request_ids_are_paired_by_the_order_of_streams() -> None:
    async with forwarding() as client:
        error, data = client.opens(streamtype="error", port="80"), client.opens(streamtype="data", port="80")
        client.sends(Data(data, b"a", is_last=True))
        await client.until_ended(error, data)
        assert client.received[data] == b"A"


@pytest.mark.parametrize(("port", "why"), [("81", b"Connection refused"), ("82", b"pod web has no running sandbox")])
async def test_why_there_is_no_connection_is_told_on_the_error_stream(port: str, why: bytes) -> None:
    async with forwarding() as client:
        error, data = opened(client, port=port)
        await client.until_ended(error, data)
        assert client.received[error] == b"error forwarding port %s to pod uid, uid : %s" % (port.encode(), why)


@pytest.mark.parametrize(
    "headers",
    [
        {"streamtype": "data"},
        {"streamtype": "data", "port": "0"},
        {"streamtype": "data", "port": "65536"},
        {"streamtype": "data", "port": "٣"},
        {"streamtype": "data", "port": "eighty"},
        {"streamtype": "stdin", "port": "80"},
        {"port": "80"},
    ],
)
async def test_streams_that_are_no_forwarding_are_refused(headers: dict[str, str]) -> None:
    async with forwarding() as client:
        stream = client.opens(**{k: v.encode().decode("latin-1") for k, v in headers.items()})
        await client.until_ended(stream)
        assert client.resets == {stream: RstStatus.REFUSED_STREAM}


async def test_a_second_stream_of_the_same_kind_is_refused() -> None:
    async with forwarding() as client:
        client.opens(streamtype="data", port="80", requestid="7")
        second = client.opens(streamtype="data", port="80", requestid="7")
        await client.until_ended(second)
        assert client.resets == {second: RstStatus.REFUSED_STREAM}


async def test_a_client_that_gives_a_connection_up_frees_the_pods_side() -> None:
    ended = asyncio.Event()

    async def wait_for_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await reader.read(-1)
        writer.close()
        ended.set()

    async with forwarding(wait_for_end) as client:
        _, data = opened(client)
        while not client.received[data]:
            await client.frame()
        client.sends(RstStream(data, RstStatus.CANCEL))
        async with asyncio.timeout(5):
            await ended.wait()


async def test_a_pod_that_breaks_off_resets_its_stream_only() -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        at_once = struct.pack("ii", 1, 0)  # close with RST
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        writer.transport.abort()

    async with forwarding(break_off) as client:
        (error, data), (_, other) = opened(client, request="0"), opened(client, request="1")
        client.sends(Data(data, b"x"))
        await client.until_ended(data, error)
        assert (data in client.resets, client.received[error]) == (True, b"")
        assert other not in client.ended | client.resets.keys()


async def test_a_stream_without_its_other_half_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_forward, "_PAIRING_S", 0)
    async with forwarding() as client:
        lonely = client.opens(streamtype="data", port="80", requestid="1")
        await client.until_ended(lonely)
        assert client.resets == {lonely: RstStatus.CANCEL}
