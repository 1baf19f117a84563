"""Streams of the Docker engine as async iterators.

Exec and attach take over ("hijack") the HTTP connection: the SDK does the upgrade in a thread, then the socket is
handed to asyncio, so an open shell costs no thread. Without a terminal, Docker frames the output: one byte for the
stream (1 stdout, 2 stderr), three zero bytes, four bytes length. Endless HTTP answers (events, logs) are read by a
thread of their own, because the SDK's chunk decoder blocks.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Generic, Literal, TypeVar

_T = TypeVar("_T")
Tag = Literal["stdout", "stderr"]
_TAGS: dict[int, Tag] = {0: "stdout", 1: "stdout", 2: "stderr"}
_HEADER = struct.Struct(">BxxxL")
_CHUNK = 64 * 1024


class FrameSplitter:
    """Splits Docker's framed output as it arrives; with a terminal there are no frames and all is stdout."""

    def __init__(self, *, tty: bool) -> None:
        self._tty = tty
        self._header = b""
        self._left = 0
        self._tag: Tag = "stdout"

    def feed(self, data: bytes) -> list[tuple[Tag, bytes]]:
        """Tagged pieces of `data`; a frame's payload is passed on without waiting for its end."""
        if self._tty:
            return [("stdout", data)]
        pieces: list[tuple[Tag, bytes]] = []
        while data:
            if self._left:
                pieces.append((self._tag, data[: self._left]))
                data, self._left = data[self._left :], self._left - len(pieces[-1][1])
                continue
            missing = _HEADER.size - len(self._header)
            self._header, data = self._header + data[:missing], data[missing:]
            if len(self._header) == _HEADER.size:
                stream, self._left = _HEADER.unpack(self._header)
                self._tag, self._header = _TAGS.get(stream, "stdout"), b""
        return pieces


class HijackedStream:
    """An exec or attach on a socket taken over from the SDK."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        tty: bool,
        exit_code: Callable[[], Awaitable[int]],
        resize: Callable[[int, int], Awaitable[None]],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._tty = tty
        self._exit_code = exit_code
        self._resize = resize

    async def write(self, data: bytes) -> None:
        """Send to stdin; a process that has gone away is not an error."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(data)
            await self._writer.drain()

    async def close_stdin(self) -> None:
        """Half-close: the process sees end of file, its output continues."""
        with contextlib.suppress(OSError, RuntimeError):
            if self._writer.can_write_eof():
                self._writer.write_eof()

    async def output(self) -> AsyncIterator[tuple[Tag, bytes]]:
        """Output until the process ends."""
        splitter = FrameSplitter(tty=self._tty)
        with contextlib.suppress(ConnectionError):
            while data := await self._reader.read(_CHUNK):
                for piece in splitter.feed(data):
                    yield piece

    async def resize(self, width: int, height: int) -> None:
        """New terminal size in characters."""
        await self._resize(width, height)

    async def exit_code(self) -> int:
        """Exit code of the process."""
        return await self._exit_code()

    async def close(self) -> None:
        """Give the connection up."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def adopt_socket(raw: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Turn the SDK's hijacked `SocketIO` into asyncio streams, with the bytes its HTTP parser had already read."""
    buffered = raw._response.raw._fp.fp
    sock = raw._sock.dup()
    raw._sock.setblocking(False)
    early = buffered.peek() or b""
    sock.setblocking(False)
    raw._response.close()
    reader = asyncio.StreamReader(limit=2 * _CHUNK)
    reader.feed_data(bytes(early))
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(lambda: asyncio.StreamReaderProtocol(reader), sock=sock)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


class ThreadedStream(Generic[_T]):
    """Items of a blocking iterator, read by one thread, delivered with back-pressure.

    `open_source` runs in the thread and returns the iterator and a function that unblocks it from outside.
    """

    def __init__(self, open_source: Callable[[], tuple[Iterator[_T], Callable[[], None]]], name: str) -> None:
        self._open_source = open_source
        self._name = name
        self._queue: asyncio.Queue[_T | BaseException | None] = asyncio.Queue(64)
        self._unblock: Callable[[], None] | None = None
        self._is_closed = False

    def _put(self, loop: asyncio.AbstractEventLoop, item: _T | BaseException | None) -> None:
        with contextlib.suppress(RuntimeError, concurrent.futures.CancelledError):  # the loop is closed: nobody listens
            asyncio.run_coroutine_threadsafe(self._queue.put(item), loop).result()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        end: BaseException | None = None
        try:
            items, self._unblock = self._open_source()
            for item in items:
                if self._is_closed:
                    break
                self._put(loop, item)
        except Exception as error:  # handed to the consumer, which translates it
            end = error
        if not self._is_closed:
            self._put(loop, end)

    async def items(self) -> AsyncIterator[_T]:
        """The items; an error of the source is raised here."""
        threading.Thread(target=self._read, args=(asyncio.get_running_loop(),), name=self._name, daemon=True).start()
        try:
            while (item := await self._queue.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self._close()

    def _close(self) -> None:
        self._is_closed = True
        if self._unblock is not None:
            with contextlib.suppress(Exception):  # whatever the SDK says while its socket is torn down
                self._unblock()
        while not self._queue.empty():  # lets a thread that waits for room finish
            self._queue.get_nowait()


def breaker(response: Any) -> Callable[[], None]:
    """A function that ends a blocking read of an HTTP answer from another thread."""

    def shut() -> None:
        response.raw._fp.fp.raw._sock.shutdown(socket.SHUT_RDWR)

    return shut
