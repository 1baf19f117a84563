"""Bytes to frames and back, without I/O and with bounds on everything that the other side decides.

All header blocks of one direction form a single zlib stream (with the dictionary of the specification), so an encoder and a
decoder belong to one connection each. Data frames are handed on as their bytes arrive: a frame of 16 MB needs no 16 MB here.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from labctl.apiserver.streams.spdy.dictionary import DICTIONARY
from labctl.apiserver.streams.spdy.frames import (
    MAX_LENGTH,
    Data,
    Frame,
    GoAway,
    Headers,
    Ignored,
    MoreHeaders,
    Ping,
    RstStream,
    SpdyError,
    SynReply,
    SynStream,
)

VERSION = 3
MAX_CONTROL_BYTES = 64 * 1024  # payload of a control frame
MAX_HEADERS_BYTES = 256 * 1024  # a header block, unpacked
MAX_HEADERS = 1000  # as the Go library
_CONTROL = 0x8000
_FIN, _UNIDIRECTIONAL = 1, 2
_ID_MASK = 0x7FFF_FFFF
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _SETTINGS, _PING, _GO_AWAY, _HEADERS, _WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
_HEAD_BYTES = 8


class Encoder:
    """Frames to bytes."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def encode(self, frame: Frame) -> bytes:
        """The bytes of one frame. Raises ValueError when its data does not fit into one."""
        match frame:
            case Data(stream_id, data, is_last):
                if len(data) > MAX_LENGTH:
                    raise ValueError(f"a frame holds {MAX_LENGTH} bytes, not {len(data)}")
                return struct.pack(">II", stream_id, is_last * _FIN << 24 | len(data)) + data
            case SynStream():
                flags = frame.is_last * _FIN | frame.is_unidirectional * _UNIDIRECTIONAL
                head = struct.pack(">IIBB", frame.stream_id, frame.associated_id, frame.priority << 5, 0)
                return _control(_SYN_STREAM, head + self._headers(frame.headers), flags)
            case SynReply(stream_id, headers, is_last):
                return _control(_SYN_REPLY, struct.pack(">I", stream_id) + self._headers(headers), is_last * _FIN)
            case MoreHeaders(stream_id, headers, is_last):
                return _control(_HEADERS, struct.pack(">I", stream_id) + self._headers(headers), is_last * _FIN)
            case RstStream(stream_id, status):
                return _control(_RST_STREAM, struct.pack(">II", stream_id, status))
            case Ping(ping_id):
                return _control(_PING, struct.pack(">I", ping_id))
            case GoAway(last_good_id, status):
                return _control(_GO_AWAY, struct.pack(">II", last_good_id, status))
            case Ignored(frame_type):
                return _control(frame_type, struct.pack(">I", 0) if frame_type == _SETTINGS else bytes(8))

    def _headers(self, headers: Headers) -> bytes:
        block = [struct.pack(">I", len(headers))]
        for name, value in headers.items():
            for text in (name.encode("latin-1"), value.encode("latin-1")):
                block += [struct.pack(">I", len(text)), text]
        return self._deflate.compress(b"".join(block)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def _control(frame_type: int, payload: bytes, flags: int = 0) -> bytes:
    return struct.pack(">HHI", _CONTROL | VERSION, frame_type, flags << 24 | len(payload)) + payload


class Decoder:
    """Bytes to frames, as they come. After a SpdyError it is of no more use."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._held = bytearray()
        self._data_id = 0  # the stream of the data frame that is under way
        self._data_left = 0
        self._data_is_last = False

    def decode(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete. Raises SpdyError."""
        self._held += data
        while True:
            if self._data_left:
                if not self._held:
                    return
                yield self._more_data()
            elif len(self._held) < _HEAD_BYTES:
                return
            else:
                first, second = struct.unpack_from(">II", self._held)
                flags, length = second >> 24, second & MAX_LENGTH
                if first >> 31 == 0:
                    del self._held[:_HEAD_BYTES]
                    if (begun := self._begin_data(first, flags, length)) is not None:
                        yield begun
                    continue
                if length > MAX_CONTROL_BYTES:
                    raise SpdyError(f"a control frame of {length} bytes")
                if len(self._held) < _HEAD_BYTES + length:
                    return
                payload = bytes(self._held[_HEAD_BYTES : _HEAD_BYTES + length])
                del self._held[: _HEAD_BYTES + length]
                yield self._control(first >> 16 & 0x7FFF, first & 0xFFFF, flags, payload)

    def _begin_data(self, stream_id: int, flags: int, length: int) -> Data | None:
        """Start a data frame; one without bytes is complete."""
        if stream_id == 0:
            raise SpdyError("data on stream 0")
        self._data_id, self._data_left, self._data_is_last = stream_id, length, bool(flags & _FIN)
        return None if length else Data(stream_id, b"", self._data_is_last)

    def _more_data(self) -> Data:
        data = bytes(self._held[: self._data_left])
        del self._held[: len(data)]
        self._data_left -= len(data)
        return Data(self._data_id, data, self._data_is_last and not self._data_left)

    def _control(self, version: int, frame_type: int, flags: int, payload: bytes) -> Frame:
        if version != VERSION:
            raise SpdyError(f"version {version} of SPDY")
        try:
            return self._parse(frame_type, flags, payload)
        except struct.error:
            raise SpdyError(f"a frame of type {frame_type} is too short") from None

    def _parse(self, frame_type: int, flags: int, payload: bytes) -> Frame:
        is_last = bool(flags & _FIN)
        if frame_type == _SYN_STREAM:
            stream_id, associated, priority, _ = struct.unpack_from(">IIBB", payload)
            headers = self._headers(payload[10:])
            one_way = bool(flags & _UNIDIRECTIONAL)
            return SynStream(_checked(stream_id), headers, is_last, one_way, priority >> 5, associated & _ID_MASK)
        if frame_type in (_SYN_REPLY, _HEADERS):
            stream_id = _checked(struct.unpack_from(">I", payload)[0])
            make = SynReply if frame_type == _SYN_REPLY else MoreHeaders
            return make(stream_id, self._headers(payload[4:]), is_last)
        if frame_type == _RST_STREAM:
            stream_id, status = struct.unpack_from(">II", payload)
            return RstStream(_checked(stream_id), status)
        if frame_type == _PING:
            return Ping(struct.unpack_from(">I", payload)[0])
        if frame_type == _GO_AWAY:
            last_good, status = struct.unpack_from(">II", payload)
            return GoAway(last_good & _ID_MASK, status)
        if frame_type in (_SETTINGS, _WINDOW_UPDATE):
            return Ignored(frame_type)
        raise SpdyError(f"an unknown frame of type {frame_type}")

    def _headers(self, block: bytes) -> Headers:
        """Unpack a header block. A small one that unpacks to a large one is refused before that costs memory."""
        try:
            plain = self._inflate.decompress(block, MAX_HEADERS_BYTES)
        except zlib.error as error:
            raise SpdyError(f"headers cannot be unpacked: {error}") from None
        if self._inflate.unconsumed_tail or self._inflate.eof:
            raise SpdyError(f"headers of more than {MAX_HEADERS_BYTES} bytes, or none after their end")
        (count,) = struct.unpack_from(">I", plain)
        if count > MAX_HEADERS:
            raise SpdyError(f"{count} headers")
        return _pairs(plain, count)


def _pairs(plain: bytes, count: int) -> Headers:
    headers: dict[str, str] = {}
    position = 4
    for _ in range(count):
        name, position = _text(plain, position)
        value, position = _text(plain, position)
        if name != name.lower() or name in headers:
            raise SpdyError(f'header "{name[:64]}" is repeated or not in lower case')
        headers[name] = value
    return headers


def _text(plain: bytes, position: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">I", plain, position)
    end = position + 4 + length
    if end > len(plain):
        raise SpdyError("headers end in the middle")
    return plain[position + 4 : end].decode("latin-1"), end


def _checked(stream_id: int) -> int:
    stream_id &= _ID_MASK
    if stream_id == 0:
        raise SpdyError("stream 0 cannot be used")
    return stream_id
