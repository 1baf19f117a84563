"""kube-proxy's answers: /healthz on 10256, /proxyMode on 10249, and one port per Service with a healthCheckNodePort.

A load balancer asks the latter which nodes have an endpoint of their own (pkg/proxy/healthcheck): 200 with the number of local
endpoints, 503 without any.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus

from labctl.api.times import Clock, format_micro_time
from labctl.config import PROXY_HEALTH_PORT, PROXY_METRICS_PORT
from labctl.proxy.model import ServicePort

_ALWAYS = (PROXY_HEALTH_PORT, PROXY_METRICS_PORT)


class HealthServers:
    """Listens on the proxy's health port, and on each health check node port while its Service exists."""

    def __init__(self, error: Callable[[], str], mode: Callable[[], str], *, clock: Clock = time.time) -> None:
        """`error` says what is wrong with the proxy, or nothing; `mode` the proxy mode that stands."""
        self._error = error
        self._mode = mode
        self._clock = clock
        self._well_at = clock()
        self._local: dict[int, tuple[str, str, int]] = {}
        self._servers: dict[int, asyncio.Server] = {}
        self._changed = asyncio.Event()

    def update(self, ports: Iterable[ServicePort]) -> None:
        """The present service ports."""
        local: dict[tuple[int, str, str], set[str]] = {}
        for port in ports:
            if port.health_check_port:
                ready = local.setdefault((port.health_check_port, port.namespace, port.name), set())
                # An endpoint that ends still serves, but balancers are to leave the node.
                ready.update(e.ip for e in port.endpoints if e.is_local and e.ready)
        wanted = {number: (namespace, name, _pods(ready)) for (number, namespace, name), ready in local.items()}
        if wanted != self._local:
            self._local = wanted
            self._changed.set()

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            self._servers[PROXY_HEALTH_PORT] = await self._listen(PROXY_HEALTH_PORT)
            self._servers[PROXY_METRICS_PORT] = await self._listen(PROXY_METRICS_PORT, host="127.0.0.1")
            while True:
                await self._changed.wait()
                self._changed.clear()
                for port in [p for p in self._servers if p not in _ALWAYS and p not in self._local]:
                    self._servers.pop(port).close()
                for port in [p for p in self._local if p not in self._servers]:
                    self._servers[port] = await self._listen(port)
        finally:
            for server in self._servers.values():
                server.close()

    async def _listen(self, port: int, *, host: str = "0.0.0.0") -> asyncio.Server:  # noqa: S104  # the node's own namespace
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                async with asyncio.timeout(5):
                    await reader.readuntil(b"\r\n\r\n")
                status, body = self.answer(port)
                text = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                kind = "text/plain" if isinstance(body, str) else "application/json"
                head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\n"
                writer.write(f"{head}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + text)
                await writer.drain()
            except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                pass  # a client that does not speak HTTP gets nothing
            finally:
                writer.close()

        return await asyncio.start_server(serve, host, port)

    def _own_health(self, error: str) -> tuple[HTTPStatus, dict[str, object]]:
        """As long as all is well, `lastUpdated` is now."""
        now = self._clock()
        if not error:
            self._well_at = now
        body: dict[str, object] = {
            "lastUpdated": format_micro_time(self._well_at),
            "currentTime": format_micro_time(now),
            "nodeEligible": True,
            "healthy": not error,
        }
        if error:
            return HTTPStatus.SERVICE_UNAVAILABLE, body | {"error": error}
        return HTTPStatus.OK, body

    def answer(self, port: int) -> tuple[HTTPStatus, dict[str, object] | str]:
        """What a request on a port is answered."""
        error = self._error()
        if port == PROXY_METRICS_PORT:
            return HTTPStatus.OK, self._mode()
        if port == PROXY_HEALTH_PORT:
            return self._own_health(error)
        namespace, name, count = self._local.get(port, ("", "", 0))
        body: dict[str, object] = {
            "service": {"namespace": namespace, "name": name},
            "localEndpoints": count,
            "serviceProxyHealthy": not error,
        }
        return (HTTPStatus.OK if count and not error else HTTPStatus.SERVICE_UNAVAILABLE), body


def _pods(addresses: set[str]) -> int:
    """How many pods have these addresses: one of each family they may have."""
    of_ipv6 = sum(":" in address for address in addresses)
    return max(of_ipv6, len(addresses) - of_ipv6)
