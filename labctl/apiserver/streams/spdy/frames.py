"""Frames of SPDY/3.1 as values, and what may go wrong with them.

Numbers and layouts: https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/ (section 2.6). Of the frames that
concern flow control and settings only the fact that they came is kept: the Go library at the other end has neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

Headers = Mapping[str, str]
"""Lower-case names; several values of one name are joined with NUL bytes."""

MAX_LENGTH = (1 << 24) - 1  # of a frame's payload: the length has 24 bits


class SpdyError(Exception):
    """The other side broke the protocol: the connection cannot go on."""


class RstStatus(IntEnum):
    """Why a stream is torn down."""

    PROTOCOL_ERROR = 1
    INVALID_STREAM = 2
    REFUSED_STREAM = 3
    CANCEL = 5
    INTERNAL_ERROR = 6


class GoAwayStatus(IntEnum):
    """Why a connection ends."""

    OK = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2


@dataclass(frozen=True, slots=True)
class SynStream:
    """A new stream. `is_last` (FLAG_FIN): its sender will send no data on it."""

    stream_id: int
    headers: Headers
    is_last: bool = False
    is_unidirectional: bool = False
    priority: int = 0
    associated_id: int = 0


@dataclass(frozen=True, slots=True)
class SynReply:
    """The stream is accepted."""

    stream_id: int
    headers: Headers
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class RstStream:
    """The stream ends at once, in both directions."""

    stream_id: int
    status: int


@dataclass(frozen=True, slots=True)
class Ping:
    """To be sent back unchanged; clients use odd ids."""

    ping_id: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """No more streams will be accepted."""

    last_good_id: int
    status: int


@dataclass(frozen=True, slots=True)
class MoreHeaders:
    """Headers that follow a stream's first ones (HEADERS)."""

    stream_id: int
    headers: Headers
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """SETTINGS or WINDOW_UPDATE."""

    frame_type: int


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a stream. A decoder cuts large frames into several of these; `is_last` is on the last one only."""

    stream_id: int
    data: bytes
    is_last: bool = False


Frame = SynStream | SynReply | RstStream | Ping | GoAway | MoreHeaders | Ignored | Data
