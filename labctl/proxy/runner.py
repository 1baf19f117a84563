"""Running iptables, nft, conntrack and ip: the only place of the proxy that starts processes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from labctl.errors import LabctlError


class CommandFailed(LabctlError):
    """A command that ended with an error: its words, exit status and stderr."""

    def __init__(self, argv: Sequence[str], code: int, stderr: str) -> None:
        super().__init__(f"{' '.join(argv)}: exit status {code}: {stderr.strip()}")
        self.code = code
        self.stderr = stderr


class Runner(Protocol):
    """Runs a command and returns its output. Raises CommandFailed."""

    async def __call__(self, *argv: str, stdin: str = "") -> str:
        """Run `argv` with `stdin`."""
        ...


async def run(*argv: str, stdin: str = "") -> str:
    """Run a command in this network namespace."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError:
        raise CommandFailed(argv, 127, "no such command") from None
    out, err = await process.communicate(stdin.encode())
    if process.returncode:
        raise CommandFailed(argv, process.returncode, err.decode(errors="replace"))
    return out.decode()
