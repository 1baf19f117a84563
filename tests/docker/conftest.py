"""One lab for all docker tests of a run; each test works in its own namespace."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.cli.progress import plain
from labctl.lab import engine
from labctl.lab.images.ensure import ensure_netexec
from labctl.lab.tools import kubectl_binary
from tests.docker.lab import Lab, eventually

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kubectl_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The kubectl on PATH, or one built from its Go module; under the name that commands call it by."""
    link = tmp_path_factory.mktemp("bin") / "kubectl"
    link.symlink_to(kubectl_binary())
    return str(link)


@pytest.fixture(scope="session")
def lab(kubectl_path: str) -> Iterator[Lab]:
    """A running lab with two nodes, removed afterwards; its removal is a test of `down`."""
    with tempfile.TemporaryDirectory(prefix="labctl-test-") as home:
        lab = Lab(f"test-{os.getpid()}", Path(home), kubectl_path)
        ensure_netexec(engine.connect(), plain(print))  # of the engine: the server that the tests talk to
        try:
            print(lab.labctl("up", timeout=900).out)
            yield lab
        finally:
            down = lab.labctl("down", timeout=120, check=False)
        assert down.code == 0, down
        assert lab.containers() == []


@pytest.fixture
def ns(lab: Lab) -> Iterator[Lab]:
    """The lab, seen from a namespace of its own that is removed after the test."""
    name = f"t{next(_numbers)}"
    lab.kubectl("create", "namespace", name)
    eventually(lambda: lab.kubectl("get", "sa", "default", "-n", name, check=False).code == 0)
    yield replace(lab, namespace=name)
    lab.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module", params=["iptables", "nftables"])
def mode(request: pytest.FixtureRequest, lab: Lab) -> Iterator[str]:
    """The lab in one proxy mode after the other; afterwards as it was."""
    lab.labctl("up", "--proxy-mode", request.param)
    yield request.param
    lab.labctl("up", "--proxy-mode", "iptables")


@pytest.fixture
def outside(lab: Lab) -> Iterator[str]:
    """A host on the LAN that is no part of the cluster."""
    name, image = (
        f"labctl-{lab.name}-stranger",
        lab.docker("inspect", "-f", "{{.Config.Image}}", lab.node("node-1")),
    )
    network = f"labctl-{lab.name}-lan"
    container = ("--rm", "--cap-add", "NET_ADMIN", "--name", name, "--network", network, image.out.strip())
    lab.docker("run", "-d", *container, "sleep", "600")
    yield name
    lab.docker("rm", "-f", name)
