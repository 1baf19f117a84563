"""labctl's commands in this process, against a real API server with controllers in a thread; pods never run."""

from __future__ import annotations

import asyncio
import http.client
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from labctl.agents import apiserver_only
from labctl.cli import kubectl, main
from labctl.cli.apiserver import lab_config, url_of
from labctl.cli.transport import Transport
from labctl.client import kubeconfig

_application = main.application
MANIFESTS = Path(__file__).parents[1] / "golden" / "manifests"


@dataclass(frozen=True, slots=True)
class Result:
    """What a command printed and returned."""

    code: int
    out: str
    err: str


@dataclass(slots=True)
class Cluster:
    """An API server with controllers; commands run as a user types them."""

    thread: Thread

    def run(self, *argv: str, stdin: str | bytes = "") -> Result:
        """`labctl ARGV`."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
            patch.setattr("sys.stdout", out)
            patch.setattr("sys.stderr", err)
            patch.setattr(main, "application", _command)
            patch.setattr(kubectl, "is_there", lambda: False)  # becoming kubectl would be the end of the test run
            opened = _recorded(patch)
            code = _exit_code(argv)
            for connection in opened:  # a process that ends needs no closing
                connection.close()
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read())
        return Result(code, *texts)

    def ok(self, *argv: str, stdin: str | bytes = "") -> str:
        """The output of a command that goes well."""
        done = self.run(*argv, stdin=stdin)
        assert (done.code, done.err) == (0, ""), done
        return done.out


@cache
def _command(verb: str) -> Any:
    """A verb's command as `main.application` makes it, made once: typer takes 10 ms to look at its options."""
    return typer.main.get_command(_application(verb))


def _recorded(patch: pytest.MonkeyPatch) -> list[http.client.HTTPConnection]:
    """The connections that a command opens."""
    opened: list[http.client.HTTPConnection] = []
    connect = Transport._connect

    def recording(transport: Transport) -> http.client.HTTPConnection:
        opened.append(connect(transport))
        return opened[-1]

    patch.setattr(Transport, "_connect", recording)
    return opened


def _exit_code(argv: tuple[str, ...]) -> int:
    try:
        main.main(argv)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    return 0


class Thread(threading.Thread):
    """The API server in an event loop of its own; SQLite and the loop stay in this thread."""

    def __init__(self) -> None:
        super().__init__(name="API server")
        self.config = lab_config("127.0.0.1", "secret")
        self.listener = apiserver_only.listen("127.0.0.1", 0)
        self.ready = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self.failure = error
        finally:
            self.ready.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.server = apiserver_only.open_server(self.config)
        self.task = asyncio.ensure_future(apiserver_only.run(self.server, self.listener, self.ready.set))
        with suppress(asyncio.CancelledError):
            await self.task

    def stop(self) -> None:
        if self.failure is not None:
            raise self.failure
        self.loop.call_soon_threadsafe(self.task.cancel)
        self.join()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    thread = Thread()
    thread.start()
    thread.ready.wait(10)
    assert thread.failure is None, thread.failure
    kubeconfig.add_context(
        "test",
        server=url_of("127.0.0.1", thread.listener.getsockname()[1]),
        ca_certificate=thread.config.credentials.ca_certificate,
        token="secret",
        path=folder / "config",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(folder / "config"))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setenv("NO_COLOR", "1")
        patch.setenv("TERM", "dumb")
        patch.delenv("LABCTL_NAME", raising=False)
        yield Cluster(thread)
    thread.stop()
    assert thread.failure is None, thread.failure


_numbers = iter(range(10_000))


@pytest.fixture
def cluster(running: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster as seen from an empty folder and a namespace of its own, which is the context's."""
    name = f"t{next(_numbers)}"
    running.ok("apply", "-f", "-", stdin=f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}")
    text = Path(os.environ["KUBECONFIG"]).read_text()
    mine = tmp_path / ".kubeconfig"
    mine.write_text(text.replace("    cluster: test", f"    cluster: test\n    namespace: {name}"))
    monkeypatch.setenv("KUBECONFIG", str(mine))
    monkeypatch.setenv("TEST_NAMESPACE", name)
    monkeypatch.chdir(tmp_path)
    return running


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Repeats a look at the cluster until it is true: controllers work in another thread."""

    def wait(is_true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 5
        while not is_true():
            assert time.monotonic() < deadline, "not within 5 s"

    return wait


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    """The namespace of this test."""
    return os.environ["TEST_NAMESPACE"]
