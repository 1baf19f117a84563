"""The subprotocols of exec and attach over WebSocket: how channels lie in messages, and how the end is told. Pure.

A binary message is one byte of channel and data; in the base64 protocols it is text: a digit and the data in base64.
Since v4 the error channel carries a Status, before it a failure's message. v5 can close a channel (KEP-4006).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from labctl.api.objects import Object

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
BEARER = "base64url.bearer.authorization.k8s.io."  # a browser's way to send a token


@dataclass(frozen=True, slots=True)
class StreamProtocol:
    """One subprotocol; the empty name is that of a client that asks for none."""

    name: str
    is_text: bool = False
    has_status: bool = True
    greets: bool = True  # an empty message tells that the connection stands

    def encode(self, channel: int, data: bytes) -> bytes | str:
        """A message on a channel."""
        if self.is_text:
            return f"{channel}{base64.b64encode(data).decode()}"
        return bytes([channel]) + data

    def decode(self, message: bytes | str) -> tuple[int, bytes]:
        """Channel and data of a client's message; -1 for what is none."""
        if not self.is_text:
            data = message.encode() if isinstance(message, str) else message
            return (data[0], data[1:]) if data else (-1, b"")
        text = message if isinstance(message, str) else message.decode(errors="replace")
        try:
            return int(text[:1]), base64.b64decode(text[1:], validate=True)
        except (ValueError, binascii.Error):
            return -1, b""

    def ending(self, ended: Object) -> bytes:
        """What goes on the error channel for the Status of an end."""
        if self.has_status:
            return orjson.dumps(ended)
        return b"" if ended["status"] == "Success" else str(ended["message"]).encode()


STREAMS = (
    StreamProtocol("v5.channel.k8s.io", greets=False),
    StreamProtocol("v4.channel.k8s.io"),
    StreamProtocol("v4.base64.channel.k8s.io", is_text=True),
    StreamProtocol("channel.k8s.io", has_status=False),
    StreamProtocol("base64.channel.k8s.io", is_text=True, has_status=False),
    StreamProtocol("", has_status=False),
)
"""For exec and attach."""

READERS = {"binary.k8s.io": False, "base64.binary.k8s.io": True, "": False}
"""For logs: whether what is read goes out as base64 text."""


def stream_protocol(asked: Iterable[str]) -> StreamProtocol | None:
    """The client's first protocol that there is for exec and attach."""
    known = {p.name: p for p in STREAMS}
    return next((known[name] for name in list(asked) or [""] if name in known), None)


def bearer_token(asked: Iterable[str]) -> str:
    """The token among the subprotocols; empty without one, or with one that is not base64."""
    found = next((name.removeprefix(BEARER) for name in asked if name.startswith(BEARER)), "")
    try:
        return base64.urlsafe_b64decode(found + "=" * (-len(found) % 4)).decode()
    except (ValueError, UnicodeDecodeError):
        return ""


def without_token(asked: Iterable[str]) -> list[str]:
    """The subprotocols that are meant as such."""
    return [name for name in asked if not name.startswith(BEARER)]
