"""A server that dies in the middle of an answer is a broken connection, which informers outlive, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from labctl.api import kinds
from labctl.client.http import HttpApi

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_EVENT = b'{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"1"}}}\n'


@pytest.mark.parametrize("cut", [0, 1, 20, len(_EVENT) + 4])
async def test_a_watch_cut_anywhere_is_a_broken_connection(cut: int) -> None:
    body = f"{len(_EVENT):x}\r\n".encode() + _EVENT + b"\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_HEAD + body[:cut])
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        api = HttpApi(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises((OSError, EOFError)):
            async for _ in api.watch(kinds.POD):
                pass
