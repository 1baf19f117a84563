"""hostPorts: ports of the node's own address that lead to a pod."""

from __future__ import annotations

import pytest

from tests.docker.lab import Lab, eventually
from tests.docker.objects import deployment
from tests.docker.test_services import pods, ready

pytestmark = pytest.mark.docker

PORT = 18080
HOST_PORT = {"ports": [{"containerPort": 80, "hostPort": PORT}]}


def address(ns: Lab, node: str) -> str:
    return str(ns.json("get", "node", node)["status"]["addresses"][0]["address"])


def test_a_host_port_answers_at_its_node_and_keeps_the_clients_address(ns: Lab, mode: str, outside: str) -> None:
    ns.apply(deployment("web", container=HOST_PORT))
    ns.apply(deployment("client", replicas=2))
    ready(ns, "web", "client")
    ((name, node),) = pods(ns, "web").items()
    url = f"http://{address(ns, node)}:{PORT}"

    def from_outside(what: str) -> str:
        return ns.docker("exec", outside, "curl", "-sS", "-m", "2", f"{url}/{what}", check=False).out.strip()

    assert eventually(lambda: from_outside("hostname")) == name
    own = ns.docker("exec", outside, "hostname", "-i").out.strip()
    assert from_outside("clientip").split(":")[0] == own
    for client in pods(ns, "client"):
        assert ns.exec(f"pod/{client}", "curl", "-sS", "-m", "2", f"{url}/hostname").out.strip() == name
    assert ns.exec("deploy/web", "curl", "-sS", "-m", "2", f"{url}/hostname").out.strip() == name, "its own"

    ns.kubectl("delete", "deploy", "web", "-n", ns.namespace)
    eventually(lambda: not from_outside("hostname"))


def test_pods_that_want_the_same_port_need_nodes_of_their_own(ns: Lab) -> None:
    ns.apply(deployment("web", replicas=3, container=HOST_PORT))
    eventually(lambda: len([n for n in pods_on_nodes(ns) if n]) == 2)
    waiting = eventually(lambda: [p for p, n in zip(items(ns), pods_on_nodes(ns), strict=True) if not n])
    assert len(waiting) == 1 and waiting[0]["status"]["phase"] == "Pending"
    name = waiting[0]["metadata"]["name"]
    words = "0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports. "
    words += "no new claims to deallocate, preemption: 0/2 nodes are available: "
    words += "2 No preemption victims found for incoming pod."
    eventually(lambda: words in ns.kubectl("describe", "pod", name, "-n", ns.namespace).out)
    taken = next(p["metadata"]["name"] for p in items(ns) if p["metadata"]["name"] != name)
    ns.kubectl("scale", "deploy/web", "--replicas=2", "-n", ns.namespace)
    ready(ns, "web")
    assert {n for n in pods_on_nodes(ns) if n} == {"node-1", "node-2"}, taken


def items(ns: Lab) -> list[dict[str, dict[str, str]]]:
    found: list[dict[str, dict[str, str]]] = ns.json("get", "pods", "-n", ns.namespace)["items"]
    return found


def pods_on_nodes(ns: Lab) -> list[str]:
    return [p["spec"].get("nodeName", "") for p in items(ns)]
