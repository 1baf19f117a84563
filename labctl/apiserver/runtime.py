"""The API server's view of the kubelets: streams that only a node can serve.

In Kubernetes the API server dials the kubelet of the pod's node over HTTPS. Here all kubelets live in the
control plane's process, so the connection is this Protocol (implemented by `labctl.kubelet.runtime`, wired by
`labctl.agents.control_plane`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from labctl.api.objects import Object
from labctl.engine.protocol import ExecStream


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Query of GET …/pods/NAME/log, already validated."""

    container: str
    follow: bool = False
    previous: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since_time: float | None = None  # Unix seconds
    timestamps: bool = False
    stream: str = "All"  # All, Stdout, Stderr


class NodeRuntime(Protocol):
    """Streams into pods. Errors are `labctl.api.status.ApiError` in the kubelet's words."""

    async def exec(self, pod: Object, container: str, command: Sequence[str], *, stdin: bool, tty: bool) -> ExecStream:
        """Run a command in a container of the pod."""
        ...

    async def attach(self, pod: Object, container: str, *, stdin: bool, tty: bool) -> ExecStream:
        """Attach to a container's main process."""
        ...

    def logs(self, pod: Object, options: LogOptions) -> AsyncIterator[bytes]:
        """Log bytes of one container."""
        ...

    async def dial(self, pod: Object, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TCP connection to a port inside the pod's network namespace (its 127.0.0.1), for port-forward."""
        ...
