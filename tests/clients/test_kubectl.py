"""Stock kubectl says to our API server what it said to a real one, verb by verb (recorded in tests/golden/clients)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import session
from tests.clients.differences import DIFFERENCES, reason
from tests.docker.golden import read

pytestmark = pytest.mark.docker  # no container, but half a minute of processes

NAMES = sorted(path.stem for path in session.RECORDINGS.glob("*.txt"))


@pytest.mark.parametrize("name", NAMES)
def test_a_session_reads_as_recorded(name: str, kubeconfig: Path, kubectl_path: str) -> None:
    """In one test, because each command finds what those before it have left."""
    with session.environment(kubeconfig, kubectl_path, name) as (folder, env):
        differing, explained = [], set()
        for case in read(session.RECORDINGS / f"{name}.txt"):
            wanted, said = (session.comparable(c) for c in (case, session.run(case.command, folder, env)))
            if wanted != said and reason(name, case):
                explained.add(case.command)
            elif wanted != said:
                differing.append(f"$ {case.command}\n--- recorded\n{wanted}\n--- ours\n{said}")
    assert not differing, "\n\n".join(differing)
    expected = {command for recording, command in DIFFERENCES if recording == name}
    assert explained == expected, "these no longer differ: take them out of the list"
