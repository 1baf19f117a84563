"""HTTP CONNECT on a node's LAN address: lets the kubelet connect to the node's pods from the node.

Only the kubelet, which knows the node's token, is served, and only addresses in the pods' range (and the node's own,
for pods on its network) can be reached. A connection that fails is answered with 502 and its errno in X-Errno, so
that a probe can tell "refused" from "no route". https://www.rfc-editor.org/rfc/rfc9110#name-connect
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import ipaddress

from labctl.config import TUNNEL_PORT, LabConfig, NodeConfig

_CONNECT_TIMEOUT_S = 30.0
_CHUNK = 64 * 1024


class Tunnel:
    """Serves CONNECT requests for one node."""

    def __init__(self, config: LabConfig, node: NodeConfig) -> None:
        self._token = config.credentials.node_token
        self._own = {"127.0.0.1", node.address, node.pod_address}
        self._ranges = [ipaddress.ip_network(r) for r in (config.pod_cidr, config.pod_cidr6) if r]

    async def run(self, host: str, port: int = TUNNEL_PORT) -> None:
        """Serve until cancelled."""
        server = await asyncio.start_server(self._serve, host, port)
        async with server:
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._tunnel(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ExceptionGroup):
            pass  # one side went away
        finally:
            writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        code, host, port = self._check(head)
        if code != 200:
            return await _answer(writer, code)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                pod_reader, pod_writer = await asyncio.open_connection(host, port)
        except TimeoutError:
            return await _answer(writer, 502, errno.ETIMEDOUT)
        except OSError as error:
            return await _answer(writer, 502, error.errno or errno.EHOSTUNREACH)
        try:
            await _answer(writer, 200)
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, pod_writer))
                group.create_task(_copy(pod_reader, writer))
        finally:
            pod_writer.close()

    def _check(self, head: bytes) -> tuple[int, str, int]:
        """Status code, and where to connect."""
        lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        sent = headers.get("proxy-authorization", "").removeprefix("Bearer ")
        if not self._token or not hmac.compare_digest(sent.encode(), self._token.encode()):
            return 407, "", 0
        words = lines[0].split()
        if len(words) != 3 or words[0] != "CONNECT":
            return 405, "", 0
        host, _, port = words[1].rpartition(":")
        host = host.strip("[]")
        if not port.isdigit() or not self._is_ours(host):
            return 403, "", 0
        return 200, host, int(port)

    def _is_ours(self, host: str) -> bool:
        with contextlib.suppress(ValueError):
            return host in self._own or any(ipaddress.ip_address(host) in r for r in self._ranges)
        return False


_REASONS = {
    200: "OK",
    403: "Forbidden",
    405: "Method Not Allowed",
    407: "Proxy Authentication Required",
    502: "Bad Gateway",
}


async def _answer(writer: asyncio.StreamWriter, code: int, number: int = 0) -> None:
    extra = f"X-Errno: {number}\r\n" if number else ""
    writer.write(f"HTTP/1.1 {code} {_REASONS[code]}\r\n{extra}\r\n".encode())
    await writer.drain()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, then half-close."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()
