"""NetworkPolicies: which packets pass a node. Pods web, api and client run in namespace shop; stranger in other."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.api.objects import Object
from labctl.proxy.family import IPV4
from labctl.proxy.pods import Pod
from labctl.proxy.policies import Cluster, removal, table
from tests.proxy.kernel import IptablesKernel, Packet
from tests.proxy.nft_kernel import NftKernel

WEB = Pod("shop", "web", "10.244.1.7", "node-1", {"app": "web"}, (("http", "tcp", 8080), ("dns", "udp", 53)))
API = Pod("shop", "api", "10.244.1.8", "node-1", {"app": "api"}, (("http", "tcp", 9090),))
CLIENT = Pod("shop", "client", "10.244.2.9", "node-2", {"app": "client"})
STRANGER = Pod("other", "stranger", "10.244.2.10", "node-2", {"app": "client"})
CLUSTER = Cluster([WEB, API, CLIENT, STRANGER], {"shop": {"team": "a"}, "other": {"team": "b"}})
OUTSIDE = "192.168.123.234"


class PolicyKernel(NftKernel):
    name = "labctl-policy"

    def passes(self, source: str, destination: str, port: int = 8080, protocol: str = "tcp") -> bool:
        if self.table is None:
            return True
        ((_, _, verdict),) = self._chain("forward", Packet(source, destination, port, protocol))
        return verdict != "DROP"


def policy(selector: Object | None = None, *, name: str = "p", namespace: str = "shop", **spec: Any) -> Object:
    types = spec.pop("policyTypes", [d for d in ("Ingress", "Egress") if d.lower() in spec] or ["Ingress"])
    body = {"podSelector": {"matchLabels": selector} if selector else {}, "policyTypes": types, **spec}
    return {"metadata": {"namespace": namespace, "name": name}, "spec": body}


def on(node: str, *policies: Object) -> PolicyKernel:
    kernel = PolicyKernel(frozenset(), IptablesKernel(frozenset()))
    kernel.apply(table(policies, CLUSTER, node=node))
    return kernel


def reaching(kernel: PolicyKernel, target: Pod, port: int = 8080, protocol: str = "tcp") -> set[str]:
    sources = {p.name: p.address for p in CLUSTER.pods if p is not target} | {"outside": OUTSIDE}
    return {name for name, address in sources.items() if kernel.passes(address, target.address, port, protocol)}


NOT_API = {"key": "app", "operator": "NotIn", "values": ["api"]}
OTHER_TEAM = {"namespaceSelector": {"matchLabels": {"team": "b"}}}
EVERYBODY = {"api", "client", "stranger", "outside"}


def test_without_policies_there_is_no_table() -> None:
    assert table([], CLUSTER, node="node-1") == removal(IPV4)
    assert table([policy({"app": "client"})], CLUSTER, node="node-1") == removal(IPV4), "no pod of this node"


def test_a_policy_without_rules_isolates_its_pods_only() -> None:
    kernel = on("node-1", policy({"app": "web"}))
    assert reaching(kernel, WEB) == set()
    assert kernel.passes(CLIENT.address, API.address)
    assert kernel.passes(WEB.address, API.address), "what it sends is its own affair"
    assert kernel.passes(WEB.address, WEB.address), "a pod reaches itself"


def test_an_empty_rule_allows_everything() -> None:
    assert reaching(on("node-1", policy({"app": "web"}, ingress=[{}])), WEB) == EVERYBODY


@pytest.mark.parametrize(
    ("peers", "wanted"),
    [
        ([{"podSelector": {"matchLabels": {"app": "client"}}}], {"client"}),
        ([{"podSelector": {}}], {"api", "client"}),
        ([{"namespaceSelector": {"matchLabels": {"team": "b"}}}], {"stranger"}),
        ([{"namespaceSelector": {}}], {"api", "client", "stranger"}),
        (
            [{"namespaceSelector": {}, "podSelector": {"matchExpressions": [NOT_API]}}],
            {"client", "stranger"},
        ),
        ([{"podSelector": {"matchLabels": {"app": "api"}}}, OTHER_TEAM], {"api", "stranger"}),
        ([{"podSelector": {"matchLabels": {"app": "nobody"}}}], set()),
        ([{"ipBlock": {"cidr": "192.168.123.0/24"}}], {"outside"}),
        ([{"ipBlock": {"cidr": "10.244.0.0/16", "except": ["10.244.2.9/32", "10.244.1.0/24"]}}], {"stranger"}),
        ([{"ipBlock": {"cidr": "0.0.0.0/0"}}], EVERYBODY),
    ],
    ids=["pods", "own namespace", "namespaces", "all namespaces", "both", "either", "nobody", "block", "except", "all"],
)  # fmt: skip
def test_who_may_come_in(peers: list[Object], wanted: set[str]) -> None:
    assert reaching(on("node-1", policy({"app": "web"}, ingress=[{"from": peers}])), WEB) == wanted


@pytest.mark.parametrize(
    ("port", "allowed", "denied"),
    [
        ({"port": 8080}, [(8080, "tcp")], [(8081, "tcp"), (8080, "udp")]),
        ({"port": 8080, "endPort": 8090}, [(8080, "tcp"), (8090, "tcp")], [(8079, "tcp"), (8091, "tcp")]),
        ({"protocol": "UDP"}, [(1, "udp"), (53, "udp")], [(53, "tcp")]),
        ({"port": "http"}, [(8080, "tcp")], [(9090, "tcp")]),
        ({"port": "dns", "protocol": "UDP"}, [(53, "udp")], [(53, "tcp")]),
        ({"port": "nobody"}, [], [(8080, "tcp")]),
    ],
    ids=["number", "range", "protocol", "name", "udp name", "no such name"],
)
def test_to_which_ports(port: Object, allowed: list[tuple[int, str]], denied: list[tuple[int, str]]) -> None:
    kernel = on("node-1", policy({"app": "web"}, ingress=[{"ports": [port]}]))
    for number, protocol in allowed:
        assert reaching(kernel, WEB, number, protocol) == EVERYBODY
    for number, protocol in denied:
        assert reaching(kernel, WEB, number, protocol) == set()


def test_a_named_port_is_each_receiving_pods_own() -> None:
    kernel = on("node-1", policy(ingress=[{"ports": [{"port": "http"}]}]))
    assert kernel.passes(CLIENT.address, WEB.address, 8080) and not kernel.passes(CLIENT.address, WEB.address, 9090)
    assert kernel.passes(CLIENT.address, API.address, 9090) and not kernel.passes(CLIENT.address, API.address, 8080)


def test_peers_and_ports_of_a_rule_must_both_fit_but_rules_and_policies_add_up() -> None:
    first = {"from": [{"podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"port": 8080}]}
    second = {"from": [{"ipBlock": {"cidr": "192.168.123.0/24"}}], "ports": [{"port": 80}]}
    kernel = on("node-1", policy({"app": "web"}, ingress=[first, second]))
    assert reaching(kernel, WEB, 8080) == {"client"} and reaching(kernel, WEB, 80) == {"outside"}
    more = policy(name="q", ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "api"}}}]}])
    both = on("node-1", policy({"app": "web"}, ingress=[first, second]), more)
    assert reaching(both, WEB, 8080) == {"client", "api"}


def test_egress_is_judged_where_the_sender_is() -> None:
    rule = {"to": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": "http"}]}
    limited = policy({"app": "client"}, egress=[rule])
    kernel = on("node-2", limited)
    assert kernel.passes(CLIENT.address, WEB.address, 8080)
    assert not kernel.passes(CLIENT.address, WEB.address, 81)
    assert not kernel.passes(CLIENT.address, API.address, 9090) and not kernel.passes(CLIENT.address, OUTSIDE, 80)
    assert kernel.passes(STRANGER.address, OUTSIDE, 80), "it is of another namespace"
    assert table([limited], CLUSTER, node="node-1") == removal(IPV4)


def test_egress_to_blocks_and_to_named_ports_anywhere() -> None:
    block = {"to": [{"ipBlock": {"cidr": "192.168.0.0/16", "except": ["192.168.5.0/24"]}}]}
    kernel = on("node-2", policy({"app": "client"}, egress=[block, {"ports": [{"port": "http"}]}]))
    assert kernel.passes(CLIENT.address, OUTSIDE) and not kernel.passes(CLIENT.address, "192.168.5.1")
    assert kernel.passes(CLIENT.address, API.address, 9090) and not kernel.passes(CLIENT.address, API.address, 80)


def test_both_ends_on_one_node_must_agree() -> None:
    let_out = policy({"app": "api"}, name="out", egress=[{}])
    kernel = on("node-1", let_out, policy({"app": "web"}, name="in"))
    assert not kernel.passes(API.address, WEB.address)
    kernel = on(
        "node-1", policy({"app": "api"}, name="out", policyTypes=["Egress"]), policy({"app": "web"}, ingress=[{}])
    )
    assert not kernel.passes(API.address, WEB.address) and kernel.passes(CLIENT.address, WEB.address)


def test_long_lists_of_policies_make_names_that_nft_takes() -> None:
    many = [policy(name=f"policy-{n:02}-{'x' * 20}") for n in range(30)]
    text = table(many, CLUSTER, node="node-1")
    names = {line.split()[4] for line in text.splitlines() if line.startswith("add chain")}
    assert max(map(len, names)) <= 200 and len(names) == 2
