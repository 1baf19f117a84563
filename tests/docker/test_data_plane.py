"""Real packets through both backends: sources, targets and traffic policies; switching, repair, affinity, UDP."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.docker.lab import Lab, eventually
from tests.docker.objects import deployment, service
from tests.docker.test_services import pods, ready

pytestmark = pytest.mark.docker

POLICIES = {
    "cluster": {},
    "external": {"externalTrafficPolicy": "Local"},
    "internal": {"internalTrafficPolicy": "Local"},
    "both": {"externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local"},
}
# Policies -> ClusterIP from a pod and from the node; NodePort and then an externalIP from a pod, the node, and a host outside;
# the load balancer from the lab's own host. The pod and the node are node-1, one endpoint (L) is there and one (R) is not;
# m: the endpoint sees somebody else than the client.
EXPECTED = """
cluster:  LR LRm  LRm LRm LRm  LRm LRm LRm  LR
external: LR LRm  LR  LRm L    LR  LRm L    LR
internal: L  Lm   LRm LRm LRm  LRm LRm LRm  LR
both:     L  Lm   LR  LRm L    LR  LRm L    LR
"""
FIRST_PORT = 18471
"""Of the host's, for load balancers."""


def on_node(lab: Lab, node: str, *command: str) -> str:
    return lab.docker("exec", lab.node(node), *command, check=False).out


def address(lab: Lab, node: str) -> str:
    """A node's address on the LAN."""
    listed = lab.json("get", "node", node)["status"]["addresses"]
    return str(next(a["address"] for a in listed if a["type"] == "InternalIP"))


def place(ns: Lab, name: str) -> dict[str, str]:
    """One pod of the app on each node: node -> pod."""
    ns.apply(deployment(name, replicas=2))
    ready(ns, name)
    placed = {node: pod for pod, node in pods(ns, name).items()}
    assert set(placed) == {"node-1", "node-2"}
    return placed


def run(ns: Lab, *names: str) -> None:
    """Two pods of each app, wherever there is place."""
    for name in names:
        ns.apply(deployment(name, replicas=2))
    ready(ns, *names)


def asked(ns: Lab, source: str, target: str, *, outside: str) -> tuple[set[str], str]:
    """Which pods answer at a target, and whom the last one saw; nothing as long as one request fails."""
    script = f"for i in $(seq 14); do curl -sS -f -m 2 {target}/hostname || exit; echo; done; curl -sS -m 2 {target}/clientip"
    if source == "host":
        out = ns.run("sh", "-c", script).out
    elif source == "node":
        out = on_node(ns, "node-1", "sh", "-c", script)
    elif source == "outside":
        out = ns.docker("exec", outside, "sh", "-c", script, check=False).out
    else:
        out = ns.exec(f"pod/{source}", "sh", "-c", script, check=False).out
    *names, seen = out.split() or [""]
    return set(names), seen.rpartition(":")[0]


def flows(ns: Lab, policies: str, client: str, node: str) -> list[tuple[str, str]]:
    """Source and target of every column of the table."""
    spec = ns.json("get", "svc", policies, "-n", ns.namespace)["spec"]
    port = spec["ports"][0]
    outer = (f"{node}:{port['nodePort']}", f"{spec['externalIPs'][0]}:{port['port']}")
    inner = f"{spec['clusterIP']}:{port['port']}"
    beyond = [(source, target) for target in outer for source in (client, "node", "outside")]
    return [(client, inner), ("node", inner), *beyond, ("host", f"localhost:{port['port']}")]


def test_packets(ns: Lab, mode: str, outside: str) -> None:
    web = place(ns, "web")
    client = place(ns, "client")["node-1"]
    own = {
        client: str(ns.json("get", "pod", client, "-n", ns.namespace)["status"]["podIP"]),
        "outside": ns.docker("exec", outside, "hostname", "-i").out.strip(),
    }
    node = address(ns, "node-1")
    ns.docker("exec", outside, "ip", "route", "replace", "203.0.113.0/24", "via", node)
    for number, (policies, spec) in enumerate(POLICIES.items()):
        port = {"port": FIRST_PORT + number, "targetPort": 80}
        exposed = {"type": "LoadBalancer", "externalIPs": [f"203.0.113.{100 + number}"]}
        ns.apply(service(policies, port, app="web", **exposed, **spec))
    for line in EXPECTED.strip().splitlines():
        policies, cells = line.split(":")
        for (source, target), wanted in zip(flows(ns, policies, client, node), cells.split(), strict=True):
            expected = {web["node-1" if letter == "L" else "node-2"] for letter in wanted.removesuffix("m")}

            flow = f"{policies}: {source} to {target}"

            def answer(
                source: str = source, target: str = target, expected: set[str] = expected, of: str = flow
            ) -> str:
                names, seen = asked(ns, source, target, outside=outside)
                assert names == expected, f"{of}: {names}"
                return seen

            seen = eventually(answer, within=10)
            if source in own:
                assert (seen != own[source]) == wanted.endswith("m"), f"{flow}: {seen}"


def test_refused_dropped_or_delivered(ns: Lab, mode: str) -> None:
    """No endpoints is refused at once; the rest differs between the modes as it does in kube-proxy."""
    run(ns, "client")
    ns.apply(service("empty", {"port": 80}, app="nobody", type="NodePort"))
    ns.apply(service("full", {"port": 80}, app="client", type="NodePort"))
    port = ns.json("get", "svc", "full", "-n", ns.namespace)["spec"]["ports"][0]["nodePort"]
    curl = ("curl", "-sS", "-m", "1")
    eventually(lambda: "(7)" in ns.exec("deploy/client", *curl, "http://empty/", check=False).err)
    wrong = ns.exec("deploy/client", *curl, "http://full:81/", check=False).err
    assert ("(28)" if mode == "iptables" else "(7)") in wrong
    assert "(28)" in ns.exec("deploy/client", *curl, "http://10.96.200.200/", check=False).err
    loopback = on_node(ns, "node-1", *curl, f"http://127.0.0.1:{port}/hostname")
    assert loopback.startswith("client-") == (mode == "iptables")


def test_affinity_keeps_a_client_at_its_endpoint(ns: Lab, mode: str) -> None:
    run(ns, "web", "client")
    ns.apply(service("sticky", {"port": 80}, app="web", sessionAffinity="ClientIP"))
    target = ns.json("get", "svc", "sticky", "-n", ns.namespace)["spec"]["clusterIP"]
    eventually(lambda: ns.exec("deploy/client", "curl", "-s", "-m", "1", f"{target}/hostname", check=False).out)
    loop = f"for i in $(seq 20); do curl -sS -m 2 {target}/hostname; echo; done"
    assert len(set(ns.exec("deploy/client", "sh", "-c", loop).out.split())) == 1


def test_rules_that_somebody_flushed_come_back(ns: Lab, mode: str) -> None:
    run(ns, "web")
    ns.apply(service("web", {"port": 80}))
    target = ns.json("get", "svc", "web", "-n", ns.namespace)["spec"]["clusterIP"]

    def answers() -> bool:
        return on_node(ns, "node-1", "curl", "-s", "-m", "1", f"{target}/hostname").startswith("web-")

    eventually(answers)
    for damage in ("iptables -t nat -F", "iptables -F") if mode == "iptables" else ("nft flush table ip kube-proxy",):
        on_node(ns, "node-1", *damage.split())
        eventually(answers, within=5)


def test_a_udp_client_follows_its_service_to_another_endpoint(ns: Lab, mode: str) -> None:
    """It sends from one port all the time, so its conntrack entry would never end."""
    ports = [{"name": "talk", "port": 9000, "targetPort": 8081, "protocol": "UDP"}]
    run(ns, "first", "second", "client")
    ns.apply(service("talk", *ports, app="first"))
    target = ns.json("get", "svc", "talk", "-n", ns.namespace)["spec"]["clusterIP"]
    ask = f"echo hostname | nc -u -p 5000 -w 1 {target} 9000"
    eventually(lambda: ns.exec("deploy/client", "sh", "-c", ask, check=False).out.startswith("first-"))
    ns.apply(service("talk", *ports, app="second"))
    eventually(lambda: ns.exec("deploy/client", "sh", "-c", ask, check=False).out.startswith("second-"), within=15)


def test_connections_outlive_a_change_of_the_proxy_mode(ns: Lab, lab: Lab) -> None:
    run(ns, "web", "client")
    ns.apply(service("web", {"port": 80}))
    target = ns.json("get", "svc", "web", "-n", ns.namespace)["spec"]["clusterIP"]
    eventually(lambda: ns.exec("deploy/client", "curl", "-s", "-m", "1", f"{target}/hostname", check=False).out)
    head = "GET /hostname HTTP/1.1\\r\\nHost: web\\r\\n"
    script = f"(printf '{head}\\r\\n'; read go; printf '{head}Connection: close\\r\\n\\r\\n') | nc {target} 80"
    argv = [ns.kubectl_path, "exec", "-i", "-n", ns.namespace, "deploy/client", "--", "sh", "-c", script]
    process = subprocess.Popen(argv, env=ns.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        lab.labctl("up", "--proxy-mode", "nftables")
        assert json.loads(on_node(lab, "node-2", "nft", "-j", "list", "tables"))["nftables"]
        assert "KUBE-" not in on_node(lab, "node-1", "iptables-save")
        lab.labctl("up", "--proxy-mode", "iptables")
        assert "table ip kube-proxy" not in on_node(lab, "node-1", "nft", "list", "tables")
        out, _ = process.communicate("go\n", timeout=20)
    finally:
        process.kill()
    assert out.count("200 OK") == 2, out
