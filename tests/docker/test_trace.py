"""What `labctl trace` tells of real packets: a transcript for every step of the chapter, on both backends.

`transcripts/*.txt` have times, addresses and generated names taken out. A changed telling is looked at and kept with
`LABCTL_UPDATE_GOLDEN=1`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.docker.lab import Lab, eventually
from tests.docker.objects import deployment, service
from tests.docker.test_services import ready

pytestmark = pytest.mark.docker

FOLDER = Path(__file__).parent / "transcripts"
PORT = 18330
NAMESPACE = "trace"


@dataclass(frozen=True, slots=True)
class Scene:
    """A namespace with everything that packets can meet, and who has which address there."""

    lab: Lab
    names: dict[str, str]
    interfaces: dict[
        tuple[str, str], str
    ]  # node and interface -> network: their order is Docker's, and not every time the same

    def trace(self, *words: str) -> str:
        """The story, without what differs from run to run."""
        words = tuple(w.format(**{v: k for k, v in self.names.items()}) for w in words)
        said = self.lab.labctl("trace", "-n", NAMESPACE, *words, check=False)
        return self.normal(said.out + said.err)

    def normal(self, text: str) -> str:
        text = self.networks(text)
        text = re.sub(r"(?m)^ *\d+\.\d+ ms", "   TIME ms", text)
        text = re.sub(r"\b\d+\.\d+ ms", "TIME ms", text)
        for address in sorted(self.names, key=len, reverse=True):
            text = re.sub(rf"(?<![\d.]){re.escape(address)}(?![\d.])", f"<{self.names[address]}>", text)
        text = re.sub(r"(Pod [a-z-]+/[a-z]+)-[a-z0-9]{6,10}-[a-z0-9]{5}\b", r"\1-POD", text)
        text = re.sub(r"(Pod kube-system/coredns-POD) on node-\d", r"\1 on NODE", text)
        text = re.sub(r"(EndpointSlice [a-z]+)-[a-z0-9]{5}\b", r"\1-SLICE", text)
        text = re.sub(r"KUBE-(SVC|SEP|EXT|FW|SVL)-[A-Z2-7]{16}", r"KUBE-\1-HASH", text)
        text = re.sub(r"\b(service|external|endpoint|local)-[A-Z2-7]{8}-", r"\1-HASH-", text)
        text = re.sub(r">:\d{4,5}\b(?<!:18330)(?<!:8081)(?<!:9000)", ">:PORT", text)
        return re.sub(r"--dport 3\d{4}", "--dport NODEPORT", text)

    def networks(self, text: str) -> str:
        """`leaves by eth1` of a node as `leaves by <pods>`."""
        lines, place = [], ""
        for line in text.splitlines(keepends=True):
            if header := re.fullmatch(r" {4}([a-z][\w-]*)\n", line):
                place = header[1]
            by = re.search(r"leaves by (eth\d)", line)
            network = self.interfaces.get((place, by[1])) if by else None
            lines.append(line.replace(f"leaves by {by[1]}", f"leaves by <{network}>") if by and network else line)
        return "".join(lines)


@pytest.fixture(scope="module")
def scene(lab: Lab) -> Iterator[Scene]:
    ns = replace(lab, namespace=NAMESPACE)
    ns.kubectl("create", "namespace", NAMESPACE)
    stranger = f"labctl-{lab.name}-beyond"
    image = lab.docker("inspect", "-f", "{{.Config.Image}}", lab.node("node-1")).out.strip()
    lab.docker("run", "-d", "--rm", "--name", stranger, "--network", f"labctl-{lab.name}-lan", image,
               "python3", "-m", "http.server", "80")  # fmt: skip
    try:
        eventually(lambda: ns.kubectl("get", "sa", "default", "-n", NAMESPACE, check=False).code == 0)
        beyond = lab.docker("exec", stranger, "hostname", "-i").out.strip()
        _apply(ns, beyond)
        ready(ns, "client", "near", "far")
        yield Scene(ns, {**_addresses(ns), beyond: "beyond"}, _interfaces(ns))
    finally:
        lab.docker("rm", "-f", stranger)
        ns.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _apply(ns: Lab, beyond: str) -> None:
    for name, node in (("client", "node-1"), ("near", "node-1"), ("far", "node-2")):
        ns.apply(deployment(name, nodeName=node))
    ns.apply(service("near", {"port": 80}))
    ns.apply(service("far", {"port": 80}))
    ns.apply(service("client", {"port": 80}))
    ns.apply(service("empty", {"port": 80}, app="nobody"))
    ns.apply(service("front", {"port": PORT, "targetPort": 80, "nodePort": 31830}, app="far", type="LoadBalancer"))
    ns.apply(service("door", {"port": 80, "nodePort": 31831}, app="near", type="NodePort"))
    ns.apply(service("heads", {"port": 80}, app="far", clusterIP="None"))
    ns.apply(service("talk", {"port": 9000, "targetPort": 8081, "protocol": "UDP"}, app="far"))
    ns.apply(service("db", {"port": 80}, app=""))
    subsets: list[dict[str, Any]] = [{"addresses": [{"ip": beyond}], "ports": [{"port": 80}]}]
    ns.apply(json.dumps({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "db"}, "subsets": subsets}))
    alias = {"type": "ExternalName", "externalName": f"far.{NAMESPACE}.svc.cluster.local"}
    ns.apply(json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "alias"}, "spec": alias}))


def _addresses(ns: Lab) -> dict[str, str]:
    """Address -> a name for it."""
    found = {"10.96.0.10": "kube-dns"}
    for pod in ns.json("get", "pods", "-n", NAMESPACE)["items"]:
        found[pod["status"]["podIP"]] = f"pod {pod['metadata']['labels']['app']}"
    for svc in ns.json("get", "svc", "-n", NAMESPACE)["items"]:
        if svc["spec"].get("clusterIP", "None") != "None":
            found[svc["spec"]["clusterIP"]] = svc["metadata"]["name"]
    for node in ("node-1", "node-2"):
        networks = json.loads(ns.docker("inspect", ns.node(node)).out)[0]["NetworkSettings"]["Networks"]
        for network, entry in networks.items():
            if entry["IPAddress"]:
                found[entry["IPAddress"]] = node if network.endswith("-lan") else f"{node} inside"
    front = eventually(lambda: ns.containers("label=labctl.service=trace/front", "status=running"))[0]
    found[ns.docker("exec", front, "hostname", "-i").out.strip()] = "front balancer"
    found[ns.pod_cidrs[0]] = "pods"
    lan = json.loads(ns.docker("network", "inspect", f"labctl-{ns.name}-lan").out)[0]["IPAM"]["Config"][0]
    found[lan["Gateway"]] = "machine"
    return found


def _interfaces(ns: Lab) -> dict[tuple[str, str], str]:
    """Node and interface -> network."""
    found = {}
    for node in ("node-1", "node-2"):
        networks = json.loads(ns.docker("inspect", ns.node(node)).out)[0]["NetworkSettings"]["Networks"]
        by_address = {entry["IPAddress"]: name.rpartition("-")[2] for name, entry in networks.items()}
        for line in ns.docker("exec", ns.node(node), "ip", "-o", "-4", "addr").out.splitlines():
            _, interface, _, address, *_ = line.split()
            if network := by_address.get(address.partition("/")[0]):
                found[node, interface] = network
    return found


CASES = {
    # What the step is -> the words of the command, and how it must end.
    "other-node": (("deploy/client", "far:80"), "connected in"),
    "same-node": (("deploy/client", "near:80"), "connected in"),
    "command": (("deploy/client", "--", "curl", "-s", "-o", "/dev/null", "http://far/hostname"), "connected in"),
    "hairpin": (("deploy/client", "client:80"), "connected in"),
    "node-port": (("deploy/client", "{node-2}:31830"), "connected in"),
    "load-balancer": (("host", f"127.0.0.1:{PORT}"), "connected in"),
    "external-name": (("deploy/client", "alias:80"), "connected in"),
    "headless": (("deploy/client", "heads:80"), "connected in"),
    "selector-less": (("deploy/client", "db:80"), "connected in"),
    "udp": (("deploy/client", "talk:9000", "--udp"), "answered in"),
    "refused": (("deploy/client", "empty:80"), "refused in"),
    "nothing-listens": (("deploy/client", "{pod far}:99"), "by a TCP reset: nothing listens at"),
    "no-such-name": (("deploy/client", "nosuch:80"), "NXDomain"),
    "no-such-address": (("deploy/client", "10.96.200.200:80"), "dropped: rule of"),
}


@pytest.mark.parametrize("case", CASES)
def test_transcripts(scene: Scene, mode: str, case: str) -> None:
    words, end = CASES[case]
    golden = FOLDER / f"{mode}-{case}.txt"

    def same() -> bool:
        text = scene.trace(*words)
        assert end in text, text
        if os.environ.get("LABCTL_UPDATE_GOLDEN"):
            golden.write_text(text)
        assert text == golden.read_text()
        return True

    eventually(same, within=20, every=0.5)


def test_the_form_for_programs(scene: Scene, mode: str) -> None:
    said = scene.lab.labctl("trace", "-n", NAMESPACE, "deploy/client", "-o", "json", "--", "curl", "-s", "http://far/")
    told = json.loads(said.out)
    assert set(told) == {"origin", "events"}
    assert set(told["origin"]) == {"title", "address", "nodes", "search", "gateway", "address6"}
    lookup, *_, made = told["events"]
    assert lookup["kind"] == "lookup" and lookup["question"] == f"A far.{NAMESPACE}.svc.cluster.local."
    assert made["kind"] == "connection" and made["result"] == "connected" and made["took_ms"] > 0
    assert [p["node"] for p in made["passages"]] == ["node-1", "node-2"]
    step = next(s for s in made["passages"][0]["steps"] if "DNAT" in s["effect"])
    assert set(step) == {"stage", "table", "chain", "rule", "verdict", "objects", "choice", "effect"}
    assert f"Pod {NAMESPACE}/far-" in step["objects"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("deploy/client", "--", "nosuch"), 'has no command "nosuch"'),
        (("deploy/client", "far:http"), '"far:http" is not HOST:PORT'),
        (("deploy/nosuch", "far:80"), '"nosuch" not found'),
        (("deploy/asleep", "far:80"), "does not run (labctl why pod/"),
        (("deploy/client",), "say where to connect or what to run"),
        (("host", "--", "nosuch-command"), "nosuch-command: No such file or directory"),
    ],
)
def test_what_cannot_be_traced(scene: Scene, words: tuple[str, ...], said: str) -> None:
    scene.lab.apply(deployment("asleep", image="labctl/nobody-has-this"))
    eventually(lambda: scene.lab.json("get", "pods", "-n", NAMESPACE, "-l", "app=asleep")["items"])
    answer = scene.lab.labctl("trace", "-n", NAMESPACE, *words, check=False)
    assert answer.code != 0 and said in answer.err, answer
    assert "Traceback" not in answer.err


def test_a_node_that_lacks_a_tool_says_so_and_is_left_as_it_was(scene: Scene) -> None:
    node = scene.lab.node("node-2")
    scene.lab.docker("exec", node, "mv", "/usr/sbin/nft", "/usr/sbin/nft.off")
    try:
        answer = scene.lab.labctl("trace", "-n", NAMESPACE, "deploy/client", "far:80", check=False)
    finally:
        scene.lab.docker("exec", node, "mv", "/usr/sbin/nft.off", "/usr/sbin/nft")
    assert answer.code != 0 and "node-2 cannot trace packets" in answer.err and "nft" in answer.err, answer
    assert "labctl-trace" not in scene.lab.docker("exec", scene.lab.node("node-1"), "nft", "list", "tables").out
