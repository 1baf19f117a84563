"""`labctl apiserver`: an API server for tests of clients, without Docker and without pods that run."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.errors import UsageError

if TYPE_CHECKING:
    import socket

    from labctl.apiserver.server import ApiServer
    from labctl.config import Credentials, LabConfig

CONTEXT = "labctl-apiserver"
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  # recognised, not bound


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Lab")(apiserver)


def apiserver(
    bind: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 0,
    token: Annotated[str | None, typer.Option(help="Bearer token of the administrator (a random one).")] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="File that gets the context, for as long as the server runs (a temporary one).")
    ] = None,
    state: Annotated[Path | None, typer.Option(help="File that keeps the objects (in memory only).")] = None,
) -> None:
    """Run an API server with controllers and no Docker, for tests of clients: pods stay Pending. Ctrl-C ends it.

    Example: `labctl apiserver --port 6443 --kubeconfig ./kubeconfig`
    """
    started_at = time.monotonic()
    from labctl.agents import apiserver_only

    checked_address(bind)
    listener = apiserver_only.listen(bind, port)
    config = lab_config(bind, token)
    server = apiserver_only.open_server(config, str(state) if state else "")
    url = url_of(bind, listener.getsockname()[1])
    with kubeconfig_for(url, config.credentials, kubeconfig) as path:

        def ready() -> None:
            for line in introduction(url, path, config.credentials.admin_token, time.monotonic() - started_at):
                typer.echo(line)

        asyncio.run(_until_signalled(server, listener, ready))


async def _until_signalled(server: ApiServer, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Ctrl-C and SIGTERM are the way to end this: no error."""
    from labctl.agents import apiserver_only

    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await apiserver_only.run(server, listener, ready)


def checked_address(bind: str) -> None:
    """Refuse what is no IP address: the certificate is made for it. Raises UsageError."""
    import ipaddress

    try:
        ipaddress.ip_address(bind)
    except ValueError:
        raise UsageError(f'--bind "{bind}" is no IP address', hint="such as 127.0.0.1 or 0.0.0.0") from None


def lab_config(bind: str, token: str | None) -> LabConfig:
    """The configuration of a cluster without containers, with fresh credentials."""
    import datetime as dt

    from labctl.config import LabConfig
    from labctl.lab import certificates

    addresses = {"127.0.0.1", "::1"} | ({bind} if bind not in _EVERYWHERE else set())
    names = certificates.api_server_names("cluster.local")
    credentials = certificates.issue(names, sorted(addresses), now=dt.datetime.now(dt.UTC))
    if token:
        credentials = replace(credentials, admin_token=token)
    # Endpoints may not be on loopback, so Service `kubernetes` has none unless others can reach the server too.
    reachable = "" if bind in _EVERYWHERE or bind.startswith("127.") or ":" in bind else bind
    return LabConfig("apiserver", (), credentials, reachable)


def url_of(bind: str, port: int) -> str:
    """Where clients of this machine find the server."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104  # recognised, not bound
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


@contextmanager
def kubeconfig_for(url: str, credentials: Credentials, path: Path | None) -> Iterator[Path]:
    """The kubeconfig with the server's context, current in it; taken out again afterwards."""
    from labctl.client import kubeconfig

    with tempfile.TemporaryDirectory(prefix="labctl-apiserver-") as folder:
        target = path or Path(folder, "kubeconfig")
        existed = target.exists()
        previous = kubeconfig.add_context(
            CONTEXT, server=url, ca_certificate=credentials.ca_certificate, token=credentials.admin_token, path=target
        )
        try:
            yield target
        finally:
            if existed:
                kubeconfig.remove_context(CONTEXT, previous=previous, path=target)
            else:
                target.unlink(missing_ok=True)


def introduction(url: str, path: Path, token: str, seconds: float) -> list[str]:
    """What a user reads when the server is ready."""
    return [
        f"API server ready at {url} ({seconds:.1f} s). Nothing runs pods here: they stay Pending.",
        f"  export KUBECONFIG={os.fspath(path)}",
        "  kubectl get nodes",
        f"Programs: bearer token {token}, CA in the kubeconfig. Ctrl-C ends the server.",
    ]
