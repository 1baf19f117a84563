"""NetworkPolicies with real packets: who reaches whom, in both proxy modes, and what is told of what is dropped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.docker.lab import Lab, eventually
from tests.docker.objects import deployment, service
from tests.docker.test_services import pods, ready

pytestmark = pytest.mark.docker

TO_DNS = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}


def policy(name: str, app: str, **spec: Any) -> str:
    types = [direction for direction in ("Ingress", "Egress") if direction.lower() in spec]
    selector = {"matchLabels": {"app": app}} if app else {}
    body = {"podSelector": selector, "policyTypes": types, **spec}
    meta = {"name": name}
    return json.dumps({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": body})


@pytest.fixture
def other(ns: Lab) -> Iterator[Lab]:
    """A second namespace, with label team=other."""
    name = f"{ns.namespace}-other"
    ns.kubectl("create", "namespace", name)
    ns.kubectl("label", "namespace", name, "team=other")
    eventually(lambda: ns.kubectl("get", "sa", "default", "-n", name, check=False).code == 0)
    yield replace(ns, namespace=name)
    ns.kubectl("delete", "namespace", name, "--wait=false")


def reaches(source: Lab, app: str, target: str) -> bool:
    """Whether a request is answered. What a policy forbids is dropped, so that it times out."""
    done = source.exec(f"deploy/{app}", "curl", "-sS", "-m", "1", f"http://{target}/hostname", check=False)
    assert done.code in (0, 28), done
    return done.code == 0


def settles(source: Lab, app: str, target: str, *, allowed: bool) -> None:
    """Rules follow a policy at once, not in the same instant."""
    eventually(lambda: reaches(source, app, target) == allowed)


def start(ns: Lab, *apps: str) -> None:
    for app in apps:
        ns.apply(deployment(app))
    ready(ns, *apps)


def test_who_may_reach_a_pod(ns: Lab, other: Lab, mode: str) -> None:
    ns.apply(deployment("web", replicas=2))
    ns.apply(service("web", {"port": 80}))
    start(ns, "friend", "stranger")
    start(other, "friend")
    ready(ns, "web")
    web = f"web.{ns.namespace}.svc.cluster.local"
    assert set(pods(ns, "web").values()) == {"node-1", "node-2"}
    for source, app in ((ns, "friend"), (ns, "stranger"), (other, "friend")):
        settles(source, app, web, allowed=True)

    ns.apply(policy("web", "web", ingress=[]))
    for source, app in ((ns, "friend"), (ns, "stranger"), (other, "friend")):
        settles(source, app, web, allowed=False)

    friends = {"podSelector": {"matchLabels": {"app": "friend"}}}
    ns.apply(policy("web", "web", ingress=[{"from": [friends], "ports": [{"port": 80}]}]))
    settles(ns, "friend", web, allowed=True)
    assert all(reaches(ns, "friend", web) for _ in range(6)), "both pods, whichever node they are on"
    assert not reaches(ns, "stranger", web)
    assert not reaches(other, "friend", web), "a podSelector alone means the policy's own namespace"

    others = {"namespaceSelector": {"matchLabels": {"team": "other"}}, **friends}
    ns.apply(policy("more", "web", ingress=[{"from": [others]}]))
    settles(other, "friend", web, allowed=True)
    assert reaches(ns, "friend", web) and not reaches(ns, "stranger", web)

    ns.kubectl("label", "pod", "-l", "app=stranger", "app=friend", "--overwrite", "-n", ns.namespace)
    ns.kubectl("delete", "netpol", "--all", "-n", ns.namespace)
    settles(ns, "friend", web, allowed=True)


def test_where_a_pod_may_go(ns: Lab, mode: str) -> None:
    start(ns, "web", "elsewhere", "client")
    for app in ("web", "elsewhere"):
        ns.apply(service(app, {"port": 80}))
        settles(ns, "client", app, allowed=True)
    to_web = {"to": [{"podSelector": {"matchLabels": {"app": "web"}}}]}
    ns.apply(policy("client", "client", egress=[TO_DNS, to_web]))
    settles(ns, "client", "elsewhere", allowed=False)
    assert reaches(ns, "client", "web"), "judged after the Service's address became the pod's"
    ns.kubectl("delete", "netpol", "client", "-n", ns.namespace)
    settles(ns, "client", "elsewhere", allowed=True)


def test_named_ports_and_ranges(ns: Lab) -> None:
    ports = [{"name": "http", "containerPort": 80}]
    ns.apply(deployment("web", container={"ports": ports}))
    ns.apply(service("web", {"port": 80}))
    start(ns, "client")
    ready(ns, "web")
    ns.apply(policy("web", "web", ingress=[{"ports": [{"port": "http"}]}]))
    ns.apply(policy("client", "client", ingress=[]))
    settles(ns, "web", "web", allowed=True)
    address = ns.json("get", "pods", "-n", ns.namespace, "-l", "app=client")["items"][0]["status"]["podIP"]
    settles(ns, "web", address, allowed=False)
    settles(ns, "client", "web", allowed=True)
    ns.apply(policy("web", "web", ingress=[{"ports": [{"port": "https"}]}]))
    settles(ns, "client", "web", allowed=False)
    ns.apply(policy("web", "web", ingress=[{"ports": [{"port": 70, "endPort": 90}]}]))
    settles(ns, "client", "web", allowed=True)


def test_blocks_of_addresses_mean_hosts_outside_too(ns: Lab, outside: str) -> None:
    start(ns, "web")
    ns.apply(service("web", {"port": 80}, type="NodePort", externalTrafficPolicy="Local"))
    (node,) = pods(ns, "web").values()
    port = ns.json("get", "svc", "web", "-n", ns.namespace)["spec"]["ports"][0]["nodePort"]
    address = ns.json("get", "node", node)["status"]["addresses"][0]["address"]
    lan = f"{address.rpartition('.')[0]}.0/24"

    def answered() -> bool:
        url = f"http://{address}:{port}/hostname"
        return ns.docker("exec", outside, "curl", "-sS", "-m", "1", url, check=False).code == 0

    eventually(answered)
    ns.apply(policy("web", "web", ingress=[{"from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]))
    eventually(lambda: not answered())
    ns.apply(policy("web", "web", ingress=[{"from": [{"ipBlock": {"cidr": lan}}]}]))
    eventually(answered)
    excepted = {"cidr": "0.0.0.0/0", "except": [lan]}
    ns.apply(policy("web", "web", ingress=[{"from": [{"ipBlock": excepted}]}]))
    eventually(lambda: not answered())


def test_a_dropped_packet_names_the_policy_and_flushed_rules_come_back(ns: Lab) -> None:
    start(ns, "web", "client")
    ns.apply(service("web", {"port": 80}))
    settles(ns, "client", "web", allowed=True)
    ns.apply(policy("closed", "web", ingress=[]))
    settles(ns, "client", "web", allowed=False)
    traced = ns.labctl("trace", "-n", ns.namespace, "deploy/client", "web:80", check=False).out
    assert f"no rule of NetworkPolicy {ns.namespace}/closed allows it" in traced
    assert "dropped: rule of ingress-" in traced
    (node,) = pods(ns, "web").values()
    table = ("table", "ip", "labctl-policy")
    ns.docker("exec", ns.node(node), "nft", "delete", *table)
    eventually(lambda: "closed" in ns.docker("exec", ns.node(node), "nft", "list", *table, check=False).out)
    assert not reaches(ns, "client", "web")
