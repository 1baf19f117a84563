"""SPDY frames: what Go's library writes is read, what is written is read again however it is cut, and nothing grows."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.apiserver.streams.spdy import codec
from labctl.apiserver.streams.spdy.codec import Decoder, Encoder
from labctl.apiserver.streams.spdy.dictionary import DICTIONARY
from labctl.apiserver.streams.spdy.frames import (
    MAX_LENGTH,
    Data,
    Frame,
    GoAway,
    Ignored,
    MoreHeaders,
    Ping,
    RstStream,
    SpdyError,
    SynReply,
    SynStream,
)

IDS = st.integers(1, (1 << 31) - 1)
NAMES = st.text(st.characters(codec="latin-1"), max_size=12).map(str.lower).filter(lambda n: n == n.lower())
NAMES = NAMES.filter(lambda n: all(ord(c) < 256 for c in n))
HEADERS = st.dictionaries(NAMES, st.text(st.characters(codec="latin-1"), max_size=40), max_size=5)
FRAMES: st.SearchStrategy[Frame] = st.one_of(
    st.builds(SynStream, IDS, HEADERS, st.booleans(), st.booleans(), st.integers(0, 7), st.integers(0, 9)),
    st.builds(SynReply, IDS, HEADERS, st.booleans()),
    st.builds(MoreHeaders, IDS, HEADERS, st.booleans()),
    st.builds(RstStream, IDS, st.integers(1, 11)),
    st.builds(Ping, st.integers(0, (1 << 32) - 1)),
    st.builds(GoAway, st.integers(0, 99), st.integers(0, 2)),
    st.sampled_from([Ignored(4), Ignored(9)]),
    st.builds(Data, IDS, st.binary(max_size=200), st.booleans()),
)


def joined(frames: list[Frame]) -> list[Frame]:
    """With the pieces of each data frame put together again."""
    result: list[Frame] = []
    for frame in frames:
        last = result[-1] if result else None
        if isinstance(frame, Data) and isinstance(last, Data) and last.stream_id == frame.stream_id:
            result[-1] = Data(frame.stream_id, last.data + frame.data, frame.is_last)
        else:
            result.append(frame)
    return result


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(0, 600), max_size=8))
def test_what_is_written_is_read_however_it_is_cut(frames: list[Frame], cuts: list[int]) -> None:
    encoder, decoder = Encoder(), Decoder()
    stream = b"".join(encoder.encode(f) for f in frames)
    edges = [0, *sorted(c for c in cuts if c < len(stream)), len(stream)]
    read = [f for a, b in itertools.pairwise(edges) for f in decoder.decode(stream[a:b])]
    assert joined(read) == joined(frames)


@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_an_error(data: bytes) -> None:
    for start in (b"", bytes.fromhex("80030001"), bytes.fromhex("8003000100000020")):
        decoder = Decoder()
        try:
            for frame in decoder.decode(start + data):
                assert isinstance(frame, Frame)
        except SpdyError:
            pass


@given(FRAMES, st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_frame_is_a_frame_or_an_error(frame: Frame, where: int, value: int) -> None:
    data = bytearray(Encoder().encode(frame))
    data[where % len(data)] = value
    with contextlib.suppress(SpdyError):
        list(Decoder().decode(bytes(data)))


def test_the_dictionary_is_that_of_the_specification() -> None:
    assert hashlib.sha256(DICTIONARY).hexdigest() == "51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02"


def test_frames_of_the_go_library() -> None:
    """Written by github.com/moby/spdystream v0.5.1."""
    recorded = (
        "800300010000003d0000000100000000000078f9e3c6a7c202253a703a2b294a4dcc851625aca9a0808614cb45a024cc6461c0c0c0c059"
        "0489c44c50e2663400000000ffff"
        "800300010100001800000003000000000000c2aa15540a2512d209000000ffff"
        "000000030100000568656c6c6f"
        "8003000600000004000000018003000300000008000000030000000580030007000000080000000000000000"
    )
    headers = {"streamtype": "error", "port": "80", "requestid": "0"}
    assert list(Decoder().decode(bytes.fromhex(recorded))) == [
        SynStream(1, headers),
        SynStream(3, headers | {"streamtype": "data"}, is_last=True),
        Data(3, b"hello", is_last=True),
        Ping(1),
        RstStream(3, 5),
        GoAway(0, 0),
    ]


def test_a_large_data_frame_is_handed_on_as_it_arrives() -> None:
    decoder = Decoder()
    head = struct.pack(">II", 1, 1 << 24 | MAX_LENGTH)
    assert list(decoder.decode(head)) == []
    total = 0
    for _ in range(MAX_LENGTH // 65536):
        (piece,) = decoder.decode(bytes(65536))
        assert isinstance(piece, Data)
        assert not piece.is_last
        total += len(piece.data)
    (last,) = decoder.decode(bytes(MAX_LENGTH - total))
    assert isinstance(last, Data)
    assert last.is_last


def _syn_stream(block: bytes, *, raw: bool = False) -> bytes:
    """A SYN_STREAM frame with any header block."""
    deflate = zlib.compressobj(zdict=DICTIONARY)
    packed = block if raw else deflate.compress(block) + deflate.flush(zlib.Z_SYNC_FLUSH)
    payload = struct.pack(">IIBB", 1, 0, 0, 0) + packed
    return struct.pack(">HHI", 0x8003, 1, len(payload)) + payload


BOMB = struct.pack(">II", 1, 1 << 30) + bytes(8 << 20)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (struct.pack(">HHI", 0x8003, 1, codec.MAX_CONTROL_BYTES + 1), "control frame of 65537 bytes"),
        (struct.pack(">HHI", 0x8003, 6, 2) + b"ab", "type 6 is too short"),
        (struct.pack(">HHI", 0x8002, 6, 4) + bytes(4), "version 2"),
        (struct.pack(">HHI", 0x8003, 77, 0), "unknown frame of type 77"),
        (struct.pack(">II", 0, 1) + b"x", "data on stream 0"),
        (struct.pack(">HHI", 0x8003, 3, 8) + struct.pack(">II", 0, 1), "stream 0"),
        (_syn_stream(b"no zlib", raw=True), "cannot be unpacked"),
        (_syn_stream(BOMB), "more than 262144 bytes"),
        (_syn_stream(struct.pack(">I", 1001)), "1001 headers"),
        (_syn_stream(struct.pack(">II", 1, 99) + b"short"), "end in the middle"),
        (_syn_stream(struct.pack(">II1sI", 1, 1, b"A", 0)), "not in lower case"),
        (_syn_stream(struct.pack(">II1sII1sI", 2, 1, b"a", 0, 1, b"a", 0)), "repeated"),
        (_syn_stream(b""), "too short"),
    ],
)
def test_what_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(SpdyError, match=words):
        list(Decoder().decode(data))


def test_more_than_a_frame_holds_is_not_written() -> None:
    with pytest.raises(ValueError, match="16777215"):
        Encoder().encode(Data(1, bytes(MAX_LENGTH + 1)))
