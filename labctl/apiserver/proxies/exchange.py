"""One proxied request: HTTP/1.1 over a connection to the pod, carried while it comes, in both directions."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import h11
from starlette.requests import Request
from starlette.responses import Response

from labctl.api.status import ApiError
from labctl.apiserver import answers
from labctl.apiserver.proxies import rewriting
from labctl.apiserver.proxies.locations import Location, unreachable
from labctl.apiserver.proxies.rewriting import Links, RawHeaders

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

_CHUNK = 64 * 1024
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[Location], Awaitable[_Streams]]
"""Connects to a port of the pod. Raises ApiError or OSError."""


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class Proxied(Response):
    """The answer of a pod. Its own failures become a Status, as long as nothing was sent."""

    def __init__(self, request: Request, location: Location, target: str, links: Links, dial: Dial) -> None:
        super().__init__()
        self._request = request
        self._location = location
        self._target = target
        self._links = links
        self._dial = dial
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry the request and its answer."""
        try:
            reader, writer = await self._connect()
            try:
                async with asyncio.TaskGroup() as tasks:
                    exchange = _Exchange(reader, writer)
                    sending = tasks.create_task(self._send_request(exchange, receive), name="request to the pod")
                    await self._send_answer(exchange, send)
                    sending.cancel()
            finally:
                writer.close()
        except* ClientGone:
            pass
        except* (ApiError, OSError, h11.RemoteProtocolError) as group:
            if self._has_begun:  # too late for words: a connection that breaks off says that the answer is not whole
                raise
            await answers.failure(self._failure(group))(scope, receive, send)

    async def _connect(self) -> _Streams:
        reader, writer = await self._dial(self._location)
        if self._location.scheme == "https":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # pods' certificates are nobody's business, as in Kubernetes
            try:
                await writer.start_tls(context)
            except BaseException:
                writer.close()
                raise
        return reader, writer

    def _failure(self, group: ExceptionGroup[Exception]) -> ApiError:
        error: BaseException = group
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        where = f"dial tcp {self._location.address}:{self._location.port}: connect:"
        if isinstance(error, h11.RemoteProtocolError):
            return unreachable(f"malformed HTTP response: {error}")
        if isinstance(error, ssl.SSLError):
            is_plain = error.reason == "WRONG_VERSION_NUMBER"
            return unreachable(
                "http: server gave HTTP response to HTTPS client" if is_plain else f"tls: {error.reason}"
            )
        if "connection refused" in str(error).lower():
            return unreachable(f"{where} connection refused")
        if isinstance(error, OSError):
            return unreachable(f"{where} {(error.strerror or str(error)).lower()}")
        return error if isinstance(error, ApiError) and error.code < 500 else unreachable(str(error))

    async def _send_request(self, exchange: _Exchange, receive: Receive) -> None:
        """Send the request, then wait for the client to go: an answer may have no end."""
        scope = self._request.scope
        client = scope["client"][0] if scope.get("client") else ""
        headers = rewriting.request_headers(scope["headers"], client=client, uri=self._links.prefix + self._target)
        has_body = any(n in (b"content-length", b"transfer-encoding") for n, _ in scope["headers"])
        if has_body and not any(name == b"content-length" for name, _ in headers):
            headers.append((b"transfer-encoding", b"chunked"))
        query = scope["query_string"].decode("latin-1")
        target = f"{self._target}?{query}" if query else self._target
        await exchange.send(h11.Request(method=scope["method"], target=target, headers=headers))
        is_more = True
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            if not is_more:
                continue
            if message.get("body"):
                await exchange.send(h11.Data(data=message["body"]))
            is_more = message.get("more_body", False)
            if not is_more:
                await exchange.send(h11.EndOfMessage())

    async def _send_answer(self, exchange: _Exchange, send: Send) -> None:
        head = await exchange.head()
        headers = [
            (name, self._links.rewrite(value.decode("latin-1")).encode("latin-1") if name == b"location" else value)
            for name, value in rewriting.end_to_end(head.headers)
        ]
        found = dict(headers)
        is_page = found.get(b"content-type", b"").partition(b";")[0].strip() == b"text/html"
        if is_page and b"location" not in found and self._request.method != "HEAD":
            await self._send_page(exchange, send, head.status_code, headers)
            return
        self._has_begun = True
        await send(_start(head.status_code, headers))
        async for data in exchange.body():
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _send_page(self, exchange: _Exchange, send: Send, code: int, headers: RawHeaders) -> None:
        """Send an HTML page with its links rewritten; one that is too large goes on as it is."""
        body, page = exchange.body(), b""
        async for data in body:
            page += data
            if len(page) > rewriting.MAX_PAGE_BYTES:
                break
        else:
            encoding = dict(headers).get(b"content-encoding", b"").decode("latin-1")
            page = self._links.rewrite_page(page, encoding)
            headers = [(n, v) for n, v in headers if n != b"content-length"]
            if code not in (204, 304):
                headers.append((b"content-length", b"%d" % len(page)))
        self._has_begun = True
        await send(_start(code, headers))
        await send({"type": "http.response.body", "body": page, "more_body": True})
        async for data in body:
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _start(code: int, headers: RawHeaders) -> Message:
    return {"type": "http.response.start", "status": code, "headers": headers}


class _Exchange:
    """The client's side of one HTTP/1.1 exchange."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    async def send(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        """Send a part of the request."""
        data = self._http.send(event)
        if data:
            self._writer.write(data)
            await self._writer.drain()

    async def head(self) -> h11.Response:
        """The head of the answer, after whatever goes before it (100 Continue)."""
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise h11.RemoteProtocolError("EOF")

    async def body(self) -> AsyncIterator[bytes]:
        """The bytes of the answer."""
        while True:
            event = await self._event()
            if not isinstance(event, h11.Data):
                return
            yield bytes(event.data)

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(_CHUNK))
        return event
