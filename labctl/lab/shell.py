"""Programs that the lab starts on the host: Compose, Go, mmdebstrap, uv."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from labctl.errors import LabctlError


class CommandFailed(LabctlError):
    """A program ended with a non-zero exit status; carries argv, the status and the end of what it said."""

    def __init__(self, argv: Sequence[str], code: int, output: str) -> None:
        last = [line for line in output.strip().splitlines() if line.strip()][-3:]
        super().__init__(f"{' '.join(argv[:4])} ended with status {code}: {' | '.join(last)}")
        self.argv = tuple(argv)
        self.code = code
        self.output = output


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout_s: float | None = None,
) -> str:
    """Run a program and return its standard output; `env` is added to the environment. Raises CommandFailed."""
    done = subprocess.run(
        argv,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )
    if done.returncode:
        raise CommandFailed(argv, done.returncode, done.stderr or done.stdout)
    return done.stdout


def follow(
    argv: Sequence[str],
    on_line: Callable[[str], None],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a long program and hand over each line of its output (both streams). Raises CommandFailed."""
    lines: list[str] = []
    with subprocess.Popen(
        argv,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            on_line(line.rstrip())
    if process.returncode:
        raise CommandFailed(argv, process.returncode, "".join(lines[-50:]))
