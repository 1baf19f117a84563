"""kube-proxy's health answers: /healthz on 10256, and one port per Service with a healthCheckNodePort.

A load balancer asks the latter which nodes have an endpoint of their own (pkg/proxy/healthcheck): 200 with the number of local
endpoints, 503 without any.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from http import HTTPStatus

from labctl.config import PROXY_HEALTH_PORT
from labctl.proxy.model import ServicePort, categorise


class HealthServers:
    """Listens on the proxy's health port, and on each health check node port while its Service exists."""

    def __init__(self, error: Callable[[], str]) -> None:
        """`error` says what is wrong with the proxy, or nothing."""
        self._error = error
        self._local: dict[int, tuple[str, str, int]] = {}
        self._servers: dict[int, asyncio.Server] = {}
        self._changed = asyncio.Event()

    def update(self, ports: Iterable[ServicePort]) -> None:
        """The present service ports."""
        wanted = {
            p.health_check_port: (p.namespace, p.name, len(categorise(p, node="").local))
            for p in ports
            if p.health_check_port
        }
        if wanted != self._local:
            self._local = wanted
            self._changed.set()

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            self._servers[PROXY_HEALTH_PORT] = await self._listen(PROXY_HEALTH_PORT)
            while True:
                await self._changed.wait()
                self._changed.clear()
                for port in [p for p in self._servers if p != PROXY_HEALTH_PORT and p not in self._local]:
                    self._servers.pop(port).close()
                for port in [p for p in self._local if p not in self._servers]:
                    self._servers[port] = await self._listen(port)
        finally:
            for server in self._servers.values():
                server.close()

    async def _listen(self, port: int) -> asyncio.Server:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                async with asyncio.timeout(5):
                    await reader.readuntil(b"\r\n\r\n")
                status, body = self.answer(port)
                text = json.dumps(body).encode()
                head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
                writer.write(f"{head}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + text)
                await writer.drain()
            except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                pass  # a client that does not speak HTTP gets nothing
            finally:
                writer.close()

        return await asyncio.start_server(serve, "0.0.0.0", port)  # noqa: S104  # the node's own namespace

    def answer(self, port: int) -> tuple[HTTPStatus, dict[str, object]]:
        """What a request on a port is answered."""
        error = self._error()
        if port == PROXY_HEALTH_PORT:
            return (HTTPStatus.SERVICE_UNAVAILABLE, {"error": error}) if error else (HTTPStatus.OK, {"status": "ok"})
        namespace, name, count = self._local.get(port, ("", "", 0))
        body = {
            "service": {"namespace": namespace, "name": name},
            "localEndpoints": count,
            "serviceProxyHealthy": not error,
        }
        return (HTTPStatus.OK if count and not error else HTTPStatus.SERVICE_UNAVAILABLE), body
