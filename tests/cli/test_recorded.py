"""labctl says what a recorded kubectl 1.36 said to the same command in the same state (tests/golden/kubectl-1.36)."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import MANIFESTS, Cluster
from tests.docker.golden import GOLDEN, Case, normalise, read

VERBS = ("get", "apply", "delete", "scale", "exec", "logs")
# What needs pods that run, kube-dns, or a kubectl to hand over to.
LEFT_OUT = (
    "ip-dup.yaml",
    "-- nosuchprogram",
    "--nosuchflag",
    "--server=",
    "get numbers",
)


def cases() -> list[Case]:
    found = [c for c in read(GOLDEN / "kubectl-1.36" / "05-errors.txt") if c.command.split()[1] in VERBS]
    return [c for c in found if not any(part in c.command for part in LEFT_OUT)]


@pytest.fixture
def recorded_state(
    running: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Callable[..., None]
) -> None:
    for file in MANIFESTS.iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("api.yaml", "web.yaml", "api-service.yaml"):
        running.ok("apply", "-n", "default", "-f", name)
    until(lambda: len(running.ok("get", "pods", "-n", "default", "-o", "name").splitlines()) == 2)


def comparable(text: str) -> str:
    text = normalise(text.replace("labctl ", "kubectl ").replace("labctl\n", "kubectl\n"))
    return re.sub(r"HASH-[a-z0-9]{5}\b", "HASH-SUFFIX", text)


@pytest.mark.usefixtures("recorded_state")
def test_errors_read_as_recorded(running: Cluster) -> None:
    """In one test, because each command finds what those before it have left."""
    compared = cases()
    for case in compared:
        said = running.run(*shlex.split(case.command)[1:])
        wanted = (case.code, comparable(case.out), comparable(case.err))
        assert (said.code, comparable(said.out), comparable(said.err)) == wanted, case.command
    assert len(compared) > 45
