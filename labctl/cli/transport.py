"""One HTTPS connection to an API server, without an event loop.

A command asks one thing after the other and wants to be done within 150 ms: http.client of the standard library costs
20 ms less to import than asyncio, and a blocked read ends at once on Ctrl-C. Streams in both directions (exec, port-forward)
use `labctl.client.streams`.
"""

from __future__ import annotations

import http.client
import json
import ssl
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from labctl.api import status
from labctl.cli.errors import Plain
from labctl.client.kubeconfig import Target

if TYPE_CHECKING:
    from labctl.client.streams import Channels

JSON = "application/json"
DEFAULT_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer."""

    code: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body) if self.body else {}


class Transport:
    """Requests to one server as one user. Raises ApiError for refusals, Plain when the server cannot be reached.

    `warn` is called with the text of each Warning header.
    """

    def __init__(
        self,
        target: Target,
        *,
        warn: Callable[[str], None],
        timeout_s: float | None = None,
        impersonate: Mapping[str, str] | None = None,
    ) -> None:
        url = urlsplit(target.server)
        self._tls = url.scheme != "http"
        self._host = url.hostname or "localhost"
        self._port = url.port or (443 if self._tls else 80)
        self._prefix = url.path.rstrip("/")
        self.address = f"{self._host}:{self._port}"
        self._target = target
        self._warn = warn
        self._timeout_s = timeout_s
        self._headers = {"User-Agent": "labctl", **(impersonate or {})}
        if target.token:
            self._headers["Authorization"] = f"Bearer {target.token}"
        self._context: ssl.SSLContext | None = None
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Any = None,
        accept: str = JSON,
        content_type: str = JSON,
    ) -> Answer:
        """One exchange; `body` is JSON data."""
        response = self._exchange(method, path, query, body, accept, content_type)
        content = response.read()
        self._check(response, content)
        return Answer(response.status, content)

    def lines(self, path: str, query: Mapping[str, str], *, accept: str = JSON) -> Iterator[bytes]:
        """The lines of an answer that may never end (a watch), on a connection of its own."""
        for line in self._stream(path, query, accept):
            if line.strip():
                yield line

    def raw_lines(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        """Lines as they are, with their ends: a log."""
        return self._stream(path, query, "*/*")

    def _stream(self, path: str, query: Mapping[str, str], accept: str) -> Iterator[bytes]:
        kept, self._connection = self._connection, None
        try:
            response = self._exchange("GET", path, query, None, accept, JSON)
            if response.status >= 400:
                self._check(response, response.read())
            self._warnings(response)
            connection = self._connection
            if connection is not None and connection.sock is not None and self._timeout_s is None:
                connection.sock.settimeout(None)
            yield from response
        except (http.client.HTTPException, OSError) as error:
            raise Plain(f"error: the stream of {path} broke off: {error or type(error).__name__}") from error
        finally:
            self.close()
            self._connection = kept

    def channels(self, path: str, query: Iterable[tuple[str, str]]) -> Channels:
        """A WebSocket into a pod, on a connection of its own. Raises Plain when the server refuses."""
        from labctl.client import streams

        context = _context(self._target) if self._tls else None
        try:
            connection, host = streams.connect(self._target.server, context)
        except OSError as error:
            raise self._unreachable(error) from error
        path = self._prefix + path
        try:
            return streams.open_channels(connection, host=host, path=path, query=query, headers=self._headers)
        except BaseException as error:
            connection.close()
            if isinstance(error, status.ApiError):  # as kubectl words it since 1.36
                raise Plain(f"error: unable to upgrade connection: {error.message}") from error
            raise

    def close(self) -> None:
        """Close the kept connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Any, accept: str, content_type: str
    ) -> http.client.HTTPResponse:
        url = self._prefix + path + (("&" if "?" in path else "?") + urlencode(query) if query else "")
        headers = {**self._headers, "Accept": accept}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers["Content-Type"] = content_type
        reused = self._connection is not None
        try:
            return self._send(method, url, data, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
            self.close()
            if not reused:
                raise self._unreachable(error) from error
            return self._exchange(method, path, query, body, accept, content_type)
        except OSError as error:
            self.close()
            raise self._unreachable(error) from error

    def _send(self, method: str, url: str, data: bytes | None, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request(method, url, body=data, headers=dict(headers))
        return self._connection.getresponse()

    def _connect(self) -> http.client.HTTPConnection:
        timeout = self._timeout_s or DEFAULT_TIMEOUT_S
        if not self._tls:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        if self._context is None:
            self._context = _context(self._target)
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._context)

    def _unreachable(self, error: OSError | http.client.HTTPException) -> Plain:
        if isinstance(error, ConnectionRefusedError):
            hint = "did you specify the right host or port?"
            return Plain(f"The connection to the server {self.address} was refused - {hint}")
        if isinstance(error, TimeoutError):
            return Plain(f"Unable to connect to the server: {self.address} did not answer in time")
        reason = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
        return Plain(f"Unable to connect to the server {self.address}: {reason}")

    def _check(self, response: http.client.HTTPResponse, content: bytes) -> None:
        self._warnings(response)
        if response.status < 400:
            return
        try:
            given = json.loads(content)
        except ValueError:
            given = {"message": content.decode(errors="replace").strip()}
        if not isinstance(given, dict) or not given.get("message"):
            given = {"message": f"the server answered with HTTP status {response.status}"}
        raise status.from_status({"code": response.status, **given})

    def _warnings(self, response: http.client.HTTPResponse) -> None:
        for header in response.headers.get_all("Warning") or ():
            code, _, rest = header.partition(" ")
            quoted = rest.partition(" ")[2]
            if code == "299" and quoted[:1] == '"':
                self._warn(json.loads(quoted))


def _context(target: Target) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=target.ca_certificate or None)
    if not target.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if target.client_certificate:
        with tempfile.TemporaryDirectory() as folder:  # ssl reads certificates from files only
            certificate, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
            certificate.touch(0o600)
            key.touch(0o600)
            certificate.write_text(target.client_certificate)
            key.write_text(target.client_key)
            context.load_cert_chain(certificate, key)
    return context
