"""A SPDY connection over any channel of bytes, as streams that can be read and written.

SPDY's flow control is not used by the Go library at the other end, so a stream that is not read holds up its connection once
MAX_BUFFERED bytes wait in it: reading from the channel pauses, and TCP makes the client wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from labctl.apiserver.streams.spdy.frames import GoAwayStatus, Headers, RstStatus, SpdyError
from labctl.apiserver.streams.spdy.session import MAX_STREAMS, Event, Opened, Received, Reset, Session

MAX_BUFFERED = 1 << 20  # bytes that all streams of a connection together may hold unread


class Channel(Protocol):
    """A connection of bytes in both directions. Raises ConnectionError when it breaks."""

    async def receive(self) -> bytes:
        """Some bytes; none at the end."""
        ...

    async def send(self, data: bytes) -> None:
        """Send; waits while the other side does not take them."""
        ...

    async def close(self) -> None:
        """End it, after what was sent has gone out."""
        ...


class Stream:
    """One stream. Its methods raise ConnectionResetError when it, or the connection, was torn down."""

    def __init__(self, connection: Connection, opened: Opened) -> None:
        self._connection = connection
        self._chunks: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._is_at_end = opened.is_last
        self._is_reset = False
        self.id = opened.stream_id
        self.headers: Headers = opened.headers

    async def read(self) -> bytes:
        """Some bytes; none at the end."""
        while not self._chunks:
            if self._is_reset:
                raise ConnectionResetError(f"stream {self.id} was reset")
            if self._is_at_end:
                return b""
            self._wake.clear()
            await self._wake.wait()
        data = self._chunks.popleft()
        self._connection.buffered -= len(data)
        self._connection.room()
        return data

    async def write(self, data: bytes) -> None:
        """Send; waits while the client does not take it."""
        await self._connection.send(self.id, data, is_last=False)

    async def close_write(self) -> None:
        """Send the end of this direction."""
        await self._connection.send(self.id, b"", is_last=True)

    async def reset(self, status: RstStatus = RstStatus.CANCEL) -> None:
        """Tear it down; no error when it is down already."""
        self.end()
        await self._connection.reset(self.id, status)

    def feed(self, data: bytes, *, is_last: bool) -> None:
        """Called by the connection for what it received."""
        if data and not self._is_reset:
            self._chunks.append(data)
            self._connection.buffered += len(data)
        self._is_at_end = self._is_at_end or is_last
        self._wake.set()

    def end(self) -> None:
        """Nothing more will be read: what waits, and what still comes, is forgotten."""
        self._is_reset = True
        self._connection.buffered -= sum(map(len, self._chunks))
        self._chunks.clear()
        self._connection.room()
        self._wake.set()


class Connection:
    """Streams of one channel. `opened` is called for every new stream and says whether it is wanted."""

    def __init__(self, channel: Channel, opened: Callable[[Stream], bool], *, max_streams: int = MAX_STREAMS) -> None:
        self._channel = channel
        self._opened = opened
        self._session = Session(max_streams=max_streams)
        self._streams: dict[int, Stream] = {}
        self._sending = asyncio.Lock()
        self._has_room = asyncio.Event()
        self._is_down = False
        self.buffered = 0

    async def run(self) -> None:
        """Carry streams until the client goes or breaks the protocol; all streams are torn down then."""
        try:
            while data := await self._channel.receive():
                for event in self._session.receive(data):
                    self._handle(event)
                await self._flush()
                await self._wait_for_room()
        except SpdyError:
            self._session.go_away(GoAwayStatus.PROTOCOL_ERROR)
            await self._flush()
        finally:
            self._is_down = True
            for stream in self._streams.values():
                stream.end()
            self._streams.clear()

    async def send(self, stream_id: int, data: bytes, *, is_last: bool) -> None:
        """Send bytes of a stream."""
        if self._is_down:
            raise ConnectionResetError("the connection is down")
        self._session.send(stream_id, data, is_last=is_last)
        self._forget_done(stream_id)
        await self._flush()

    async def reset(self, stream_id: int, status: RstStatus) -> None:
        """Tear a stream down."""
        self._streams.pop(stream_id, None)
        if not self._is_down:
            self._session.reset(stream_id, status)
            await self._flush()

    def room(self) -> None:
        """Called when a stream was read."""
        if self.buffered <= MAX_BUFFERED:
            self._has_room.set()

    async def _wait_for_room(self) -> None:
        while self.buffered > MAX_BUFFERED:
            self._has_room.clear()
            await self._has_room.wait()

    def _handle(self, event: Event) -> None:
        if isinstance(event, Opened):
            self._open(event)
        elif isinstance(event, Received):
            if (stream := self._streams.get(event.stream_id)) is not None:
                stream.feed(event.data, is_last=event.is_last)
                self._forget_done(stream.id)
        elif isinstance(event, Reset) and (stream := self._streams.pop(event.stream_id, None)) is not None:
            stream.end()

    def _forget_done(self, stream_id: int) -> None:
        """What waits in a stream that is done can still be read from it."""
        if not self._session.is_open(stream_id):
            self._streams.pop(stream_id, None)

    def _open(self, opened: Opened) -> None:
        stream = Stream(self, opened)
        if self._opened(stream):
            self._streams[stream.id] = stream
            self._session.accept(stream.id)
        else:
            self._session.reset(stream.id, RstStatus.REFUSED_STREAM)

    async def _flush(self) -> None:
        # taken under the lock, so that bytes leave in the order in which frames were made
        async with self._sending:
            if data := self._session.take():
                await self._channel.send(data)
