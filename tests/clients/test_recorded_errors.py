"""What kubectl says when something is wrong, as recorded from a real cluster (tests/golden/kubectl-1.36/05-errors.txt)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.clients import session
from tests.docker.golden import GOLDEN, read

pytestmark = pytest.mark.docker  # no container, but processes

RUNNING_PODS = "a container has to run"
DIFFERENCES = {
    "kubectl exec deploy/numbers-web -- nosuchprogram": RUNNING_PODS,
    "kubectl apply -f ip-dup.yaml": "it asks for the address that a Service had in the recorded cluster",
}
# As the recorded cluster was: 01-seed.txt ends with these, the Service as ClusterIP once more.
STATE = ("api.yaml", "web.yaml", "api-service.yaml", "web-service.yaml", "headless.yaml")


def test_errors_read_as_recorded(kubeconfig: Path, kubectl_path: str) -> None:
    """In one test, because each command finds what those before it have left."""
    with session.environment(kubeconfig, kubectl_path, "default") as (folder, env):
        for file in (GOLDEN / "manifests").iterdir():
            shutil.copy(file, folder)
        for name in STATE:
            session.run(f"kubectl apply -f {name}", folder, env)
        session.run("kubectl wait --for=create pod -l app=numbers-web --timeout=10s", folder, env)
        differing, explained = [], set()
        for case in read(GOLDEN / "kubectl-1.36" / "05-errors.txt"):
            wanted, said = (session.comparable(c) for c in (case, session.run(case.command, folder, env)))
            if wanted != said and case.command in DIFFERENCES:
                explained.add(case.command)
            elif wanted != said:
                differing.append(f"$ {case.command}\n--- recorded\n{wanted}\n--- ours\n{said}")
        session.run("kubectl delete deployments,services,pods,configmaps --all --wait=false", folder, env)
    assert not differing, "\n\n".join(differing)
    assert explained == set(DIFFERENCES), "these no longer differ: take them out of the list"
