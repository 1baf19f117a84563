"""Every kind of Service with real packets over two nodes."""

from __future__ import annotations

import re
from collections import Counter
from ipaddress import ip_address, ip_network

import pytest

from tests.docker.lab import Lab, eventually
from tests.docker.objects import deployment, service

pytestmark = pytest.mark.docker

CURL = ("curl", "-sS", "-m", "3")


def ready(ns: Lab, *names: str) -> None:
    """Wait until the deployments' pods are all Ready."""
    for name in names:
        ns.kubectl("rollout", "status", f"deploy/{name}", "-n", ns.namespace, "--timeout=60s")


def pods(ns: Lab, app: str) -> dict[str, str]:
    """Pod name -> node of an app's pods."""
    items = ns.json("get", "pods", "-n", ns.namespace, "-l", f"app={app}")["items"]
    return {p["metadata"]["name"]: p["spec"]["nodeName"] for p in items if "deletionTimestamp" not in p["metadata"]}


def test_the_simplest_service_gets_every_default(ns: Lab) -> None:
    ns.apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: sleep-2}\n"
        "spec: {selector: {app: sleep-2}, ports: [{port: 80}]}"
    )
    spec = ns.json("get", "svc", "sleep-2", "-n", ns.namespace)["spec"]
    assert spec.pop("clusterIP") == spec.pop("clusterIPs")[0]
    assert spec == {
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "selector": {"app": "sleep-2"},
        "sessionAffinity": "None",
        "type": "ClusterIP",
    }


def test_requests_spread_over_all_ready_endpoints_on_all_nodes_and_keep_the_client_address(ns: Lab) -> None:
    ns.apply(deployment("web", replicas=4))
    ns.apply(deployment("client"))
    ns.apply(service("web", {"port": 80}))
    ready(ns, "web", "client")
    placed = pods(ns, "web")
    assert set(placed.values()) == {"node-1", "node-2"}
    loop = "for i in $(seq 80); do curl -s -m 3 http://web/hostname; echo; done"
    answers = Counter(ns.exec("deploy/client", "sh", "-c", loop).out.split())
    assert set(answers) == set(placed)
    client_ip = ns.json("get", "pods", "-n", ns.namespace, "-l", "app=client")["items"][0]["status"]["podIP"]
    for _ in range(4):
        assert ns.exec("deploy/client", *CURL, "http://web/clientip").out.split(":")[0] == client_ip


def test_a_pod_reaches_itself_through_its_service(ns: Lab) -> None:
    ns.apply(deployment("self"))
    ns.apply(service("self", {"port": 80}))
    ready(ns, "self")
    own = ns.json("get", "pods", "-n", ns.namespace, "-l", "app=self")["items"][0]["status"]["podIP"]
    seen = eventually(lambda: ns.exec("deploy/self", *CURL, "http://self/clientip", check=False).out.split(":")[0])
    assert ip_address(seen) in ip_network(ns.pod_cidrs[0]) and seen != own, "hairpin traffic is masqueraded"


def test_no_endpoints_is_refused_at_once_and_a_wrong_port_hangs(ns: Lab) -> None:
    ns.apply(deployment("client"))
    ns.apply(service("empty", {"port": 80}))
    ns.apply(service("client", {"port": 80}))
    ready(ns, "client")
    assert eventually(lambda: ns.exec("deploy/client", *CURL, "http://empty/", check=False).err.count("(7)"))
    wrong_port = ns.exec("deploy/client", "curl", "-sS", "-m", "1", "http://client:81/", check=False)
    assert "(28)" in wrong_port.err
    no_service = ns.exec("deploy/client", "curl", "-sS", "-m", "1", "http://10.96.200.200/", check=False)
    assert "(28)" in no_service.err


def test_headless_names_resolve_to_the_pods(ns: Lab) -> None:
    ns.apply(deployment("hl", replicas=3))
    ns.apply(service("hl", {"port": 80}, clusterIP="None"))
    ready(ns, "hl")
    addresses = {p["status"]["podIP"] for p in ns.json("get", "pods", "-n", ns.namespace)["items"]}
    name = f"hl.{ns.namespace}.svc.cluster.local"
    looked_up = eventually(
        lambda: set(re.findall(r"Address: (\S+)", ns.exec("deploy/hl", "nslookup", name, check=False).out)) == addresses
    )
    assert looked_up
    assert ns.kubectl("get", "svc", "hl", "-n", ns.namespace).out.splitlines()[1].split()[2] == "None"


def test_several_named_ports_tcp_and_udp(ns: Lab) -> None:
    ports = [{"name": "http", "containerPort": 80}, {"name": "talk", "containerPort": 8081, "protocol": "UDP"}]
    ns.apply(deployment("multi", container={"ports": ports}))
    ns.apply(
        service(
            "multi",
            {"name": "web", "port": 8000, "targetPort": "http"},
            {"name": "talk", "port": 9000, "targetPort": "talk", "protocol": "UDP"},
        )
    )
    ready(ns, "multi")
    name = next(iter(pods(ns, "multi")))
    assert ns.exec("deploy/multi", *CURL, "http://multi:8000/hostname").out.strip() == name
    asked = eventually(
        lambda: ns.exec("deploy/multi", "sh", "-c", "echo hostname | nc -u -w 1 multi 9000", check=False).out
    )
    assert asked.strip() == name


def test_node_port_answers_on_every_node_and_on_the_hosts_loopback(ns: Lab) -> None:
    ns.apply(deployment("np"))
    ns.apply(service("np", {"port": 80}, type="NodePort"))
    ready(ns, "np")
    port = ns.json("get", "svc", "np", "-n", ns.namespace)["spec"]["ports"][0]["nodePort"]
    name = next(iter(pods(ns, "np")))
    for node in ns.json("get", "nodes")["items"]:
        address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
        assert ns.exec("deploy/np", *CURL, f"http://{address}:{port}/hostname").out.strip() == name
    eventually(lambda: ns.run("curl", "-sS", "-m", "3", f"http://localhost:{port}/hostname").out.strip() == name)


def test_a_taken_port_leaves_the_load_balancer_pending_until_it_is_free(ns: Lab) -> None:
    import socket

    ns.apply(deployment("lb"))
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        ns.apply(service("lb", {"port": port, "targetPort": 80}, type="LoadBalancer"))
        events = eventually(
            lambda: [
                e["message"]
                for e in ns.json("get", "events", "-n", ns.namespace)["items"]
                if e["involvedObject"]["name"] == "lb" and e["type"] == "Warning"
            ]
        )
        assert (str(port) in events[0] and "python" in events[0]) or "pytest" in events[0]
        assert "<pending>" in ns.kubectl("get", "svc", "lb", "-n", ns.namespace).out
    eventually(lambda: "localhost" in ns.kubectl("get", "svc", "lb", "-n", ns.namespace).out, within=30)
    ready(ns, "lb")
    eventually(lambda: ns.run("curl", "-sS", "-m", "3", f"http://localhost:{port}/hostname").code == 0)


def test_names_resolve_within_the_namespace_and_across(ns: Lab) -> None:
    ns.apply(deployment("client"))
    ready(ns, "client")
    other = f"{ns.namespace}-other"
    ns.kubectl("create", "namespace", other)
    try:
        ns.kubectl("apply", "-n", other, "-f", "-", stdin=deployment("away"))
        ns.kubectl("apply", "-n", other, "-f", "-", stdin=service("away", {"port": 80}))
        ns.kubectl("rollout", "status", "deploy/away", "-n", other, "--timeout=60s")
        here = ns.exec("deploy/client", *CURL, "http://away/hostname", check=False)
        assert "(6)" in here.err
        eventually(lambda: ns.exec("deploy/client", *CURL, f"http://away.{other}/hostname", check=False).code == 0)
    finally:
        ns.kubectl("delete", "namespace", other, "--wait=false")


def test_rules_carry_kube_proxys_names_and_objects(ns: Lab) -> None:
    ns.apply(deployment("named"))
    ns.apply(service("named", {"port": 80}))
    ready(ns, "named")
    node = ns.containers("label=labctl.role=node")[0]

    def rules() -> bool:
        text = ns.docker("exec", node, "iptables-save", "-t", "nat").out
        return bool(
            re.search(rf'-A KUBE-SERVICES .*"{ns.namespace}/named cluster IP".* -j KUBE-SVC-[A-Z2-7]{{16}}', text)
            and re.search(rf'-A KUBE-SVC-\S+ .*"{ns.namespace}/named -> 10\.\S+:80" -j KUBE-SEP-', text)
        )

    assert eventually(rules)
