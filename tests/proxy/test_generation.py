"""Asking the kernel for the generation of its packet filter."""

from __future__ import annotations

import struct

import pytest

from labctl.proxy import generation


def answer(*attributes: tuple[int, bytes], kind: int = 10 << 8 | 15) -> bytes:
    body = b"\0\0\0\0" + b"".join(struct.pack("=HH", 4 + len(v), k) + v + b"\0" * (-len(v) % 4) for k, v in attributes)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body


def test_the_number_is_read_among_other_attributes() -> None:
    message = answer((2, b"\0\0\0\7"), (3, b"nft\0"), (1, (4711).to_bytes(4, "big")))
    assert generation.parse(message) == 4711


def test_a_refusal_is_an_error_of_the_system() -> None:
    refusal = struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -1)
    with pytest.raises(PermissionError):
        generation.parse(refusal)


def test_an_answer_without_it_is_an_error() -> None:
    with pytest.raises(OSError, match="did not name"):
        generation.parse(answer((3, b"nft\0")))


def test_the_request_has_its_own_length() -> None:
    assert int.from_bytes(generation.request()[:4], "little") == len(generation.request()) == 20
