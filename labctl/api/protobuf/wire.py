"""The protobuf wire format: tagged values, nothing of messages. https://protobuf.dev/programming-guides/encoding/

Some eighty lines instead of a library: a message's types come from the same facts that JSON is decoded by, so nothing
but the framing is left to do, and no descriptors have to be built and held for Kubernetes' hundreds of types.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Value = int | bytes


class WireError(ValueError):
    """The bytes are not a protobuf message."""


def read(data: bytes) -> Iterator[tuple[int, int, Value]]:
    """Field number, wire type and value of every field. Raises WireError."""
    position = 0
    while position < len(data):
        tag, position = read_varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise WireError(f"proto: illegal tag {number} (wire type {wire_type})")
        value: Value
        if wire_type == VARINT:
            value, position = read_varint(data, position)
        elif wire_type == BYTES:
            length, position = read_varint(data, position)
            value, position = _take(data, position, length)
        elif wire_type in (FIXED64, FIXED32):
            value, position = _take(data, position, 8 if wire_type == FIXED64 else 4)
        else:
            raise WireError(f"proto: illegal wireType {wire_type}")
        yield number, wire_type, value


def _take(data: bytes, position: int, length: int) -> tuple[bytes, int]:
    end = position + length
    if end > len(data):
        raise WireError("unexpected EOF")
    return data[position:end], end


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """An unsigned number and the position after it. Raises WireError."""
    result = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise WireError("unexpected EOF")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, position
    raise WireError("proto: integer overflow")


def signed(value: int, bits: int) -> int:
    """An unsigned number as two's complement of that many bits."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def varint(value: int) -> bytes:
    """A number, negative ones as 64-bit two's complement."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number_field(number: int, value: int) -> bytes:
    """A field with a number."""
    return varint(number << 3 | VARINT) + varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    """A field with bytes, text or a message."""
    return varint(number << 3 | BYTES) + varint(len(value)) + value


def double_field(number: int, value: float) -> bytes:
    """A field with a floating-point number."""
    return varint(number << 3 | FIXED64) + struct.pack("<d", value)


def double(value: bytes) -> float:
    """The number in eight bytes."""
    return float(struct.unpack("<d", value)[0])
