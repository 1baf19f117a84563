"""The Kubernetes API over HTTPS, on asyncio streams and h11.

Small on purpose: the node agents' whole memory budget is 25 MB, and `labctl get` wants to answer in 150 ms. Connections are
kept alive; a watch has a connection of its own.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

import h11
import orjson

from labctl.api import status
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.client.paths import path_of
from labctl.client.protocol import ObjectList, PatchType, WatchEvent

_READ_BYTES = 64 * 1024
_CONNECT_TIMEOUT_S = 10.0
_ANSWER_TIMEOUT_S = 60.0
_MAX_IDLE = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """Status code, headers (lower-case names, several of one name joined by newlines) and body."""

    code: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises ApiError for a failure Status or an answer that is no JSON."""
        try:
            data = orjson.loads(self.body) if self.body else {}
        except ValueError:
            data = {"message": self.body.decode(errors="replace").strip()}
            if self.code < 400:
                raise status.internal("the server answered something that is no JSON") from None
        if self.code >= 400:
            raise status.from_status({"code": self.code, **data} if isinstance(data, dict) else {"code": self.code})
        return data


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    protocol: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT))

    async def next_event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            try:
                event = self.protocol.next_event()
            except h11.RemoteProtocolError as error:  # a server that is killed ends in the middle of a chunk
                raise ConnectionResetError(str(error)) from error
            if event is h11.NEED_DATA:
                self.protocol.receive_data(await self.reader.read(_READ_BYTES))
            else:
                return event  # type: ignore[return-value]  # NEED_DATA is handled above

    def close(self) -> None:
        self.writer.close()


class HttpApi:
    """Implements `labctl.client.protocol.Api`. Raises ApiError, and OSError when the server cannot be reached."""

    def __init__(
        self,
        server: str,
        *,
        token: str = "",
        ca_certificate: str = "",
        client_certificate: tuple[str, str] | None = None,
        verify: bool = True,
        user_agent: str = "labctl",
        field_manager: str = "",
    ) -> None:
        """`server` is a URL; certificates are PEM texts (the client's: paths of certificate and key)."""
        url = urlsplit(server)
        self.server = server
        self._host = url.hostname or "localhost"
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._prefix = url.path.rstrip("/")
        self._ssl = _context(ca_certificate, client_certificate, verify=verify) if url.scheme == "https" else None
        self._headers = {"Host": url.netloc, "User-Agent": user_agent}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._field_manager = field_manager or user_agent
        self._idle: list[_Connection] = []

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request. A kept connection that turns out dead is replaced once."""
        if self._idle:
            connection = self._idle.pop()
            try:
                return await self._exchange(connection, method, path, query, body, headers)
            except (OSError, EOFError):
                connection.close()
        return await self._exchange(await self.connect(), method, path, query, body, headers)

    async def connect(self) -> _Connection:
        """A fresh connection."""
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._ssl)
        return _Connection(reader, writer)

    async def close(self) -> None:
        """Close idle connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def lines(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """The lines of a streamed answer (a watch, followed logs). Raises ApiError for a refusal."""
        connection = await self.connect()
        try:
            response = await self._send(connection, "GET", path, query, None, None)
            if response.status_code >= 400:
                Answer(response.status_code, {}, await _rest(connection)).json()
            rest = b""
            async for chunk in _chunks(connection):
                *complete, rest = (rest + chunk).split(b"\n")
                for line in complete:
                    yield line
            if rest:
                yield rest
        finally:
            connection.close()

    async def chunks(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """The bytes of a streamed answer as they come."""
        connection = await self.connect()
        try:
            response = await self._send(connection, "GET", path, query, None, None)
            if response.status_code >= 400:
                Answer(response.status_code, {}, await _rest(connection)).json()
            async for chunk in _chunks(connection):
                yield chunk
        finally:
            connection.close()

    async def get(self, kind: Kind, namespace: str, name: str, *, subresource: str = "") -> Object:
        """Read one object."""
        return await self._json("GET", path_of(kind, namespace, name, subresource))

    async def list(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> ObjectList:
        """Read many objects."""
        query = _query(
            labelSelector=label_selector,
            fieldSelector=field_selector,
            limit=str(limit) if limit else "",
            **{"continue": continue_token},
        )
        data = await self._json("GET", path_of(kind, namespace), query=query)
        meta = data.get("metadata") or {}
        return ObjectList(data.get("items") or [], meta.get("resourceVersion", ""), meta.get("continue", ""))

    async def create(
        self, kind: Kind, obj: Object, *, namespace: str = "", subresource: str = "", name: str = ""
    ) -> Object:
        """Create an object, or a subresource's."""
        namespace = namespace or (obj.get("metadata") or {}).get("namespace", "")
        return await self._json("POST", path_of(kind, namespace, name, subresource), body=obj)

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        """Replace an object or a subresource of it."""
        meta = obj["metadata"]
        return await self._json("PUT", path_of(kind, meta.get("namespace", ""), meta["name"], subresource), body=obj)

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: object,
        *,
        patch_type: PatchType = "application/merge-patch+json",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        """Patch an object."""
        query = _query(fieldManager=field_manager or self._field_manager, force="true" if force else "")
        path = path_of(kind, namespace, name, subresource)
        return await self._json("PATCH", path, query=query, body=patch, content_type=patch_type)

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        grace_period_s: int | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] | None = None,
        uid: str = "",
        resource_version: str = "",
    ) -> Object:
        """Delete an object."""
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if grace_period_s is not None:
            options["gracePeriodSeconds"] = grace_period_s
        if propagation:
            options["propagationPolicy"] = propagation
        wanted = {k: v for k, v in (("uid", uid), ("resourceVersion", resource_version)) if v}
        if wanted:
            options["preconditions"] = wanted
        return await self._json("DELETE", path_of(kind, namespace, name), body=options)

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        send_initial_events: bool = False,
        timeout_s: float | None = None,
    ) -> AsyncIterator[WatchEvent]:
        """Follow changes until the server ends the watch."""
        query = _query(
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=resource_version,
            labelSelector=label_selector,
            fieldSelector=field_selector,
            timeoutSeconds=str(int(timeout_s)) if timeout_s else "",
        )
        if send_initial_events:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        async with aclosing(self.lines(path_of(kind, namespace), query)) as lines:  # type: ignore[type-var]  # a generator
            async for line in lines:
                if line:
                    event = orjson.loads(line)
                    yield WatchEvent(event["type"], event["object"])

    async def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Object:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        data = orjson.dumps(body) if body is not None else None
        answer: Object = (await self.request(method, path, query=query, body=data, headers=headers)).json()
        return answer

    async def _exchange(
        self,
        connection: _Connection,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> Answer:
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            response = await self._send(connection, method, path, query, body, headers)
            content = await _rest(connection)
        if connection.protocol.our_state is h11.DONE and connection.protocol.their_state is h11.DONE:
            connection.protocol.start_next_cycle()
            self._keep(connection)
        else:
            connection.close()
        return Answer(response.status_code, _headers(response.headers), content)

    def _keep(self, connection: _Connection) -> None:
        if len(self._idle) < _MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    async def _send(
        self,
        connection: _Connection,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> h11.Response:
        target = self._prefix + path + (f"?{urlencode(query)}" if query else "")
        fields = {**self._headers, **(headers or {}), "Content-Length": str(len(body or b""))}
        request = h11.Request(method=method, target=target, headers=list(fields.items()))
        data = connection.protocol.send(request) or b""
        if body:
            data += connection.protocol.send(h11.Data(data=body)) or b""
        data += connection.protocol.send(h11.EndOfMessage()) or b""
        connection.writer.write(data)
        await connection.writer.drain()
        while True:
            event = await connection.next_event()
            if isinstance(event, h11.Response):
                return event
            if isinstance(event, h11.ConnectionClosed):
                raise EOFError("the server closed the connection")


def _query(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, value in pairs:
        name = raw_name.decode("latin-1")
        text = value.decode("latin-1")
        found[name] = f"{found[name]}\n{text}" if name in found else text
    return found


async def _chunks(connection: _Connection) -> AsyncIterator[bytes]:
    while True:
        event = await connection.next_event()
        if isinstance(event, h11.Data):
            yield bytes(event.data)
        elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
            return


async def _rest(connection: _Connection) -> bytes:
    return b"".join([chunk async for chunk in _chunks(connection)])


def _context(ca_certificate: str, client: tuple[str, str] | None, *, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca_certificate or None)
    if client:
        context.load_cert_chain(*client)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
