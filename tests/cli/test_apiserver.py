"""`labctl apiserver` as a process, asked with nothing but the standard library."""

from __future__ import annotations

import base64
import json
import re
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.agents import apiserver_only
from labctl.api import kinds
from labctl.cli import apiserver
from labctl.config import Credentials, LabConfig
from labctl.errors import UsageError

TOKEN = "secret"


@dataclass(frozen=True, slots=True)
class Running:
    process: subprocess.Popen[str]
    url: str
    kubeconfig: Path
    context: ssl.SSLContext

    def ask(self, path: str, *, token: str = TOKEN, body: Any = None, method: str | None = None) -> tuple[int, Any]:
        """Status code and JSON of the answer."""
        request = urllib.request.Request(
            self.url + path,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())


@contextmanager
def started(*options: str) -> Iterator[Running]:
    """A server until the block ends."""
    command = [sys.executable, "-m", "labctl.cli.main", "apiserver", "--token", TOKEN, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            ready, export = process.stdout.readline(), process.stdout.readline()
            found = re.search(r"ready at (https://127\.0\.0\.1:\d+) ", ready)
            assert found, ready
            path = Path(export.strip().removeprefix("export KUBECONFIG="))
            cluster = yaml.safe_load(path.read_text())["clusters"][0]["cluster"]
            assert cluster["server"] == found[1]
            authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
            yield Running(process, found[1], path, ssl.create_default_context(cadata=authority))
        finally:
            process.terminate()


def test_it_serves_clients_and_ends_cleanly() -> None:
    with started() as server:
        assert server.ask("/api/v1/nodes", token="wrong")[0] == 401
        code, nodes = server.ask("/api/v1/nodes")
        assert (code, [n["metadata"]["name"] for n in nodes["items"]]) == (200, ["labctl-api"])
        pod = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "app", "image": "nginx"}]}}
        code, created = server.ask("/api/v1/namespaces/default/pods", body=pod)
        assert (code, created["status"]["phase"]) == (201, "Pending")
        code, refusal = server.ask("/api/v1/namespaces/default/pods/web/log?container=none")
        assert (code, refusal["message"]) == (400, "container none is not valid for pod web")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(10) == 0
        assert not server.kubeconfig.exists()
        assert server.process.stdout is not None
        assert "Traceback" not in server.process.stdout.read()


async def test_a_state_file_outlives_the_server(tmp_path: Path) -> None:
    config = LabConfig("test", (), Credentials(), "")
    server = apiserver_only.open_server(config, str(tmp_path / "state.db"))
    await server.local.create(kinds.CONFIG_MAP, {"metadata": {"name": "kept"}, "data": {"a": "b"}}, namespace="default")
    server.store.close()
    again = apiserver_only.open_server(config, str(tmp_path / "state.db"))
    assert (await again.local.get(kinds.CONFIG_MAP, "default", "kept"))["data"] == {"a": "b"}
    again.store.close()


def test_a_kubeconfig_of_others_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "config"
    other = {"name": "work", "context": {"cluster": "work", "user": "me"}}
    before = {"apiVersion": "v1", "kind": "Config", "contexts": [other], "current-context": "work"}
    path.write_text(yaml.safe_dump(before))
    with apiserver.kubeconfig_for("https://127.0.0.1:1", Credentials(ca_certificate="CA", admin_token="t"), path):
        assert yaml.safe_load(path.read_text())["current-context"] == apiserver.CONTEXT
    after = yaml.safe_load(path.read_text())
    assert (after["contexts"], after["current-context"]) == ([other], "work")


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        ("127.0.0.1", "https://127.0.0.1:1"),
        ("0.0.0.0", "https://127.0.0.1:1"),
        ("::1", "https://[::1]:1"),
        ("::", "https://[::1]:1"),
    ],
)
def test_url_of(bind: str, url: str) -> None:
    assert apiserver.url_of(bind, 1) == url


def test_a_name_is_no_address_to_listen_on() -> None:
    with pytest.raises(UsageError, match="is no IP address"):
        apiserver.checked_address("example.org")
