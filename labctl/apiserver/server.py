"""The running API server: state, application, TLS socket.

`ApiServer.local` is the API for controllers of the same process; `serve()` answers HTTPS until it is cancelled.
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.apiserver import bootstrap
from labctl.apiserver.authentication import Authenticator
from labctl.apiserver.context import Context
from labctl.apiserver.local import LocalApi
from labctl.apiserver.registry import Registry
from labctl.apiserver.runtime import NodeRuntime
from labctl.config import API_PORT, LabConfig
from labctl.errors import MissingPrerequisite
from labctl.store.store import Store

if TYPE_CHECKING:
    import uvicorn


class ApiServer:
    """An API server over a state file (empty: in memory)."""

    def __init__(self, config: LabConfig, *, state_path: str = "") -> None:
        self.config = config
        self.store = Store(state_path)
        self.registry = Registry(self.store, config)
        self.authenticator = Authenticator(config.credentials, self.store)
        self.local = LocalApi(self.registry, self.authenticator)
        bootstrap.bootstrap(self.registry)

    def context(self, runtime: NodeRuntime | None = None) -> Context:
        """What the HTTP surface needs."""
        address = f"{self.config.control_plane_address}:{API_PORT}" if self.config.control_plane_address else ""
        return Context(self.registry, self.authenticator, runtime, address)

    async def serve(
        self,
        runtime: NodeRuntime | None,
        *,
        host: str = "0.0.0.0",  # noqa: S104  # its container's
        port: int = API_PORT,
        listener: socket.socket | None = None,
        started: Callable[[], None] | None = None,
    ) -> None:
        """Answer HTTPS until cancelled, on `listener` where one is given; `started` is called when connections are taken.

        Raises MissingPrerequisite when the port is taken.
        """
        import uvicorn  # the slowest import: after the state is loaded and the controllers' code is running

        from labctl.apiserver.app import build
        from labctl.apiserver.streams.upgrade import UpgradeProtocol

        with certificate_files(self.config) as (certificate, key):
            settings = uvicorn.Config(
                build(self.context(runtime)),
                host=host,
                port=port,
                ssl_certfile=certificate,
                ssl_keyfile=key,
                http=UpgradeProtocol,
                ws="wsproto",
                loop="asyncio",
                lifespan="off",
                access_log=False,
                log_level="warning",
                timeout_keep_alive=90,  # client-go keeps idle connections for as long
                ws_max_size=1 << 20,
            )
            await _run(uvicorn.Server(settings), host, port, listener, started)


async def _run(
    server: uvicorn.Server,
    host: str,
    port: int,
    listener: socket.socket | None,
    started: Callable[[], None] | None,
) -> None:
    """uvicorn ends the process on a taken port and installs signal handlers: neither is wanted inside a task group."""
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    try:
        await server.startup([listener] if listener else None)
    except SystemExit:
        raise MissingPrerequisite(f"cannot listen on {host}:{port}", hint="is another API server running?") from None
    if started is not None:
        started()
    try:
        await server.main_loop()
    finally:
        server.force_exit = True  # watches never end by themselves
        server.should_exit = True
        await asyncio.shield(server.shutdown())


@contextmanager
def certificate_files(config: LabConfig) -> Iterator[tuple[str, str]]:
    """The server's certificate and key as files: ssl reads them from nowhere else. Gone when the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
        certificate.write_text(config.credentials.server_certificate)
        descriptor = os.open(key, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(config.credentials.server_key)
        yield str(certificate), str(key)
