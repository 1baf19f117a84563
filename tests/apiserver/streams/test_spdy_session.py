"""The server's side of a SPDY connection, without I/O."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.apiserver.streams.spdy.codec import Decoder, Encoder
from labctl.apiserver.streams.spdy.frames import (
    Data,
    Frame,
    GoAway,
    GoAwayStatus,
    Ping,
    RstStatus,
    RstStream,
    SynReply,
    SynStream,
)
from labctl.apiserver.streams.spdy.session import FRAME_BYTES, Event, Left, Opened, Received, Reset, Session


class Peer:
    """A client: frames in, events out, and what the session sends back."""

    def __init__(self, *, max_streams: int = 4) -> None:
        self.session = Session(max_streams=max_streams)
        self._encoder, self._decoder = Encoder(), Decoder()

    def sends(self, *frames: Frame) -> list[Event]:
        return list(self.session.receive(b"".join(self._encoder.encode(f) for f in frames)))

    def gets(self) -> list[Frame]:
        return list(self._decoder.decode(self.session.take()))


def test_a_stream_from_its_opening_to_its_end() -> None:
    peer = Peer()
    assert peer.sends(SynStream(1, {"a": "b"})) == [Opened(1, {"a": "b"}, is_last=False)]
    peer.session.accept(1)
    assert peer.gets() == [SynReply(1, {})]
    assert peer.sends(Data(1, b"in", is_last=True)) == [Received(1, b"in", is_last=True)]
    peer.session.send(1, b"out", is_last=True)
    assert peer.gets() == [Data(1, b"out", is_last=True)]
    assert peer.session.open_streams == 0
    assert peer.sends(Data(1, b"late")) == []
    with pytest.raises(ConnectionResetError):
        peer.session.send(1, b"late")


def test_data_is_cut_so_that_streams_share_the_connection() -> None:
    peer = Peer()
    peer.sends(SynStream(1, {}))
    peer.session.send(1, bytes(2 * FRAME_BYTES + 1), is_last=True)
    frames = peer.gets()
    assert [len(f.data) for f in frames if isinstance(f, Data)] == [FRAME_BYTES, FRAME_BYTES, 1]
    assert [f.is_last for f in frames if isinstance(f, Data)] == [False, False, True]


def test_ids_that_the_client_may_not_use_are_reset() -> None:
    peer = Peer()
    peer.sends(SynStream(5, {}))
    assert peer.sends(SynStream(2, {}), SynStream(3, {}), SynStream(5, {})) == []
    assert peer.gets() == [RstStream(i, RstStatus.PROTOCOL_ERROR) for i in (2, 3, 5)]
    assert peer.session.open_streams == 1


def test_more_streams_than_allowed_are_refused_until_one_ends() -> None:
    peer = Peer(max_streams=1)
    assert len(peer.sends(SynStream(1, {}), SynStream(3, {}))) == 1
    assert peer.gets() == [RstStream(3, RstStatus.REFUSED_STREAM)]
    assert peer.sends(RstStream(1, RstStatus.CANCEL), SynStream(5, {})) == [Reset(1), Opened(5, {}, is_last=False)]


def test_only_pings_of_the_client_are_answered() -> None:
    peer = Peer()
    peer.sends(Ping(1), Ping(2))
    assert peer.gets() == [Ping(1)]


def test_nothing_is_opened_after_goodbye() -> None:
    peer = Peer()
    peer.sends(SynStream(1, {}))
    assert peer.sends(GoAway(0, 0), SynStream(3, {})) == [Left()]
    peer.session.go_away(GoAwayStatus.PROTOCOL_ERROR)
    assert peer.gets() == [GoAway(1, GoAwayStatus.PROTOCOL_ERROR)]


def test_a_stream_without_a_way_back_takes_nothing() -> None:
    peer = Peer()
    peer.sends(SynStream(1, {}, is_unidirectional=True))
    with pytest.raises(ConnectionResetError):
        peer.session.send(1, b"x")


_IDS = st.integers(1, 9)
_STEPS = st.one_of(
    st.builds(SynStream, _IDS, st.just({}), st.booleans()),
    st.builds(Data, _IDS, st.binary(max_size=3), st.booleans()),
    st.builds(RstStream, _IDS, st.just(5)),
    st.builds(lambda i: i, _IDS),  # the server ends its side of this stream
)


@given(st.lists(_STEPS, max_size=40))
def test_every_event_is_about_a_stream_that_is_open(steps: list[Frame | int]) -> None:
    """Against a model: which streams may receive, and which may send."""
    peer, receives, sends, last = Peer(max_streams=3), set[int](), set[int](), 0
    for step in steps:
        if isinstance(step, int):
            if step in sends:
                sends.discard(step)
                peer.session.send(step, b"", is_last=True)
            continue
        events = peer.sends(step)
        if isinstance(step, SynStream) and step.stream_id % 2 and step.stream_id > last:
            last = step.stream_id
            if len(receives | sends) < 3:
                assert events == [Opened(step.stream_id, {}, step.is_last)]
                sends.add(step.stream_id)
                receives |= set() if step.is_last else {step.stream_id}
                continue
            assert events == []
        elif isinstance(step, Data) and step.stream_id in receives and (step.data or step.is_last):
            assert events == [Received(step.stream_id, step.data, step.is_last)]
            receives -= {step.stream_id} if step.is_last else set()
        elif isinstance(step, RstStream) and step.stream_id in receives | sends:
            assert events == [Reset(step.stream_id)]
            receives.discard(step.stream_id)
            sends.discard(step.stream_id)
        else:
            assert events == []
        assert peer.session.open_streams == len(receives | sends)
