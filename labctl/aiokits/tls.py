"""TLS of asyncio for processes with many connections and little memory."""

from __future__ import annotations

from asyncio import sslproto

RECORD = 16 * 1024
"""The most bytes that one TLS record carries (RFC 8446, section 5.1)."""


def small_buffers() -> None:
    """Let every later TLS connection of this process have a read buffer of one record instead of 256 KiB.

    asyncio fills the buffer with zeros when the connection is made, so all of it is resident; a watch that says a few hundred
    bytes now and then does not need it. Larger answers take more turns of the event loop.
    """
    sslproto.SSLProtocol.max_size = RECORD
