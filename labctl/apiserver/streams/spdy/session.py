"""The server's side of a SPDY connection as a state machine: bytes in, events out; calls in, bytes out. No I/O.

Only the client opens streams, with odd and growing ids. Frames about streams that are gone are ignored, as they may have been
under way; whatever else breaks the rules of one stream resets that stream, and what cannot be read ends the connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.apiserver.streams.spdy.codec import Decoder, Encoder
from labctl.apiserver.streams.spdy.frames import (
    Data,
    Frame,
    GoAway,
    GoAwayStatus,
    Headers,
    Ping,
    RstStatus,
    RstStream,
    SynReply,
    SynStream,
)

MAX_STREAMS = 1024  # open at one time; a forwarded connection takes two
FRAME_BYTES = 32 * 1024  # data is sent in frames of this size, so that streams share the connection


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream that waits for `accept` or `reset`. `is_last`: nothing will come on it."""

    stream_id: int
    headers: Headers
    is_last: bool


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes of a stream; `is_last`: no more will come."""

    stream_id: int
    data: bytes
    is_last: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """The client tore the stream down."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class Left:
    """The client opens no more streams (GOAWAY)."""


Event = Opened | Received | Reset | Left


@dataclass(slots=True)
class _Half:
    """Which directions of a stream are still open."""

    receives: bool = True
    sends: bool = True


class Session:
    """State of one connection."""

    def __init__(self, *, max_streams: int = MAX_STREAMS) -> None:
        self._decoder = Decoder()
        self._encoder = Encoder()
        self._max_streams = max_streams
        self._streams: dict[int, _Half] = {}
        self._last_id = 0
        self._is_leaving = False
        self._outgoing: list[bytes] = []

    @property
    def open_streams(self) -> int:
        """How many streams are open in at least one direction."""
        return len(self._streams)

    def is_open(self, stream_id: int) -> bool:
        """Whether anything may still be sent or received on the stream."""
        return stream_id in self._streams

    def receive(self, data: bytes) -> Iterator[Event]:
        """What these bytes mean, one by one: handle an event before the next is asked for. Raises SpdyError."""
        for frame in self._decoder.decode(data):
            if (event := self._event(frame)) is not None:
                yield event

    def take(self) -> bytes:
        """The bytes that wait to be sent."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def accept(self, stream_id: int) -> None:
        """Tell the client that its stream may be used."""
        if stream_id in self._streams:
            self._send(SynReply(stream_id, {}))

    def send(self, stream_id: int, data: bytes, *, is_last: bool = False) -> None:
        """Send bytes of a stream. Raises ConnectionResetError when it does not take any (more)."""
        half = self._streams.get(stream_id)
        if half is None or not half.sends:
            raise ConnectionResetError(f"stream {stream_id} is closed")
        cuts = range(0, max(len(data), 1), FRAME_BYTES)
        for start in cuts:
            part = data[start : start + FRAME_BYTES]
            self._send(Data(stream_id, part, is_last and start == cuts[-1]))
        if is_last:
            half.sends = False
            self._forget_done(stream_id)

    def reset(self, stream_id: int, status: RstStatus = RstStatus.CANCEL) -> None:
        """Tear a stream down."""
        if self._streams.pop(stream_id, None) is not None:
            self._send(RstStream(stream_id, status))

    def go_away(self, status: GoAwayStatus = GoAwayStatus.OK) -> None:
        """Tell the client that this is the end."""
        self._is_leaving = True
        self._send(GoAway(self._last_id, status))

    def _send(self, frame: Frame) -> None:
        self._outgoing.append(self._encoder.encode(frame))

    def _event(self, frame: Frame) -> Event | None:
        match frame:
            case SynStream():
                return self._opened(frame)
            case Data(stream_id, data, is_last):
                return self._received(stream_id, data, is_last)
            case RstStream(stream_id):
                return Reset(stream_id) if self._streams.pop(stream_id, None) else None
            case Ping(ping_id) if ping_id % 2:
                self._send(frame)
            case GoAway():
                self._is_leaving = True
                return Left()
        return None

    def _opened(self, frame: SynStream) -> Opened | None:
        stream_id = frame.stream_id
        if self._is_leaving:
            return None
        if stream_id % 2 == 0 or stream_id <= self._last_id:
            self._send(RstStream(stream_id, RstStatus.PROTOCOL_ERROR))
            return None
        self._last_id = stream_id
        if len(self._streams) >= self._max_streams:
            self._send(RstStream(stream_id, RstStatus.REFUSED_STREAM))
            return None
        # FLAG_UNIDIRECTIONAL: the client will not take anything on this stream
        self._streams[stream_id] = _Half(receives=not frame.is_last, sends=not frame.is_unidirectional)
        return Opened(stream_id, frame.headers, frame.is_last)

    def _received(self, stream_id: int, data: bytes, is_last: bool) -> Received | None:
        half = self._streams.get(stream_id)
        if half is None or not half.receives:
            return None
        if is_last:
            half.receives = False
            self._forget_done(stream_id)
        return Received(stream_id, data, is_last) if data or is_last else None

    def _forget_done(self, stream_id: int) -> None:
        half = self._streams.get(stream_id)
        if half is not None and not half.receives and not half.sends:
            del self._streams[stream_id]
