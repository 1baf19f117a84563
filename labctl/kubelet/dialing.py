"""TCP connections into the pods' network, for probes.

The control plane is on the LAN only, and packets for pods must come from their node anyway (a NetworkPolicy always
lets a node reach its pods). So each node's agent answers HTTP CONNECT on its LAN address, and the connection is made
there: the pod sees its node. https://www.rfc-editor.org/rfc/rfc9110#name-connect
"""

from __future__ import annotations

import asyncio
import os

from labctl.config import TUNNEL_PORT, LabConfig, NodeConfig
from labctl.kubelet.kit import Streams

_MAX_HEAD = 4096
_ANSWER_S = 2.0


class DirectDialer:
    """Connects from where this process is: for tests, and wherever pods can be reached directly."""

    async def open(self, node: NodeConfig, host: str, port: int) -> Streams:  # noqa: ARG002  # every node is as near
        """Connect."""
        return await asyncio.open_connection(host, port)

    async def reaches(self, node: NodeConfig) -> bool:  # noqa: ARG002  # there is none to ask
        """Yes."""
        return True


class NodeDialer:
    """Connects through the CONNECT service of the pod's node."""

    def __init__(self, config: LabConfig) -> None:
        self._token = config.credentials.node_token

    async def open(self, node: NodeConfig, host: str, port: int) -> Streams:
        """Connect; raises OSError as the node's kernel said it."""
        reader, writer = await asyncio.open_connection(node.address, TUNNEL_PORT)
        try:
            target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            request = (
                f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Bearer {self._token}\r\n\r\n"
            )
            writer.write(request.encode())
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
        except BaseException:
            writer.close()
            raise
        if not head.startswith(b"HTTP/1.1 200"):
            writer.close()
            raise error_of(head)
        return reader, writer

    async def reaches(self, node: NodeConfig) -> bool:
        """Whether the node's agent says anything; a paused one takes the connection and stays silent."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                reader, writer = await asyncio.open_connection(node.address, TUNNEL_PORT)
                try:
                    writer.write(b"GET / HTTP/1.1\r\n\r\n")
                    return bool(await reader.readuntil(b"\r\n\r\n"))
                finally:
                    writer.close()
        except (OSError, EOFError, asyncio.LimitOverrunError):  # TimeoutError is an OSError
            return False


def error_of(head: bytes) -> OSError:
    """The OSError that a refusing answer stands for; its X-Errno header carries the node's errno."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"x-errno" and value.strip().isdigit():
            number = int(value)
            return OSError(number, os.strerror(number))
    return OSError(head.split(b"\r\n")[0].decode(errors="replace"))
