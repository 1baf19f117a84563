"""An API server without sockets: requests go straight into the ASGI application, watches come out line by line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode

from starlette.types import ASGIApp, Message, Scope

from labctl.apiserver.app import build
from labctl.apiserver.server import ApiServer
from labctl.config import Credentials, LabConfig

CREDENTIALS = Credentials(admin_token="admin", node_token="node", ca_certificate="CA")
STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
DEFAULT = "/api/v1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; headers may repeat, their names are lower case."""

    code: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])

    @property
    def warnings(self) -> list[str]:
        texts = (v.removeprefix('299 - "').removesuffix('"') for k, v in self.headers if k == "warning")
        return [t.replace('\\"', '"') for t in texts]

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k == name), None)


class Watch:
    """The events of one watch."""

    def __init__(self, queue: asyncio.Queue[bytes | None]) -> None:
        self._queue = queue
        self._lines: list[bytes] = []

    async def event(self) -> Any:
        """The next event; None when the server ended the watch."""
        while not self._lines:
            chunk = await self._queue.get()
            if chunk is None:
                return None
            self._lines += chunk.splitlines()
        return json.loads(self._lines.pop(0))

    async def events(self, count: int) -> list[Any]:
        return [await self.event() for _ in range(count)]

    async def seen(self, count: int) -> list[tuple[str, str]]:
        """Types and names of the next events."""
        return [(e["type"], e["object"]["metadata"].get("name", "")) for e in await self.events(count)]

    def is_idle(self) -> bool:
        return not self._lines and self._queue.empty()


class Client:
    """Speaks to one API server as one user."""

    def __init__(self, server: ApiServer, token: str = "admin", app: ASGIApp | None = None) -> None:
        self.server = server
        self.registry = server.registry
        self._app = app or build(server.context())
        self._token = token

    def as_user(self, token: str) -> Client:
        return Client(self.server, token, self._app)

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        **query: object,
    ) -> Answer:
        """One request; a body that is not bytes is sent as JSON."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        scope = self._scope(method, path, query, {"content-type": content_type, **(headers or {})}, raw)
        await self._app(scope, _receiver(raw), send)
        start = sent[0]
        found = tuple((k.decode().lower(), v.decode()) for k, v in start["headers"])
        return Answer(start["status"], found, b"".join(m.get("body", b"") for m in sent[1:]))

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.request("GET", path, **options)

    async def post(self, path: str, body: object, **options: Any) -> Answer:
        return await self.request("POST", path, body, **options)

    async def put(self, path: str, body: object, **options: Any) -> Answer:
        return await self.request("PUT", path, body, **options)

    async def patch(self, path: str, body: object, content_type: str = MERGE, **options: Any) -> Answer:
        return await self.request("PATCH", path, body, content_type=content_type, **options)

    async def delete(self, path: str, body: object = None, **options: Any) -> Answer:
        return await self.request("DELETE", path, body, **options)

    async def names(self, path: str, **query: Any) -> list[str]:
        """The names of a list."""
        answer = await self.get(path, **query)
        assert answer.code == 200, answer
        return [o["metadata"]["name"] for o in answer.json["items"]]

    @asynccontextmanager
    async def watch(
        self, path: str, *, headers: Mapping[str, str] | None = None, **query: object
    ) -> AsyncIterator[Watch]:
        """A watch that ends with the block."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        gone = asyncio.Event()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                if message.get("body"):
                    queue.put_nowait(message["body"])
                if not message.get("more_body"):
                    queue.put_nowait(None)

        async def run() -> None:
            scope = self._scope("GET", path, {"watch": "true", **query}, dict(headers or {}), b"")
            await self._app(scope, _receiver(b"", gone), send)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run())
            for _ in range(5):  # until the watcher is registered: it takes a few turns of the loop
                await asyncio.sleep(0)
            try:
                yield Watch(queue)
            finally:
                gone.set()

    def _scope(self, method: str, path: str, query: Mapping[str, object], headers: dict[str, str], raw: bytes) -> Scope:
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        if raw:
            headers["content-length"] = str(len(raw))
        path, _, inline = path.partition("?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": "&".join(p for p in (inline, urlencode(query)) if p).encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
            "server": ("127.0.0.1", 6443),
            "client": ("127.0.0.1", 1),
        }


def _receiver(raw: bytes, gone: asyncio.Event | None = None) -> Any:
    pending = [{"type": "http.request", "body": raw, "more_body": False}]

    async def receive() -> Message:
        if pending:
            return pending.pop()
        await (gone or asyncio.Event()).wait()  # without one the client stays until it is answered
        return {"type": "http.disconnect"}

    return receive


def server(state_path: str = "", **settings: Any) -> ApiServer:
    """An API server in memory, or over a state file."""
    config = LabConfig("test", (), CREDENTIALS, control_plane_address="192.168.123.2", **settings)
    return ApiServer(config, state_path=state_path)


def meta(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **more}}


def config_map(name: str, data: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", **meta(name, **more), "data": data or {"a": "1"}}


def service(name: str, port: int = 80, **spec: Any) -> dict[str, Any]:
    ports = spec.pop("ports", [{"port": port}])
    return {
        "kind": "Service",
        "apiVersion": "v1",
        **meta(name),
        "spec": {"selector": {"app": name}, "ports": ports, **spec},
    }


def pod(name: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "web", "image": "web:1"}]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        **meta(name, labels={"app": name}),
        "spec": {"containers": containers, **spec},
    }


def deployment(name: str, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    selector = {"matchLabels": {"app": name}}
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        **meta(name),
        "spec": {"selector": selector, "template": template, **spec},
    }
