"""`up`, `status`, `down`: idempotent, repairing, and leaving nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.docker.lab import Lab, eventually
from tests.docker.objects import deployment, service
from tests.docker.test_services import CURL, pods, ready

pytestmark = pytest.mark.docker

FOREIGN_CONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: mine, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: me, user: {token: t}}]
contexts: [{name: mine, context: {cluster: mine, user: me}}]
current-context: mine
"""


@pytest.fixture
def second(kubectl_path: str, lab: Lab) -> Iterator[Lab]:
    """A lab that the test brings up itself, beside the shared one."""
    with tempfile.TemporaryDirectory(prefix="labctl-test-") as home:
        second = Lab(f"second-{os.getpid()}", Path(home), kubectl_path)
        try:
            yield second
        finally:
            second.labctl("down", timeout=120, check=False)


def leftovers(lab: Lab) -> list[str]:
    """Everything in Docker that carries the lab's label."""
    wanted = f"label=labctl.lab={lab.name}"
    found = lab.containers()
    for kind in ("network", "volume"):
        found += lab.docker(kind, "ls", "-q", "--filter", wanted).out.split()
    return found


def test_a_second_lab_runs_beside_the_first_and_leaves_nothing(lab: Lab, second: Lab) -> None:
    config = second.home / "kubeconfig"
    config.write_text(FOREIGN_CONFIG)
    up = second.labctl("up", "--nodes", "1", timeout=300)
    assert yaml.safe_load(config.read_text())["current-context"].startswith("labctl")
    assert second.kubectl("get", "nodes", "-o", "name").out == "node/node-1\n"
    assert len(lab.json("get", "nodes")["items"]) == 2
    assert "s" in up.out

    down = second.labctl("down", timeout=60)
    assert leftovers(second) == []
    assert "node-1" in down.out
    assert yaml.safe_load(config.read_text()) == yaml.safe_load(FOREIGN_CONFIG)
    assert len(lab.json("get", "nodes")["items"]) == 2


def test_up_again_repairs_what_is_missing(second: Lab) -> None:
    second.labctl("up", "--nodes", "1", timeout=300)
    second.apply(deployment("web"))
    second.apply(service("web", {"port": 80}))
    ready(second, "web")
    cluster_ip = second.json("get", "svc", "web")["spec"]["clusterIP"]
    second.docker("rm", "-f", *second.containers("label=labctl.role=node"))
    (second.home / "kubeconfig").unlink()
    second.labctl("up", "--nodes", "1", timeout=120)
    eventually(lambda: second.exec("deploy/web", *CURL, f"http://{cluster_ip}/hostname", check=False).code == 0)
    status = second.labctl("status")
    assert "node-1" in status.out and "control" in status.out


def test_up_interrupted_half_way_and_run_again(second: Lab) -> None:
    half = subprocess.Popen(
        [sys.executable, "-m", "labctl.cli.main", "up", "--nodes", "1"],
        env=second.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    eventually(lambda: second.containers() or half.poll() is not None, within=60)
    half.send_signal(signal.SIGINT)
    half.communicate(timeout=60)
    second.labctl("up", "--nodes", "1", timeout=120)
    assert second.kubectl("get", "nodes", "-o", "name").out == "node/node-1\n"


def test_a_killed_control_plane_loses_nothing_and_pods_answer_meanwhile(second: Lab) -> None:
    second.labctl("up", timeout=300)
    second.apply(deployment("web"))
    second.apply(deployment("client"))
    second.apply(service("web", {"port": 80}))
    ready(second, "web", "client")
    before = {p["metadata"]["uid"] for p in second.json("get", "pods")["items"]}
    client = second.containers("label=io.kubernetes.container.name=main", "label=io.kubernetes.pod.namespace=default")
    client = [c for c in client if "client" in c]
    acknowledged = []
    control_plane = second.containers("label=labctl.role=control-plane")
    for number in range(20):
        second.kubectl("create", "configmap", f"c{number}")
        acknowledged.append(f"c{number}")
        if number == 10:
            second.docker("kill", "-s", "KILL", *control_plane)
            meanwhile = second.docker("exec", *client, "curl", "-sS", "-m", "3", "http://web/hostname")
            assert meanwhile.code == 0
            second.labctl("up", timeout=60)
    names = {c["metadata"]["name"] for c in second.json("get", "configmaps")["items"]}
    assert set(acknowledged) <= names
    assert {p["metadata"]["uid"] for p in second.json("get", "pods")["items"]} == before
    assert all(p["status"]["containerStatuses"][0]["restartCount"] == 0 for p in second.json("get", "pods")["items"])


def test_flushed_rules_come_back(ns: Lab) -> None:
    ns.apply(deployment("web"))
    ns.apply(service("web", {"port": 80}))
    ready(ns, "web")
    for node in ns.containers("label=labctl.role=node"):
        for table in ("nat", "filter", "mangle"):
            ns.docker("exec", node, "iptables", "-t", table, "-F")
    eventually(lambda: ns.exec("deploy/web", *CURL, "http://web/hostname", check=False).code == 0, within=40)

    def guarded(node: str) -> bool:
        rules = ns.docker("exec", node, "iptables-save").out
        return "-A LABCTL-MASQ -s" in rules and "-A POSTROUTING -j LABCTL-GUARD" in rules

    eventually(lambda: all(map(guarded, ns.containers("label=labctl.role=node"))), within=40)


def test_the_api_is_published_on_loopback_only_and_wants_a_token(lab: Lab) -> None:
    view = json.loads(lab.kubectl("config", "view", "--raw", "--minify", "-o", "json").out)
    server = view["clusters"][0]["cluster"]["server"]
    assert server.startswith("https://127.0.0.1:")
    assert lab.run("curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", f"{server}/api/v1/pods").out in (
        "401",
        "403",
    )
    published = lab.docker("ps", "--filter", f"label=labctl.lab={lab.name}", "--format", "{{.Ports}}").out
    assert "0.0.0.0:" not in published and ":::" not in published


def test_another_lab_of_the_same_name_is_the_same_lab(lab: Lab) -> None:
    again = lab.labctl("up", timeout=60)
    assert again.code == 0
    assert replace(lab).kubectl("get", "nodes", "-o", "name").out == "node/node-1\nnode/node-2\n"


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_services_leave_a_node_that_is_gone_and_come_back_to_it(ns: Lab, how: str) -> None:
    ns.apply(deployment("web", replicas=2))
    ns.apply(service("web", {"port": 80}))
    ns.apply(deployment("client", nodeSelector={"kubernetes.io/hostname": "node-1"}))
    ready(ns, "web", "client")
    here = next(p for p, node in pods(ns, "web").items() if node == "node-1")
    # not by name: the pod of DNS may be on the other node
    address = ns.json("get", "svc", "web", "-n", ns.namespace)["spec"]["clusterIP"]

    def status() -> str:
        return ns.kubectl("get", "node", "node-2", "--no-headers").out.split()[1]

    def answering() -> set[str]:
        loop = f"for i in $(seq 12); do curl -s -m 1 http://{address}/hostname; echo; done"
        return set(ns.exec("deploy/client", "sh", "-c", loop, check=False).out.split())

    ns.docker(how, ns.node("node-2"))
    try:
        eventually(lambda: status() == "NotReady", within=60)
        eventually(lambda: answering() == {here}, within=30)
        assert "NodeNotReady" in ns.kubectl("describe", "node", "node-2").out
        assert "BAD  node-2" in ns.labctl("status", check=False).out
    finally:
        ns.docker(*(("start",) if how == "kill" else ("unpause",)), ns.node("node-2"))
    eventually(lambda: status() == "Ready", within=60)
    eventually(lambda: len(answering()) == 2, within=30)


def test_a_node_that_cannot_write_rules_says_so_and_catches_up(ns: Lab) -> None:
    ns.apply(deployment("client", nodeSelector={"kubernetes.io/hostname": "node-1"}))
    ns.apply(deployment("web"))
    ready(ns, "client", "web")
    node = ns.node("node-1")
    tool = ns.docker("exec", node, "sh", "-c", "command -v iptables-restore").out.strip()

    def told(reason: str) -> bool:
        listed = ns.kubectl("get", "events", "--field-selector", f"reason={reason}").out
        return "node/node-1" in listed

    ns.docker("exec", node, "mv", tool, f"{tool}.away")
    try:
        ns.apply(service("web", {"port": 80}))
        eventually(lambda: told("RulesNotWritten"), within=40)
    finally:
        ns.docker("exec", node, "mv", f"{tool}.away", tool)
    eventually(lambda: told("RulesNotWrittenOver"), within=40)
    assert eventually(lambda: ns.exec("deploy/client", *CURL, "http://web/hostname", check=False).out)
