"""The client's end of exec and attach against a server of wsproto's own in a thread, over a socket pair."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from labctl.api.status import ApiError
from labctl.client import streams
from labctl.client.streams import ERROR, STDIN, STDOUT, Channels, Message
from labctl.errors import LabctlError

SUCCESS = json.dumps({"status": "Success"}).encode()


class Server:
    """The other end: reads events one by one, writes what it is told to."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.websocket = WSConnection(ConnectionType.SERVER)
        self.events: list[Event] = []

    def next(self) -> Event:
        while not self.events:
            data = self.connection.recv(1 << 16)
            self.websocket.receive_data(data or None)
            self.events += self.websocket.events()
        return self.events.pop(0)

    def accept(self, subprotocol: str | None = streams.PROTOCOLS[0], *, then: bytes = b"") -> Request:
        request = self.next()
        assert isinstance(request, Request)
        self.connection.sendall(self.websocket.send(AcceptConnection(subprotocol=subprotocol)) + then)
        return request

    def frame(self, channel: int, data: bytes, *, finished: bool = True) -> bytes:
        return self.websocket.send(BytesMessage(bytes([channel]) + data, message_finished=finished))

    def say(self, *events: Event) -> None:
        self.connection.sendall(b"".join(self.websocket.send(event) for event in events))

    def message(self) -> bytes:
        whole = b""
        while True:
            event = self.next()
            assert isinstance(event, BytesMessage), event
            whole += bytes(event.data)
            if event.message_finished:
                return whole


@contextmanager
def served(script: Callable[[Server], None]) -> Iterator[socket.socket]:
    """A socket whose other end follows `script`; what fails there fails the test."""
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    theirs.settimeout(5)
    failures: list[BaseException] = []

    def run() -> None:
        with theirs:
            try:
                script(Server(theirs))
            except BaseException as error:  # handed to the test below, assertions too
                failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ours
    finally:
        ours.close()
        thread.join(timeout=5)
    if failures:
        raise failures[0]


def opened(connection: socket.socket) -> Channels:
    return streams.open_channels(
        connection,
        host="lab:6443",
        path="/api/v1/namespaces/default/pods/web/exec",
        query=[("command", "echo"), ("command", "a b"), ("stdout", "true")],
        headers={"Authorization": "Bearer t"},
    )


def done(server: Server) -> None:
    server.connection.sendall(server.frame(ERROR, SUCCESS))
    server.say(CloseConnection(code=1000))


def test_the_handshake_asks_for_the_channel_protocols_and_keeps_order_of_the_query() -> None:
    seen: list[Request] = []

    def script(server: Server) -> None:
        seen.append(server.accept())
        done(server)

    with served(script) as connection:
        channels = opened(connection)
        assert list(channels.messages()) == [Message(ERROR, SUCCESS)]
        channels.close()
    assert seen[0].target.endswith("/pods/web/exec?command=echo&command=a+b&stdout=true")
    assert seen[0].subprotocols == ["v5.channel.k8s.io", "v4.channel.k8s.io"]
    assert (b"authorization", b"Bearer t") in seen[0].extra_headers


def test_frames_in_the_packet_of_the_acceptance_are_not_lost() -> None:
    def script(server: Server) -> None:
        request = server.next()
        assert isinstance(request, Request)
        packet = server.websocket.send(AcceptConnection(subprotocol=streams.PROTOCOLS[0]))
        packet += server.frame(STDOUT, b"first ", finished=False) + server.websocket.send(BytesMessage(b"half"))
        packet += server.frame(ERROR, SUCCESS) + server.websocket.send(CloseConnection(code=1000))
        server.connection.sendall(packet)

    with served(script) as connection:
        found = list(opened(connection).messages())
    assert found == [Message(STDOUT, b"first half"), Message(ERROR, SUCCESS)]


def test_a_message_in_fragments_around_a_ping_is_put_together_and_the_ping_answered() -> None:
    def script(server: Server) -> None:
        server.accept()
        server.connection.sendall(server.frame(STDOUT, b"one ", finished=False))
        server.say(Ping(payload=b"?"))
        answer = server.next()
        assert isinstance(answer, Pong) and bytes(answer.payload) == b"?"
        server.say(BytesMessage(b"message"))
        done(server)

    with served(script) as connection:
        found = list(opened(connection).messages())
    assert found == [Message(STDOUT, b"one message"), Message(ERROR, SUCCESS)]


@pytest.mark.parametrize(
    ("subprotocol", "signals"), [("v5.channel.k8s.io", [b"\xff\x00"]), ("v4.channel.k8s.io", []), (None, [])]
)
def test_the_end_of_stdin_is_told_where_the_protocol_can(subprotocol: str | None, signals: list[bytes]) -> None:
    def script(server: Server) -> None:
        server.accept(subprotocol)
        assert server.message() == b"\x00hello"
        for signal in signals:
            assert server.message() == signal
        assert server.message() == b'\x04{"Width": 80, "Height": 24}'
        done(server)

    with served(script) as connection:
        channels = opened(connection)
        channels.send(STDIN, b"hello")
        channels.end_input()
        channels.resize(80, 24)
        assert [m.channel for m in channels.messages()] == [ERROR]


def test_inputs_are_read_when_readable_until_they_are_given_up() -> None:
    def script(server: Server) -> None:
        server.accept()
        assert server.message() == b"\x00typed"
        assert server.message() == b"\xff\x00"
        done(server)

    reading, writing = os.pipe()
    os.write(writing, b"typed")
    os.close(writing)
    with served(script) as connection:
        channels = opened(connection)

        def forward() -> None:
            if data := os.read(reading, 100):
                channels.send(STDIN, data)
            else:
                channels.unwatch(reading)
                channels.end_input()

        channels.watch(reading, forward)
        assert [m.channel for m in channels.messages()] == [ERROR]
        channels.close()
    os.close(reading)


def test_an_echo_of_more_than_all_buffers_hold_passes_in_both_directions() -> None:
    """The server reads no more than it has written back: whoever writes first and reads later would hang."""
    total = 8 << 20

    def script(server: Server) -> None:
        server.accept()
        left = total
        while left:
            data = server.message()[1:]
            left -= len(data)
            server.connection.sendall(server.frame(STDOUT, data))
        done(server)

    reading, writing = os.pipe()

    def pour() -> None:
        with os.fdopen(writing, "wb") as end:
            end.write(b"x" * total)

    with served(script) as connection:
        channels = opened(connection)
        channels.watch(reading, lambda: channels.send(STDIN, os.read(reading, 1 << 16)))
        pouring = threading.Thread(target=pour)
        pouring.start()
        received = 0
        for message in channels.messages():
            received += len(message.data) if message.channel == STDOUT else 0
            if received == total:
                channels.unwatch(reading)
        pouring.join()
        channels.close()
    os.close(reading)
    assert received == total


def test_a_refusal_is_the_servers_status() -> None:
    body = json.dumps({"kind": "Status", "code": 404, "reason": "NotFound", "message": 'pods "web" not found'})

    def script(server: Server) -> None:
        server.next()
        server.say(RejectConnection(status_code=404, has_body=True), RejectData(body[:10].encode(), False))
        server.say(RejectData(body[10:].encode()))

    with served(script) as connection, pytest.raises(ApiError) as raised:
        opened(connection)
    assert (raised.value.code, raised.value.reason, raised.value.message) == (404, "NotFound", 'pods "web" not found')


def test_a_refusal_in_plain_text_keeps_its_text() -> None:
    def script(server: Server) -> None:
        server.next()
        server.say(RejectConnection(status_code=400, has_body=True), RejectData(b"container not found"))

    with (
        served(script) as connection,
        pytest.raises(LabctlError, match=r"^unable to upgrade connection: container not found$"),
    ):
        opened(connection)


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n"], ids=["closes", "talks nonsense"])
def test_a_server_that_does_not_speak_websocket_is_told(answer: bytes) -> None:
    def script(server: Server) -> None:
        server.next()
        server.connection.sendall(answer)

    with served(script) as connection, pytest.raises(LabctlError, match=r"closed the connection|does not speak"):
        opened(connection)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (TextMessage("hello"), "text where channels"),
        (CloseConnection(code=1011, reason="container is gone"), "container is gone"),
        (CloseConnection(code=1002), "WebSocket code 1002"),
    ],
    ids=["text", "reason", "code"],
)
def test_what_breaks_the_protocol_or_the_server_is_told(event: Event, words: str) -> None:
    def script(server: Server) -> None:
        server.accept()
        server.say(event)

    with served(script) as connection, pytest.raises(LabctlError, match=words):
        list(opened(connection).messages())


def test_messages_end_where_the_connection_does() -> None:
    def script(server: Server) -> None:
        server.accept()
        server.connection.sendall(server.frame(STDOUT, b"cut"))

    with served(script) as connection:
        channels = opened(connection)
        assert list(channels.messages()) == [Message(STDOUT, b"cut")]
        channels.close()


def test_an_address_nobody_listens_at_is_an_os_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        streams.connect(f"http://127.0.0.1:{port}", None)
