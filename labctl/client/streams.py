"""The client's end of exec and attach: channels over one WebSocket (`v5.channel.k8s.io`, KEP-4006).

Blocking sockets and a selector instead of an event loop: a command line starts quicker without one, and TLS sockets may not
be read and written by two threads at once. Framing and handshake are wsproto's.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from labctl.api import status
from labctl.api.objects import Object
from labctl.errors import LabctlError

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Message:
    """Some bytes of one channel."""

    channel: int
    data: bytes


class Channels:
    """One open WebSocket. Raises ApiError when the server refuses, LabctlError when the connection breaks.

    `open` shakes hands; `messages()` yields what comes, and calls `on_input` with any extra file object that became
    readable meanwhile (standard input, a signal pipe).
    """

    def __init__(
        self, connection: socket.socket, protocol: WSConnection, subprotocol: str, early: list[Message]
    ) -> None:
        self._socket = connection
        self._websocket = protocol
        self.subprotocol = subprotocol
        self._early = early
        self._partial = bytearray()
        self._selector = selectors.DefaultSelector()
        self._inputs: dict[int, Callable[[], None]] = {}
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ)

    def watch(self, fd: int, on_input: Callable[[], None]) -> None:
        """Call `on_input` whenever this file descriptor is readable."""
        self._inputs[fd] = on_input
        self._selector.register(fd, selectors.EVENT_READ)

    def unwatch(self, fd: int) -> None:
        """Stop doing so."""
        if self._inputs.pop(fd, None) is not None:
            self._selector.unregister(fd)

    def send(self, channel: int, data: bytes) -> None:
        """Write to a channel."""
        self._write(self._websocket.send(BytesMessage(bytes([channel]) + data)))

    def end_input(self) -> None:
        """Tell that no more stdin will come. Before v5 there is no way to, and the process waits on."""
        if self.subprotocol == PROTOCOLS[0]:
            self.send(CLOSE, bytes([STDIN]))

    def resize(self, columns: int, rows: int) -> None:
        """Tell the size of the terminal."""
        self.send(RESIZE, json.dumps({"Width": columns, "Height": rows}).encode())

    def messages(self) -> Iterator[Message]:
        """What the server sends, until it closes."""
        yield from self._early
        while True:
            ready = {key.fd for key, _ in self._selector.select()}
            for fd in ready & set(self._inputs):
                self._inputs[fd]()
            if self._socket.fileno() in ready:
                received = self._read()
                if received is None:
                    return
                yield from received

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError, LabctlError, LocalProtocolError):  # it may be closed already
            self._write(self._websocket.send(CloseConnection(code=1000)))
        self._selector.close()
        self._socket.close()

    def _read(self) -> list[Message] | None:
        """The messages that have arrived; None when the server is done."""
        found: list[Message] = []
        while True:
            try:
                data = self._socket.recv(_CHUNK)
            except (ssl.SSLWantReadError, BlockingIOError):
                return found
            except ssl.SSLWantWriteError:  # a key update; the next select sorts it out
                return found
            except OSError as error:
                raise LabctlError(f"the connection to the pod broke: {error}") from error
            self._websocket.receive_data(data or None)
            try:
                for event in self._websocket.events():
                    if isinstance(event, BytesMessage):
                        self._collect(event, found)
                    elif isinstance(event, Ping):
                        self._write(self._websocket.send(event.response()))
                    elif isinstance(event, CloseConnection):
                        return found or None
                    elif isinstance(event, TextMessage):
                        raise LabctlError("the server sent text where channels were agreed on")
            except RemoteProtocolError as error:
                raise LabctlError(f"the server broke the WebSocket protocol: {error}") from error
            if not data:
                return found or None

    def _collect(self, event: BytesMessage, found: list[Message]) -> None:
        self._partial += event.data
        if event.message_finished:
            if self._partial:
                found.append(Message(self._partial[0], bytes(self._partial[1:])))
            self._partial.clear()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except (ssl.SSLWantWriteError, BlockingIOError):
                with selectors.DefaultSelector() as waiting:
                    waiting.register(self._socket, selectors.EVENT_WRITE)
                    waiting.select()
            except OSError as error:
                raise LabctlError(f"the connection to the pod broke: {error}") from error


def open_channels(
    connection: socket.socket, *, host: str, path: str, query: Iterable[tuple[str, str]], headers: Mapping[str, str]
) -> Channels:
    """Shake hands over a connected (TLS) socket. Raises ApiError when the server says no."""
    websocket = WSConnection(ConnectionType.CLIENT)
    extra = [(k.encode(), v.encode()) for k, v in headers.items()]
    target = f"{path}?{urlencode(list(query))}"
    request = Request(host=host, target=target, subprotocols=list(PROTOCOLS), extra_headers=extra)
    connection.sendall(websocket.send(request))
    refusal: RejectConnection | None = None
    body = b""
    early: list[Message] = []
    accepted: AcceptConnection | None = None
    while accepted is None:
        data = connection.recv(_CHUNK)
        try:
            websocket.receive_data(data or None)
            for event in websocket.events():
                if isinstance(event, AcceptConnection):
                    accepted = event
                elif isinstance(event, BytesMessage) and event.data:
                    early.append(Message(event.data[0], bytes(event.data[1:])))
                elif isinstance(event, RejectConnection):
                    refusal = event
                elif isinstance(event, RejectData):
                    body += bytes(event.data)
                if refusal is not None and (not refusal.has_body or getattr(event, "body_finished", False)):
                    raise _refused(refusal.status_code, body)
        except RemoteProtocolError as error:
            raise LabctlError(f"the server does not speak WebSocket here: {error}") from error
        if not data:
            raise LabctlError("the server closed the connection before it answered")
    return Channels(connection, websocket, accepted.subprotocol or PROTOCOLS[1], early)


def _refused(code: int, body: bytes) -> LabctlError:
    try:
        found = json.loads(body)
    except ValueError:
        found = {}
    given: Object = (
        found if isinstance(found, dict) and found.get("message") else {"message": body.decode(errors="replace")}
    )
    return status.from_status({"code": code, **given})


def connect(server: str, context: ssl.SSLContext | None, *, timeout_s: float = 30.0) -> tuple[socket.socket, str]:
    """A connected socket to an https:// or http:// address, and its host for the handshake."""
    url = urlsplit(server)
    host, port = url.hostname or "localhost", url.port or (443 if url.scheme == "https" else 80)
    plain = socket.create_connection((host, port), timeout=timeout_s)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if url.scheme == "https":
        return (context or ssl.create_default_context()).wrap_socket(plain, server_hostname=host), f"{host}:{port}"
    return plain, f"{host}:{port}"
