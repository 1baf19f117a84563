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
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from labctl.api import status
from labctl.errors import LabctlError

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_CHUNK = 1 << 16
_HIGH_WATER = 1 << 20
_FAILURES = (1002, 1003, 1007, 1008, 1009, 1010, 1011)  # close codes of RFC 6455, 7.4.1


@dataclass(frozen=True, slots=True)
class Message:
    """Some bytes of one channel."""

    channel: int
    data: bytes


class Channels:
    """One open WebSocket. Raises ApiError when the server refuses, LabctlError when the connection breaks.

    `messages()` yields what comes, and calls `on_input` of any watched file descriptor that became readable meanwhile
    (standard input, a signal pipe). While more than _HIGH_WATER bytes wait to be sent, inputs are not read: what is written
    to a process that writes as much (`cat`) can neither pile up here nor keep us from reading.
    """

    def __init__(self, connection: socket.socket, handshake: Handshake) -> None:
        self._socket = connection
        self._websocket = handshake.websocket
        self.subprotocol = handshake.subprotocol
        self._received: list[Message] = []
        self._partial = bytearray()
        self._outgoing = bytearray()
        self._is_open = True
        self._early = handshake.early
        self._is_read_held_up = False  # TLS wants to write before it can read on
        self._selector = selectors.DefaultSelector()
        self._inputs: dict[int, Callable[[], None]] = {}
        self._are_inputs_paused = False
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ)

    def watch(self, fd: int, on_input: Callable[[], None]) -> None:
        """Call `on_input` whenever this file descriptor is readable. Raises PermissionError for regular files."""
        self._selector.register(fd, selectors.EVENT_READ)
        self._inputs[fd] = on_input

    def unwatch(self, fd: int) -> None:
        """Stop doing so."""
        if self._inputs.pop(fd, None) is not None and not self._are_inputs_paused:
            self._selector.unregister(fd)

    def send(self, channel: int, data: bytes) -> None:
        """Write to a channel, as soon as the server takes it."""
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
        for event in self._early:
            self._take(event)
        while True:
            self._read()  # before waiting: TLS may have decrypted more than was asked for
            received, self._received = self._received, []
            yield from received
            if not self._is_open:
                return
            self._wait()

    def close(self) -> None:
        """Close the connection; what was not sent yet is dropped."""
        with contextlib.suppress(OSError, LabctlError, LocalProtocolError):  # it may be closed already
            if not self._outgoing:
                self._write(self._websocket.send(CloseConnection(code=1000)))
        self._selector.close()
        self._socket.close()

    def _wait(self) -> None:
        """Until something can be read or written; what can be is done, but for the socket's reading."""
        wanted = selectors.EVENT_READ
        if self._outgoing or self._is_read_held_up:
            wanted |= selectors.EVENT_WRITE
        self._selector.modify(self._socket, wanted)
        self._pause_inputs(len(self._outgoing) > _HIGH_WATER)
        ready = [key.fd for key, _ in self._selector.select()]
        if self._outgoing:
            self._flush()
        for fd in ready:
            if on_input := self._inputs.get(fd):
                on_input()

    def _pause_inputs(self, pause: bool) -> None:
        if pause == self._are_inputs_paused:
            return
        self._are_inputs_paused = pause
        for fd in self._inputs:
            if pause:
                self._selector.unregister(fd)
            else:
                self._selector.register(fd, selectors.EVENT_READ)

    def _read(self) -> None:
        """Take what has arrived, up to _HIGH_WATER: what is read is printed before more is."""
        taken = 0
        while self._is_open and taken < _HIGH_WATER:
            self._is_read_held_up = False
            try:
                data = self._socket.recv(_CHUNK)
            except (ssl.SSLWantReadError, BlockingIOError):
                return
            except ssl.SSLWantWriteError:
                self._is_read_held_up = True
                return
            except OSError as error:
                raise LabctlError(f"the connection to the pod broke: {error}") from error
            taken += len(data)
            if not data:
                self._is_open = False
            try:
                self._websocket.receive_data(data or None)
                for event in self._websocket.events():
                    self._take(event)
            except (LocalProtocolError, RemoteProtocolError) as error:
                raise LabctlError(f"the server broke the WebSocket protocol: {error}") from error

    def _take(self, event: Event) -> None:
        if isinstance(event, BytesMessage):
            self._partial += event.data
            if event.message_finished:
                if self._partial:
                    self._received.append(Message(self._partial[0], bytes(self._partial[1:])))
                self._partial.clear()
        elif isinstance(event, Ping):
            self._write(self._websocket.send(event.response()))
        elif isinstance(event, CloseConnection):
            self._is_open = False
            if event.code in _FAILURES:
                raise LabctlError(f"the server broke off: {event.reason or f'WebSocket code {event.code}'}")
        elif isinstance(event, TextMessage):
            raise LabctlError("the server sent text where channels were agreed on")

    def _write(self, data: bytes) -> None:
        self._outgoing += data
        self._flush()

    def _flush(self) -> None:
        while self._outgoing:
            try:
                # A copy, because the buffer may not be resized while it is lent out.
                sent = self._socket.send(bytes(self._outgoing[:_CHUNK]))
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
                return
            except OSError as error:
                raise LabctlError(f"the connection to the pod broke: {error}") from error
            del self._outgoing[:sent]


class Handshake:
    """A WebSocket being opened: bytes in, until it is `accepted`. Raises ApiError when the server says no."""

    def __init__(self, *, host: str, path: str, query: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> None:
        self.websocket = WSConnection(ConnectionType.CLIENT)
        self.early: list[Event] = []  # what came in one packet with the acceptance
        self.subprotocol = ""
        self.is_accepted = False
        self._refusal = 0
        self._body = b""
        extra = [(k.encode(), v.encode()) for k, v in headers.items()]
        target = f"{path}?{urlencode(list(query))}"
        self.request = self.websocket.send(
            Request(host=host, target=target, subprotocols=list(PROTOCOLS), extra_headers=extra)
        )

    def receive(self, data: bytes) -> None:
        """Take bytes of the server; none means that it closed."""
        try:
            self.websocket.receive_data(data or None)
            for event in self.websocket.events():
                self._take(event)
        except RemoteProtocolError as error:
            raise LabctlError(f"the server does not speak WebSocket here: {error}") from error
        if not data and not self.is_accepted:
            raise LabctlError("the server closed the connection before it answered")

    def _take(self, event: Event) -> None:
        if isinstance(event, AcceptConnection):
            self.is_accepted, self.subprotocol = True, event.subprotocol or PROTOCOLS[1]
        elif isinstance(event, RejectConnection):
            self._refusal = event.status_code
            if not event.has_body:
                raise _refused(self._refusal, b"")
        elif isinstance(event, RejectData):
            self._body += bytes(event.data)
            if event.body_finished:
                raise _refused(self._refusal, self._body)
        else:
            self.early.append(event)


def open_channels(
    connection: socket.socket, *, host: str, path: str, query: Iterable[tuple[str, str]], headers: Mapping[str, str]
) -> Channels:
    """Shake hands over a connected (TLS) socket. Raises ApiError when the server says no."""
    handshake = Handshake(host=host, path=path, query=query, headers=headers)
    try:
        connection.sendall(handshake.request)
        while not handshake.is_accepted:
            handshake.receive(connection.recv(_CHUNK))
    except OSError as error:
        raise LabctlError(f"the server did not answer: {error}") from error
    return Channels(connection, handshake)


def _refused(code: int, body: bytes) -> LabctlError:
    try:
        found = json.loads(body)
    except ValueError:
        found = {}
    if isinstance(found, dict) and found.get("message"):
        return status.from_status({"code": code, **found})
    return LabctlError(f"unable to upgrade connection: {body.decode(errors='replace') or code}")


def connect(server: str, context: ssl.SSLContext | None, *, timeout_s: float = 30.0) -> tuple[socket.socket, str]:
    """A connected socket to an https:// or http:// address, and its host for the handshake."""
    url = urlsplit(server)
    host, port = url.hostname or "localhost", url.port or (443 if url.scheme == "https" else 80)
    plain = socket.create_connection((host, port), timeout=timeout_s)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if url.scheme == "https":
        return (context or ssl.create_default_context()).wrap_socket(plain, server_hostname=host), f"{host}:{port}"
    return plain, f"{host}:{port}"
