"""`labctl apiserver` for stock clients: one for all tests."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl import KUBERNETES_VERSION
from labctl.lab.tools import compiled_kubectl, kubectl_binary


@pytest.fixture(scope="session")
def kubectl_path() -> str:
    """The kubectl of the release that was recorded: on PATH, or built from its Go module."""
    found = kubectl_binary()
    version = subprocess.run([found, "version", "--client"], capture_output=True, text=True, check=True).stdout
    return str(found if KUBERNETES_VERSION in version else compiled_kubectl())


@pytest.fixture(scope="session")
def kubeconfig() -> Iterator[Path]:
    """The administrator's kubeconfig of an API server without Docker."""
    with tempfile.TemporaryDirectory(prefix="labctl-clients-") as folder:
        path = Path(folder, "kubeconfig")
        command = [sys.executable, "-m", "labctl.cli.main", "apiserver", "--kubeconfig", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert "ready at https://127.0.0.1:" in process.stdout.readline()
                yield path
            finally:
                process.terminate()
