from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.engine.docker_streams import FrameSplitter, ThreadedStream


def framed(*pieces: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack(">BxxxL", stream, len(data)) + data for stream, data in pieces)


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=20)), max_size=8),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_frames_are_found_wherever_the_bytes_are_cut(pieces: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data = framed(*pieces)
    splitter = FrameSplitter(tty=False)
    ends = sorted({0, len(data), *(c for c in cuts if c < len(data))})
    got = [piece for start, end in pairwise(ends) for piece in splitter.feed(data[start:end])]
    for number, tag in ((1, "stdout"), (2, "stderr")):
        assert b"".join(d for t, d in got if t == tag) == b"".join(d for s, d in pieces if s == number)


def test_a_terminal_has_no_frames() -> None:
    assert FrameSplitter(tty=True).feed(b"\x01\x00") == [("stdout", b"\x01\x00")]


async def test_items_of_a_blocking_source_arrive_in_order_and_its_error_last() -> None:
    def source() -> tuple[Iterator[int], object]:
        def items() -> Iterator[int]:
            yield from range(200)
            raise ValueError("broken")

        return items(), lambda: None

    stream: ThreadedStream[int] = ThreadedStream(source, "test")  # type: ignore[arg-type]  # the second is callable
    got = []
    with pytest.raises(ValueError, match="broken"):
        async for item in stream.items():
            got.append(item)  # noqa: PERF401  # what came before the error must stay
    assert got == list(range(200))


async def test_a_consumer_that_leaves_unblocks_the_source() -> None:
    unblocked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def source() -> tuple[Iterator[int], object]:
        return iter(range(10_000)), lambda: loop.call_soon_threadsafe(unblocked.set)

    items = ThreadedStream[int](source, "test").items()  # type: ignore[arg-type]  # the second is callable
    assert await anext(items) == 0
    await items.aclose()  # type: ignore[attr-defined]  # it is a generator
    await asyncio.wait_for(unblocked.wait(), 5)
