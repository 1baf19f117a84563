"""Load from inside one pod's network namespace: run by tests.bench.traffic in a container there. Prints one JSON number.

`sink PORT` takes what comes (prints nothing, runs until it is removed), `send HOST PORT SECONDS` gives Gbit/s over one TCP
connection, `connect HOST PORT SECONDS` new connections per second, one after the other, and `dns SERVER NAME SECONDS` answered
queries per second with 64 of them under way.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import threading
import time
from contextlib import suppress

_CHUNK = bytes(1 << 20)
_UNDER_WAY = 64
_A, _IN, _RECURSION_DESIRED = 1, 1, 0x0100


def sink(port: int) -> None:
    """Accept connections and read them to their ends."""
    server = socket.create_server(("", port), backlog=1024)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=_drain, args=(connection,), daemon=True).start()


def _drain(connection: socket.socket) -> None:
    buffer = bytearray(len(_CHUNK))
    with connection, suppress(ConnectionResetError):
        while connection.recv_into(buffer):
            pass


def send(host: str, port: int, seconds: float) -> float:
    """Gbit/s of one connection."""
    with socket.create_connection((host, port), timeout=5) as connection:
        start, sent = time.monotonic(), 0
        while (used := time.monotonic() - start) < seconds:
            sent += connection.send(_CHUNK)
    return sent * 8 / used / 1e9


# Ended with a reset, connections do not wait for a minute; those of a few seconds would take all ports there are.
_RESET = struct.pack("ii", 1, 0)


def connect(host: str, port: int, seconds: float) -> float:
    """Connections per second, opened and closed one after the other."""
    start, count = time.monotonic(), 0
    while (used := time.monotonic() - start) < seconds:
        with socket.create_connection((host, port), timeout=5) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        count += 1
    return count / used


def dns(server: str, name: str, seconds: float) -> float:
    """Answered queries per second; each answer sends the next query, a lost one is asked again after a second."""
    poller, sockets = select.epoll(), {}
    for number in range(_UNDER_WAY):
        each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        each.connect((server, 53))
        sockets[each.fileno()] = each
        poller.register(each, select.EPOLLIN)
        each.send(_query(number, name))
    start, answered = time.monotonic(), 0
    while (used := time.monotonic() - start) < seconds:
        ready = poller.poll(1)
        for fileno, _ in ready:
            sockets[fileno].recv(1500)
            answered += 1
            sockets[fileno].send(_query(answered & 0xFFFF, name))
        if not ready:
            for each in sockets.values():
                each.send(_query(0, name))
    return answered / used


def _query(number: int, name: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    return struct.pack(">6H", number, _RECURSION_DESIRED, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", _A, _IN)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["sink", port_]:
            sink(int(port_))
        case ["send", host_, port_, seconds_]:
            print(json.dumps(send(host_, int(port_), float(seconds_))))
        case ["connect", host_, port_, seconds_]:
            print(json.dumps(connect(host_, int(port_), float(seconds_))))
        case ["dns", server_, name_, seconds_]:
            print(json.dumps(dns(server_, name_, float(seconds_))))
        case other:
            sys.exit(f"unknown: {' '.join(other)}")
