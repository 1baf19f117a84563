"""TLS connections of small processes are small."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import sslproto

import pytest

from labctl.aiokits import tls


def test_a_connection_reserves_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attribute is asyncio's own affair: this fails when a Python no longer reads it."""
    monkeypatch.setattr(sslproto.SSLProtocol, "max_size", sslproto.SSLProtocol.max_size)
    tls.small_buffers()
    loop = asyncio.new_event_loop()
    protocol = sslproto.SSLProtocol(
        loop, asyncio.Protocol(), ssl.create_default_context(), loop.create_future(), server_hostname="localhost"
    )
    assert len(protocol.get_buffer(1 << 20)) == tls.RECORD
    protocol._app_transport.close()
    loop.close()
