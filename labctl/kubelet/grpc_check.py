"""The gRPC health check (grpc.health.v1) as one HTTP/2 exchange, written out by hand.

A probe is a single unary call, so of HTTP/2 only what that needs is spoken: preface, SETTINGS, one HEADERS frame with
literal headers, one DATA frame; the answer is in a DATA frame whatever the header compression of the rest.
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from typing import Any

from labctl.kubelet.checks import Result
from labctl.kubelet.pod_state import PodState

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_STATES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_MAX_FRAME = 1 << 16


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _header(name: str, value: str) -> bytes:
    """A literal header without indexing; names and values stay below 127 bytes."""
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def request(authority: str, service: str) -> bytes:
    """Everything the client sends for one Check call."""
    headers = b"".join(
        _header(name, value)
        for name, value in (
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/grpc.health.v1.Health/Check"),
            (":authority", authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "kube-probe/1.36"),
        )
    )
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    body = b"\x00" + struct.pack(">I", len(message)) + message
    return (
        _PREFACE
        + frame(_SETTINGS, 0, 0)
        + frame(_HEADERS, _END_HEADERS, 1, headers)
        + frame(_DATA, _END_STREAM, 1, body)
    )


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


async def check(action: Mapping[str, Any], state: PodState, timeout_s: float) -> Result:
    """Ask the service's health."""
    host, port = next(iter(state.pod_ips), ""), int(action["port"])
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await state.kit.dialer.open(state.node, host, port)
            try:
                writer.write(request(where, action.get("service") or ""))
                serving = await _answer(reader, writer)
            finally:
                writer.close()
    except TimeoutError:
        return Result(
            False, f'timeout: failed to connect service "{where}" within {timeout_s:g}s: context deadline exceeded'
        )
    except (OSError, asyncio.IncompleteReadError) as error:
        return Result(False, f'error: failed to connect service at "{where}": {error}')
    if serving is None:
        words = "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
        return Result(False, f"error: {words}: unexpected answer")
    name = _STATES.get(serving, str(serving))
    return Result(serving == 1, "" if serving == 1 else f'service unhealthy (responded with "{name}")')


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int | None:
    """The status of the health response; None when the call ended without one."""
    body = b""
    while True:
        head = await reader.readexactly(9)
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        if length > _MAX_FRAME:
            return None
        payload = await reader.readexactly(length)
        if kind == _SETTINGS and not flags & _ACK:
            writer.write(frame(_SETTINGS, _ACK, 0))
        elif kind == _PING and not flags & _ACK:
            writer.write(frame(_PING, _ACK, 0, payload))
        elif kind == _DATA:
            body += payload
        if kind in (_RST, _GOAWAY) or (kind in (_DATA, _HEADERS) and flags & _END_STREAM) or len(body) >= 5 + 2:
            break
    return _status_of(body)


def _status_of(body: bytes) -> int | None:
    """Field 1 of HealthCheckResponse; an empty message is status 0."""
    if len(body) < 5:
        return None
    message = body[5:]
    return message[1] if len(message) >= 2 and message[0] == 0x08 else 0
