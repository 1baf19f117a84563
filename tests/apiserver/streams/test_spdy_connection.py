"""Streams of a SPDY connection: reading, writing, waiting, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from labctl.apiserver.streams.spdy import connection
from labctl.apiserver.streams.spdy.connection import Connection, Stream
from labctl.apiserver.streams.spdy.frames import Data, GoAway, Ping, RstStatus, RstStream
from tests.apiserver.streams.client import Client


class Server:
    """A connection that runs; the streams it was opened."""

    def __init__(self) -> None:
        self.client = Client()
        self.opened: asyncio.Queue[Stream] = asyncio.Queue()
        self.connection = Connection(self.client, self._open)

    def _open(self, stream: Stream) -> bool:
        if "unwanted" in stream.headers:
            return False
        self.opened.put_nowait(stream)
        return True


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(server.connection.run())
        yield server
        running.cancel()


async def test_bytes_go_both_ways_until_both_have_ended(server: Server) -> None:
    stream_id = server.client.opens(a="b")
    stream = await server.opened.get()
    server.client.sends(Data(stream_id, b"question", is_last=True))
    assert (await stream.read(), await stream.read()) == (b"question", b"")
    await stream.write(b"answer")
    await stream.close_write()
    await server.client.until_ended(stream_id)
    assert (stream.headers, server.client.received[stream_id]) == ({"a": "b"}, b"answer")
    with pytest.raises(ConnectionResetError):
        await stream.write(b"more")


async def test_an_unwanted_stream_is_refused(server: Server) -> None:
    stream_id = server.client.opens(unwanted="1")
    await server.client.until_ended(stream_id)
    assert server.client.resets == {stream_id: RstStatus.REFUSED_STREAM}


async def test_a_stream_that_is_reset_can_neither_be_read_nor_written(server: Server) -> None:
    stream_id = server.client.opens()
    stream = await server.opened.get()
    server.client.sends(Data(stream_id, b"lost"), RstStream(stream_id, 5), Ping(1))
    while Ping(1) not in await server.client.frame():
        pass
    with pytest.raises(ConnectionResetError):
        await stream.read()
    with pytest.raises(ConnectionResetError):
        await stream.write(b"x")
    await stream.reset()
    assert server.connection.buffered == 0


async def test_reading_pauses_while_nobody_takes_what_came(server: Server) -> None:
    stream_id = server.client.opens()
    stream = await server.opened.get()
    piece = bytes(connection.MAX_BUFFERED // 4)
    for _ in range(12):
        server.client.sends(Data(stream_id, piece))
    server.client.sends(Data(stream_id, b"", is_last=True), Ping(1))
    for _ in range(100):  # far more turns of the loop than reading everything would take
        await asyncio.sleep(0)
    assert connection.MAX_BUFFERED < server.connection.buffered <= connection.MAX_BUFFERED + 2 * len(piece)
    total = 0
    while data := await stream.read():
        total += len(data)
    assert total == 12 * len(piece)
    while Ping(1) not in await server.client.frame():
        pass


async def test_what_nobody_will_read_holds_nothing_up(server: Server) -> None:
    stream_id = server.client.opens()
    stream = await server.opened.get()
    for _ in range(12):
        server.client.sends(Data(stream_id, bytes(connection.MAX_BUFFERED // 4)))
    await asyncio.sleep(0)
    stream.end()
    server.client.sends(Ping(1))
    while Ping(1) not in await server.client.frame():
        pass
    assert server.connection.buffered == 0


async def test_the_end_of_the_client_is_the_end_of_its_streams() -> None:
    server = Server()
    server.client.opens()
    server.client.leaves()
    await server.connection.run()
    stream = server.opened.get_nowait()
    with pytest.raises(ConnectionResetError):
        await stream.read()
    with pytest.raises(ConnectionResetError, match="the connection is down"):
        await stream.write(b"x")
    await stream.reset()


async def test_a_client_that_breaks_the_protocol_is_told_goodbye() -> None:
    server = Server()
    server.client.opens()
    server.client.sends_bytes(b"\x80\x03\x00\x4d\x00\x00\x00\x00")
    await server.connection.run()
    frames = [*await server.client.frame(), *(await server.client.frame())]
    assert GoAway(1, 1) in frames
