"""Requests through the API server to a real HTTP server that stands for a pod."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labctl.api import kinds
from labctl.apiserver.app import build
from labctl.apiserver.options import WriteOptions
from labctl.apiserver.proxies.proxy import split
from labctl.apiserver.server import ApiServer
from labctl.config import Credentials, LabConfig
from labctl.lab import certificates

POD = "/api/v1/namespaces/default/pods/web"
OPTIONS = WriteOptions(field_validation="Ignore")


@dataclass(slots=True)
class Answer:
    """What came back; `is_cut` when it broke off."""

    code: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_cut: bool = False

    @property
    def message(self) -> str:
        return str(json.loads(self.body)["message"])


class Pod:
    """An HTTP server that answers each path as told, and the runtime that leads to it."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.answers: dict[str, bytes] = {}
        self.is_refusing = False
        self.endless = asyncio.Event()
        self.left = asyncio.Event()
        self._address: tuple[str, int] = ("", 0)

    async def run(self, handler: Any = None, context: ssl.SSLContext | None = None) -> asyncio.Server:
        server = await asyncio.start_server(handler or self._serve, "127.0.0.1", 0, ssl=context)
        self._address = server.sockets[0].getsockname()
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = b""
        if b"transfer-encoding: chunked" in head:
            body = await reader.readuntil(b"0\r\n\r\n")
        elif b"content-length: " in head:
            body = await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        self.requests.append(head + body)
        path = head.split()[1].decode()
        if path == "/endless":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nbegun")
            self.endless.set()
            await reader.read(1)
            self.left.set()
        else:
            writer.write(self.answers[path])
        writer.close()

    async def dial(self, pod: Any, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.is_refusing:
            raise ConnectionRefusedError(111, "Connection refused")
        return await asyncio.open_connection(*self._address)


@pytest.fixture
async def pod() -> AsyncIterator[Pod]:
    pod = Pod()
    async with await pod.run():
        yield pod


class Api:
    """The application, asked without a socket."""

    def __init__(self, pod: Pod) -> None:
        server = ApiServer(LabConfig("test", (), Credentials(admin_token="admin"), ""))
        registry = server.registry
        registry.create(kinds.SERVICE_ACCOUNT, "default", {"metadata": {"name": "default"}}, OPTIONS)
        web = {"metadata": {"name": "web"}, "spec": {"nodeName": "n", "containers": [{"name": "a", "image": "i"}]}}
        registry.create(kinds.POD, "default", web, OPTIONS)
        state = {"podIP": "10.244.1.7"}
        registry.update(
            kinds.POD, "default", "web", lambda old: {**old, "status": state}, OPTIONS, subresource="status"
        )
        registry.create(kinds.NODE, "", {"metadata": {"name": "n"}}, OPTIONS)
        self._app: Any = build(server.context(pod))  # type: ignore[arg-type]  # of a runtime only dial is asked
        self.leave = asyncio.Event()

    async def ask(
        self, method: str, url: str, *, body: list[bytes] | None = None, token: str = "admin", **headers: str
    ) -> Answer:
        path, _, query = url.partition("?")
        sent = {"host": "api:6443", "authorization": f"Bearer {token}"} | headers
        if body is not None:
            sent["transfer-encoding"] = "chunked"
        scope = {
            "type": "http",
            "method": method,
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in sent.items()],
            "client": ("127.0.0.9", 1),
        }
        waiting = [*(body or []), b""]
        answer = Answer(is_cut=True)

        async def receive() -> dict[str, Any]:
            if waiting:
                return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}
            await self.leave.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.code = message["status"]
                answer.headers = {k.decode().lower(): v.decode() for k, v in message["headers"]}
            else:
                answer.body += message.get("body", b"")
                answer.is_cut = message.get("more_body", False)

        async with asyncio.timeout(5):
            await self._app(scope, receive, send)
        return answer


@pytest.fixture
def api(pod: Pod) -> Api:
    return Api(pod)


async def test_request_and_answer_pass_unchanged_but_for_their_connection(pod: Pod, api: Api) -> None:
    pod.answers["/a%2Fb?c=d"] = b"HTTP/1.1 418 Teapot\r\nX-Own: 1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
    answer = await api.ask("PUT", f"{POD}:80/proxy/a%2Fb?c=d", body=[b"one ", b"two"], cookie="e=f")
    assert (answer.code, answer.body, answer.headers["x-own"]) == (418, b"hi", "1")
    assert "connection" not in answer.headers
    request = pod.requests[0].decode()
    assert request.startswith("PUT /a%2Fb?c=d HTTP/1.1\r\n")
    assert "authorization" not in request
    lines = request.split("\r\n")
    assert {"host: api:6443", "cookie: e=f", "x-forwarded-for: 127.0.0.9"} <= set(lines)
    assert f"x-forwarded-uri: {POD}:80/proxy/a%2Fb" in lines
    assert request.endswith("4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n")


async def test_pages_and_redirects_lead_back_through_the_proxy(pod: Pod, api: Api) -> None:
    page = b'<a href="/x">x</a>'
    pod.answers["/"] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 18\r\n\r\n" + page
    pod.answers["/old"] = b"HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n"
    answer = await api.ask("GET", f"{POD}/proxy/")
    assert answer.body.decode() == f'<a href="{POD}/proxy/x">x</a>'
    assert int(answer.headers["content-length"]) == len(answer.body)
    moved = await api.ask("GET", f"{POD}/proxy/old")
    assert moved.headers["location"] == f"{POD}/proxy/new"


async def test_the_proxy_itself_is_a_folder(api: Api) -> None:
    answer = await api.ask("GET", f"{POD}/proxy?a=b")
    assert (answer.code, answer.headers["location"]) == (301, f"{POD}/proxy/?a=b")


async def test_a_client_that_leaves_ends_an_endless_answer(pod: Pod, api: Api) -> None:
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(api.ask("GET", f"{POD}/proxy/endless"))
        await pod.endless.wait()
        api.leave.set()
        await pod.left.wait()
    assert asking.result().is_cut


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "malformed HTTP response: "),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "malformed HTTP response: "),
    ],
)
async def test_what_is_no_http_is_said_to_be_none(pod: Pod, api: Api, raw: bytes, words: str) -> None:
    pod.answers["/"] = raw
    answer = await api.ask("GET", f"{POD}/proxy/")
    assert (answer.code, answer.message.startswith(f"error trying to reach service: {words}")) == (503, True)


async def test_a_refused_connection_is_told_in_kubernetes_words(pod: Pod, api: Api) -> None:
    pod.is_refusing = True
    answer = await api.ask("GET", f"{POD}:81/proxy/")
    words = "error trying to reach service: dial tcp 10.244.1.7:81: connect: connection refused"
    assert (answer.code, answer.message, json.loads(answer.body)["reason"]) == (503, words, "ServiceUnavailable")


HTTPS_POD = "/api/v1/namespaces/default/pods/https:web:443"


async def test_plain_http_where_tls_was_asked_for(pod: Pod, api: Api) -> None:
    async def complain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await pod.run(complain):
        answer = await api.ask("GET", f"{HTTPS_POD}/proxy/")
    words = "error trying to reach service: http: server gave HTTP response to HTTPS client"
    assert (answer.code, answer.message) == (503, words)


async def test_https_is_spoken_with_a_pod_whoever_signed_its_certificate(pod: Pod, api: Api, tmp_path: Path) -> None:
    issued = certificates.issue(["web"], [], now=dt.datetime.now(dt.UTC))
    (tmp_path / "crt").write_text(issued.server_certificate)
    (tmp_path / "key").write_text(issued.server_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    pod.answers["/"] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    async with await pod.run(context=context):
        answer = await api.ask("GET", f"{HTTPS_POD}/proxy/")
    assert (answer.code, answer.body) == (200, b"hi")


@pytest.mark.parametrize(
    ("method", "path", "code", "body"),
    [
        ("GET", "/healthz", 200, b"ok"),
        ("GET", "/stats/summary", 404, b"measure nothing: /stats/summary is not served"),
        ("GET", "/metrics", 404, b"measure nothing: /metrics is not served"),
        ("GET", "/nonsense", 404, b"404 page not found"),
        ("POST", "/healthz", 405, b"405: Method Not Allowed"),
        ("GET", "/pods", 200, b'"name":"web"'),
    ],
)
async def test_a_nodes_kubelet(api: Api, method: str, path: str, code: int, body: bytes) -> None:
    answer = await api.ask(method, f"/api/v1/nodes/n:10250/proxy{path}")
    assert (answer.code, body in answer.body) == (code, True), answer.body


async def test_rights_are_asked_for_the_verb_and_the_whole_name(api: Api) -> None:
    assert (await api.ask("GET", f"{POD}/proxy/", token="nobody")).code == 401
    answer = await api.ask("DELETE", f"{POD}:80/proxy/", authorization="")
    assert answer.code == 403
    assert 'pods "web:80" is forbidden: User "system:anonymous" cannot delete resource "pods/proxy"' in answer.message


@pytest.mark.parametrize(
    ("raw", "is_namespaced", "parts"),
    [
        (f"{POD}/proxy", True, (f"{POD}/proxy", "")),
        (f"{POD}/proxy/", True, (f"{POD}/proxy", "/")),
        (f"{POD}/proxy/a//b/", True, (f"{POD}/proxy", "/a//b/")),
        ("/api/v1/nodes/n/proxy/pods", False, ("/api/v1/nodes/n/proxy", "/pods")),
    ],
)
def test_split(raw: str, is_namespaced: bool, parts: tuple[str, str]) -> None:
    assert split(raw, is_namespaced=is_namespaced) == parts
