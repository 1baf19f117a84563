"""The API server alone: rates, latencies, a large load, watches, memory. `python -m tests.bench.api [--services N]`.

It measures `labctl apiserver` over HTTPS, and in the same run a real kube-apiserver when LABCTL_KUBE_APISERVER holds the path
of its binary and LABCTL_ETCD that of etcd's; or the URL of one that runs and knows the token `admin` as system:masters. The
last column is how many times faster (or smaller) ours is.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bench import kube_apiserver
from tests.bench.measure import resident_mib

TOKEN = "admin"
NAMESPACE = "bench"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
WATCHERS = 100
_CONNECTIONS = 4
_HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value: `more_is_better` for rates."""

    name: str
    unit: str
    value: float
    more_is_better: bool = False


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Connection:
    """One kept connection to a server."""

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._http = http.client.HTTPSConnection(target.hostname or "", target.port, context=_context(), timeout=60)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer; a refusal ends the bench."""
        self._http.request(method, path, json.dumps(body) if body is not None else None, _HEADERS)
        answer = self._http.getresponse()
        text = answer.read()
        if answer.status >= 400 and answer.status != 404:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)


def service(number: int) -> dict[str, Any]:
    """A Service of the load."""
    return {"metadata": {"name": f"s{number}"}, "spec": {"ports": [{"port": 80}]}}


def endpoint_slice(number: int) -> dict[str, Any]:
    """Its slice, with two endpoints."""
    endpoints = [{"addresses": [f"10.244.{number // 250 % 250}.{number % 250 + n}"]} for n in (1, 2)]
    labels = {"kubernetes.io/service-name": f"s{number}"}
    metadata = {"name": f"s{number}", "labels": labels}
    return {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 80}]}


def _rate(count: int, work: Callable[[int], None]) -> float:
    started = time.perf_counter()
    for number in range(count):
        work(number)
    return count / (time.perf_counter() - started)


def single(url: str) -> Iterator[Figure]:
    """One client, one request at a time."""
    connection, times = Connection(url), 300

    def create(number: int) -> None:
        connection.ask("POST", f"{CORE}/configmaps", {"metadata": {"name": f"c{number}"}, "data": {"k": "v"}})

    def get(number: int) -> None:
        connection.ask("GET", f"{CORE}/configmaps/c{number}")

    def update(number: int) -> None:
        connection.ask("PUT", f"{CORE}/configmaps/c{number}", {"metadata": {"name": f"c{number}"}, "data": {"k": "w"}})

    yield Figure("create, one client", "1/s", _rate(times, create), more_is_better=True)
    yield Figure("get, one client", "1/s", _rate(times, get), more_is_better=True)
    yield Figure("update, one client", "1/s", _rate(times, update), more_is_better=True)


def load(url: str, services: int) -> Iterator[Figure]:
    """Many Services with two endpoints each over a few connections, then lists of them."""

    def part(first: int) -> None:
        connection = Connection(url)
        for number in range(first, services, _CONNECTIONS):
            connection.ask("POST", f"{CORE}/services", service(number))
            connection.ask("POST", SLICES, endpoint_slice(number))

    started = time.perf_counter()
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        list(pool.map(part, range(_CONNECTIONS)))
    yield Figure(f"load {services} Services, {2 * services} endpoints", "s", time.perf_counter() - started)
    connection = Connection(url)
    for name, query in (("all", ""), ("in pages of 500", "?limit=500")):
        started = time.perf_counter()
        found, token = 0, ""
        while True:
            listed = connection.ask("GET", f"{CORE}/services{query}{f'&continue={token}' if token else ''}")
            found += len(listed["items"])
            token = listed["metadata"].get("continue", "")
            if not token:
                break
        assert found == services, (found, services)
        yield Figure(f"list {services} Services, {name}", "s", time.perf_counter() - started)


async def _watcher(url: str, arrived: asyncio.Semaphore, context: ssl.SSLContext) -> None:
    """Release `arrived` when the watch stands, and for each event."""
    target = urlsplit(url)
    reader, writer = await asyncio.open_connection(target.hostname, target.port, ssl=context)
    path = (
        f"{CORE}/configmaps?watch=true&fieldSelector=metadata.name=news&sendInitialEvents=true&allowWatchBookmarks=true"
    )
    options = "&resourceVersionMatch=NotOlderThan"
    writer.write(f"GET {path}{options} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    try:
        await reader.readuntil(b"initial-events-end")
        await reader.readuntil(b"\n")
        arrived.release()
        while True:
            await reader.readuntil(b'"type":"ADDED"')
            arrived.release()
    finally:
        writer.transport.abort()


async def _all(arrived: asyncio.Semaphore) -> None:
    for _ in range(WATCHERS):
        await arrived.acquire()


async def fan_out(url: str) -> list[Figure]:
    """From the write of an object until each of many watchers has its event."""
    arrived, context = asyncio.Semaphore(0), _context()
    delays = []
    async with asyncio.TaskGroup() as tasks:
        watchers = [tasks.create_task(_watcher(url, arrived, context)) for _ in range(WATCHERS)]
        await _all(arrived)
        connection = Connection(url)
        for number in range(10):
            started = time.perf_counter()
            body = {"metadata": {"name": "news"}, "data": {"n": str(number)}}
            await asyncio.to_thread(connection.ask, "POST", f"{CORE}/configmaps", body)
            await _all(arrived)
            delays.append((time.perf_counter() - started) * 1000)
            await asyncio.to_thread(connection.ask, "DELETE", f"{CORE}/configmaps/news")
        for task in watchers:
            task.cancel()
    return [Figure(f"an event reaches {WATCHERS} watchers", "ms", statistics.median(delays))]


def measure(url: str, services: int) -> list[Figure]:
    """All figures of one server; the namespace is left to it."""
    Connection(url).ask("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    return [*single(url), *asyncio.run(fan_out(url)), *load(url, services)]


@contextmanager
def ours() -> Iterator[tuple[str, int, float]]:
    """`labctl apiserver`: URL, process id, seconds until it answered."""
    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as folder:
        options = ["--token", TOKEN, "--kubeconfig", str(Path(folder, "kubeconfig"))]
        started = time.perf_counter()
        command = [sys.executable, "-m", "labctl.cli.main", "apiserver", *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                found = re.search(r"https://\S+", process.stdout.readline())
                assert found
                yield found[0], process.pid, time.perf_counter() - started
            finally:
                process.terminate()


def figures_of(server: AbstractContextManager[tuple[str, int, float]], services: int) -> list[Figure]:
    """The figures of a server that is started for it, with start and memory."""
    with server as (url, pid, start_s):
        idle = resident_mib(pid)
        return [
            Figure("start", "s", start_s),
            Figure("memory, idle", "MiB", idle),
            *measure(url, services),
            Figure("memory, loaded", "MiB", resident_mib(pid)),
        ]


def real_figures(where: str, services: int) -> list[Figure]:
    """Those of a real kube-apiserver, by its URL or path; none without either."""
    if not where or where.startswith("https://"):
        return measure(where, services) if where else []
    if not (etcd := os.environ.get("LABCTL_ETCD", "")):
        raise SystemExit("LABCTL_KUBE_APISERVER is a path: LABCTL_ETCD has to be that of etcd")
    return figures_of(kube_apiserver.running(where, etcd, TOKEN), services)


def lines(figures: list[Figure], peer: dict[str, Figure]) -> Iterator[str]:
    """The table."""
    yield f"{'':45} {'labctl':>10} {'kube-apiserver':>15} {'ratio':>7}"
    for figure in figures:
        other = peer.get(figure.name)
        ratio = 0.0
        if other is not None:
            ratio = figure.value / other.value if figure.more_is_better else other.value / figure.value
        shown = f"{other.value:15.2f} {ratio:7.2f}" if other else ""
        yield f"{figure.name + ' [' + figure.unit + ']':45} {figure.value:10.2f} {shown}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    services = parser.parse_args().services
    peer = {f.name: f for f in real_figures(os.environ.get("LABCTL_KUBE_APISERVER", ""), services)}
    for line in lines(figures_of(ours(), services), peer):
        print(line)


if __name__ == "__main__":
    main()
