"""Helm, built from its Go module, installs a chart, upgrades it, rolls it back and takes it away."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from labctl.lab.tools import go
from tests.clients import session

pytestmark = pytest.mark.docker  # no container, but processes; where there is no helm it is compiled

CHART = Path(__file__).parent / "chart"
HELM = go.Program("helm", "helm.sh/helm/v4/cmd/helm", "v4.3.1", module="helm.sh/helm/v4")


@pytest.fixture(scope="module")
def helm_path() -> str:
    """LABCTL_HELM, else the helm on PATH, else one compiled from its Go module."""
    found = os.environ.get("LABCTL_HELM") or shutil.which("helm")
    return found or str(go.build(HELM, architecture=go.host_architecture(), say=print))


@pytest.mark.timeout(600)  # a first build takes minutes
def test_a_release_comes_changes_and_goes(kubeconfig: Path, kubectl_path: str, helm_path: str) -> None:
    with session.environment(kubeconfig, kubectl_path, "helm") as (folder, env):

        def ok(command: str) -> str:
            done = session.run(command, folder, env)
            assert done.code == 0, done
            return done.out

        def found(what: str) -> Any:
            return json.loads(ok(f"kubectl get {what} -o json"))

        (folder / "bin" / "helm").symlink_to(helm_path)
        assert "STATUS: deployed" in ok(f"helm install numbers {CHART}")
        assert found("deployment numbers")["spec"]["replicas"] == 2
        assert found("service numbers")["spec"]["selector"] == {"app": "numbers"}
        ok(f"helm upgrade numbers {CHART} --set replicas=3,port=81")
        assert found("deployment numbers")["spec"]["replicas"] == 3
        assert [p["port"] for p in found("service numbers")["spec"]["ports"]] == [81]
        ok("helm rollback numbers 1")
        assert found("deployment numbers")["spec"]["replicas"] == 2
        assert [p["port"] for p in found("service numbers")["spec"]["ports"]] == [80]
        history = json.loads(ok("helm history numbers -o json"))
        assert [(r["revision"], r["status"]) for r in history] == [
            (1, "superseded"),
            (2, "superseded"),
            (3, "deployed"),
        ]
        ok("helm uninstall numbers")
        assert found("deployments,services,secrets")["items"] == []
