"""`Connection: Upgrade` for protocols that ASGI does not know: an extension of the scope that hands out the connection.

uvicorn turns only WebSocket requests into something else. This subclass of its HTTP protocol puts an `Upgrade` into the
scope of requests for SPDY/3.1, which stay ordinary requests: they are authenticated, authorised and refused like all
others. Only when the application takes the upgrade is `101 Switching Protocols` sent and the transport given away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import h11
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from labctl.api import status

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from labctl.apiserver.streams.spdy.connection import Channel

EXTENSION = "labctl.upgrade"
SPDY = "SPDY/3.1"
_CHUNK = 64 * 1024
_CLOSE_S = 5.0


class UpgradeProtocol(H11Protocol):
    """HTTP/1.1 and WebSocket as uvicorn has them, and SPDY/3.1."""

    def _should_upgrade(self) -> bool:
        # uvicorn asks this between making the scope and starting the application; a test holds it to that
        if self._get_upgrade() == SPDY.lower().encode():
            self.scope["extensions"] = {EXTENSION: {"upgrade": Upgrade(self)}}
            return False
        return super()._should_upgrade()

    @property
    def has_whole_request(self) -> bool:
        """Whether the request has ended, so that what comes next belongs to the other protocol."""
        return self.conn.their_state is h11.MIGHT_SWITCH_PROTOCOL  # type: ignore[attr-defined]  # exported, not in __all__

    def give_away(self, headers: Iterable[tuple[str, str]]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send 101 with these headers and let go of the connection."""
        self.cycle.disconnected = True  # uvicorn expects no response of the application any more
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        switching = h11.InformationalResponse(
            status_code=101, headers=[("Connection", "Upgrade"), ("Upgrade", SPDY), *headers]
        )
        self.transport.write(self.conn.send(switching))
        reader = asyncio.StreamReader(limit=_CHUNK, loop=self.loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self.loop)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if early := self.conn.trailing_data[0]:
            reader.feed_data(early)
        self.flow.resume_reading()
        return reader, asyncio.StreamWriter(self.transport, protocol, reader, self.loop)


class Upgrade:
    """A request that may be taken out of HTTP."""

    def __init__(self, protocol: UpgradeProtocol) -> None:
        self._protocol = protocol

    @property
    def is_possible(self) -> bool:
        """False for a request with a body."""
        return self._protocol.has_whole_request

    def accept(self, headers: Iterable[tuple[str, str]]) -> RawChannel:
        """Take it; `headers` go with the answer."""
        return RawChannel(*self._protocol.give_away(headers))


class RawChannel:
    """The connection after the upgrade."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> bytes:
        """Some bytes; none at the end."""
        return await self._reader.read(_CHUNK)

    async def send(self, data: bytes) -> None:
        """Send; waits while the other side does not take them."""
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        """End it, after what was sent has gone out; a client that takes nothing is cut off."""
        self._writer.close()
        with suppress(OSError):
            try:
                async with asyncio.timeout(_CLOSE_S):
                    await self._writer.wait_closed()
            except TimeoutError:
                self._writer.transport.abort()


class Takeover(Response):
    """The answer that takes the connection: `serve` has it until it returns."""

    def __init__(
        self, upgrade: Upgrade, headers: Iterable[tuple[str, str]], serve: Callable[[Channel], Awaitable[None]]
    ) -> None:
        super().__init__()
        self._upgrade = upgrade
        self._answer = tuple(headers)
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # as ASGI wants it
        """Switch protocols and serve."""
        channel = self._upgrade.accept(self._answer)
        try:
            with suppress(ConnectionError):
                await self._serve(channel)
        finally:
            await channel.close()


def of(request: Request) -> Upgrade:
    """The upgrade that a request asks for. Raises ApiError 400 when it asks for none that can be had."""
    extensions: dict[str, Any] = request.scope.get("extensions") or {}
    found = extensions.get(EXTENSION)
    if found is None:
        raise status.bad_request("Upgrade request required")
    upgrade: Upgrade = found["upgrade"]
    if not upgrade.is_possible:
        raise status.bad_request("unable to upgrade: the request has a body")
    return upgrade


def negotiate(request: Request, supported: tuple[str, ...]) -> str:
    """The first of the client's stream protocols that we have. Raises ApiError 400, 403."""
    header = "X-Stream-Protocol-Version"
    lines = request.headers.getlist(header)
    if not lines:
        count = len(request.headers.keys())
        raise status.bad_request(f"unable to upgrade: header {header} does not exist in request with {count} headers")
    asked = [name for line in lines for part in line.split(",") if (name := part.strip())]
    if not asked:
        raise status.bad_request(f"unable to upgrade: header {header} contains {lines}, but no valid protocols")
    for name in asked:
        if name in supported:
            return name
    raise status.ApiError(
        403,
        "Forbidden",
        f"unable to upgrade: unable to negotiate protocol: client supports [{' '.join(asked)}], "
        f"server accepts [{' '.join(supported)}]",
    )
