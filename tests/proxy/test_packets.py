"""Where packets end: source x target x traffic policies x endpoints, on both backends.

Expectations are kube-proxy's documented behaviour (its packet-flow tests say the same): which endpoints are reached, from
the client's address or from the node's, or how the packet dies. L is the endpoint on this node, R the one on another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction

import pytest

from labctl.api.objects import Object
from labctl.proxy import node_setup
from labctl.proxy.iptables.backend import IptablesBackend
from labctl.proxy.nftables.backend import NftablesBackend
from tests.proxy.kernel import Fate, IptablesKernel, Packet, ends
from tests.proxy.nft_kernel import NftKernel
from tests.proxy.objects import (
    ADDRESSES,
    CLUSTER_IP,
    EXTERNAL_IP,
    LOAD_BALANCER_IP,
    LOCAL,
    NODE_IP,
    NODE_PORT,
    OUTSIDE,
    POD_CIDR,
    POD_ELSEWHERE,
    POD_HERE,
    READY,
    REMOTE,
    TERMINATING,
    VIEW,
    endpoint,
    endpoint_slice,
    ports_of,
    reachable_everywhere,
    service,
)

Kernel = IptablesKernel | NftKernel
Filled = Callable[..., Kernel]

SOURCES = {"pod here": POD_HERE, "pod elsewhere": POD_ELSEWHERE, "node": NODE_IP, "outside": OUTSIDE}
EXTERNAL = {
    "NodePort": (NODE_IP, NODE_PORT),
    "load balancer": (LOAD_BALANCER_IP, 80),
    "external IP": (EXTERNAL_IP, 80),
}
L, R = endpoint("10.244.1.7"), endpoint("10.244.2.8")
STATES = {
    "ready": [L, R],
    "all terminating": [endpoint("10.244.1.7", TERMINATING), endpoint("10.244.2.8", TERMINATING)],
    "local terminating": [endpoint("10.244.1.7", TERMINATING), R],
    "remote only": [R],
    "local only": [L],
    "none": [],
}
POLICIES: dict[str, dict[str, str]] = {
    "Cluster": {},
    "external Local": {"externalTrafficPolicy": "Local"},
    "internal Local": {"internalTrafficPolicy": "Local"},
    "both Local": {"externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local"},
}
# Policies and endpoints -> for the ClusterIP, then for external targets: what pods | the node | clients outside reach;
# m is masqueraded. Pods of other nodes are treated as pods.
EXPECTED = """
Cluster,        ready:              LR | LRm | LRm ; LRm | LRm | LRm
Cluster,        all terminating:    LR | LRm | LRm ; LRm | LRm | LRm
Cluster,        local terminating:  R  | Rm  | Rm  ; Rm  | Rm  | Rm
Cluster,        remote only:        R  | Rm  | Rm  ; Rm  | Rm  | Rm
Cluster,        local only:         L  | Lm  | Lm  ; Lm  | Lm  | Lm
Cluster,        none:               REJECT | REJECT | REJECT ; REJECT | REJECT | REJECT
external Local, ready:              LR | LRm | LRm ; LR  | LRm | L
external Local, all terminating:    LR | LRm | LRm ; LR  | LRm | L
external Local, local terminating:  R  | Rm  | Rm  ; R   | Rm  | L
external Local, remote only:        R  | Rm  | Rm  ; R   | Rm  | DROP
external Local, local only:         L  | Lm  | Lm  ; L   | Lm  | L
external Local, none:               REJECT | REJECT | REJECT ; REJECT | REJECT | REJECT
internal Local, ready:              L  | Lm  | Lm  ; LRm | LRm | LRm
internal Local, all terminating:    L  | Lm  | Lm  ; LRm | LRm | LRm
internal Local, local terminating:  L  | Lm  | Lm  ; Rm  | Rm  | Rm
internal Local, remote only:        DROP | DROP | DROP ; Rm | Rm | Rm
internal Local, local only:         L  | Lm  | Lm  ; Lm  | Lm  | Lm
internal Local, none:               REJECT | REJECT | REJECT ; REJECT | REJECT | REJECT
both Local,     ready:              L  | Lm  | Lm  ; LR  | LRm | L
both Local,     all terminating:    L  | Lm  | Lm  ; LR  | LRm | L
both Local,     local terminating:  L  | Lm  | Lm  ; R   | Rm  | L
both Local,     remote only:        DROP | DROP | DROP ; R | Rm | DROP
both Local,     local only:         L  | Lm  | Lm  ; L   | Lm  | L
both Local,     none:               REJECT | REJECT | REJECT ; REJECT | REJECT | REJECT
"""


def node_rules() -> str:
    """What a node has before any Service."""
    return node_setup.guard_rules(POD_CIDR, "10.96.0.0/12")


def bare_kernel() -> IptablesKernel:
    """A node before its first sync."""
    kernel = IptablesKernel(ADDRESSES)
    kernel.restore(node_rules())
    for table, chain, rule in node_setup.JUMPS:
        kernel.tables[table][chain].append(" ".join(rule))
    return kernel


def iptables_kernel(*objects: Object) -> IptablesKernel:
    kernel = bare_kernel()
    asyncio.run(IptablesBackend(kernel).full(ports_of(*objects), VIEW))
    return kernel


def nftables_kernel(*objects: Object) -> NftKernel:
    kernel = NftKernel(ADDRESSES, bare_kernel())
    asyncio.run(NftablesBackend(kernel).full(ports_of(*objects), VIEW))
    return kernel


KERNELS: dict[str, Filled] = {
    "iptables": iptables_kernel,
    "nftables": nftables_kernel,
    "nftables of many": nftables_kernel,
}


@pytest.fixture(params=KERNELS)
def filled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Filled:
    """A node's packet filter with the rules for some objects."""
    if request.param == "nftables of many":
        monkeypatch.setattr("labctl.proxy.nftables.backend.MANY", 0)
    return KERNELS[request.param]


def spelled(text: str) -> str:
    """`LRm` as `ends` says it."""
    text = text.strip()
    if text in ("DROP", "REJECT"):
        return text
    found = " ".join({"L": LOCAL, "R": REMOTE}[letter] for letter in text.removesuffix("m"))
    return found + (" from the node" if text.endswith("m") else "")


def rows() -> list[tuple[str, str, str, str]]:
    """Policies, endpoints, source column and expectation pairs of the table."""
    found = []
    for line in EXPECTED.strip().splitlines():
        head, _, cells = line.partition(":")
        policies, state = (part.strip() for part in head.split(","))
        internal, _, external = cells.partition(";")
        found.append((policies, state, internal, external))
    return found


@pytest.mark.parametrize(
    ("policies", "state", "internal", "external"), rows(), ids=[f"{p}: {s}" for p, s, *_ in rows()]
)
def test_matrix(filled: Filled, policies: str, state: str, internal: str, external: str) -> None:
    kernel = filled(reachable_everywhere(**POLICIES[policies]), endpoint_slice(*STATES[state]))
    columns = {"pod here": 0, "pod elsewhere": 0, "node": 1, "outside": 2}
    for source, address in SOURCES.items():
        wanted = spelled(internal.split("|")[columns[source]])
        assert ends(kernel.fates(Packet(address, CLUSTER_IP, 80))) == wanted, f"{source} to ClusterIP"
        for target, (destination, port) in EXTERNAL.items():
            wanted = spelled(external.split("|")[columns[source]])
            if (source, state, kernel.mode) == ("node", "none", "iptables") and target != "NodePort":
                wanted = f"{destination}:{port}"  # kube-proxy looks at external addresses in FORWARD and INPUT only
            assert ends(kernel.fates(Packet(address, destination, port))) == wanted, f"{source} to {target}"


def test_the_matrix_has_every_combination() -> None:
    assert {(p, s) for p, s, _, _ in rows()} == {(p, s) for p in POLICIES for s in STATES}


def test_every_endpoint_is_equally_probable(filled: Filled) -> None:
    addresses = [f"10.244.{n % 2 + 1}.{n}" for n in range(10, 17)]
    kernel = filled(service(), endpoint_slice(*map(endpoint, addresses)))
    fates = kernel.fates(Packet(POD_HERE, CLUSTER_IP, 80))
    assert set(fates) == {Fate(f"{a}:8080") for a in addresses}
    assert all(abs(chance - Fraction(1, 7)) < Fraction(1, 1000) for chance in fates.values())


def test_a_pod_that_reaches_itself_is_masqueraded(filled: Filled) -> None:
    kernel = filled(service(), endpoint_slice(L, R))
    assert set(kernel.fates(Packet("10.244.1.7", CLUSTER_IP, 80))) == {Fate(LOCAL, masqueraded=True), Fate(REMOTE)}


def test_source_ranges_guard_the_load_balancers_address_only(filled: Filled) -> None:
    ranged = reachable_everywhere(loadBalancerSourceRanges=["198.51.100.0/25", " 192.168.123.0/24"])
    kernel = filled(ranged, endpoint_slice(L))
    at = {
        source: ends(kernel.fates(Packet(source, LOAD_BALANCER_IP, 80)))
        for source in (OUTSIDE, "198.51.100.200", POD_HERE, NODE_IP)
    }
    delivered = f"{LOCAL} from the node"
    assert at == {OUTSIDE: delivered, "198.51.100.200": "DROP", POD_HERE: "DROP", NODE_IP: delivered}
    assert ends(kernel.fates(Packet("198.51.100.200", NODE_IP, NODE_PORT))) == delivered
    assert ends(kernel.fates(Packet("198.51.100.200", EXTERNAL_IP, 80))) == delivered
    assert ends(kernel.fates(Packet(LOAD_BALANCER_IP, LOAD_BALANCER_IP, 80))) == delivered, (
        "the node holds that address"
    )


def test_a_range_of_all_addresses_is_no_guard(filled: Filled) -> None:
    kernel = filled(reachable_everywhere(loadBalancerSourceRanges=["10.0.0.0/8", "0.0.0.0/0"]), endpoint_slice(L))
    assert ends(kernel.fates(Packet(OUTSIDE, LOAD_BALANCER_IP, 80))) == f"{LOCAL} from the node"


def test_affinity_keeps_a_client_at_its_endpoint(filled: Filled) -> None:
    config = {"clientIP": {"timeoutSeconds": 600}}
    objects = service(sessionAffinity="ClientIP", sessionAffinityConfig=config), endpoint_slice(L, R)
    kernel = filled(*objects)
    assert len(kernel.fates(Packet(POD_HERE, CLUSTER_IP, 80))) == 2
    kernel = filled(*objects)
    kernel.remember(POD_HERE, REMOTE)
    assert kernel.fates(Packet(POD_HERE, CLUSTER_IP, 80)) == {Fate(REMOTE): 1}
    assert len(kernel.fates(Packet(POD_ELSEWHERE, CLUSTER_IP, 80))) == 2, "another client chooses anew"


@pytest.mark.parametrize("address", ["10.96.200.200", "10.111.255.255"])
def test_a_service_address_of_no_service_never_leaves_the_node(filled: Filled, address: str) -> None:
    kernel = filled(service(), endpoint_slice(L))
    for source in (POD_HERE, NODE_IP, OUTSIDE):
        assert ends(kernel.fates(Packet(source, address, 80))) == "DROP"


def test_other_traffic_of_pods_leaves_with_the_nodes_address(filled: Filled) -> None:
    kernel = filled(service(), endpoint_slice(L))
    assert ends(kernel.fates(Packet(POD_HERE, "192.168.123.234", 80))) == "192.168.123.234:80 from the node"
    assert ends(kernel.fates(Packet(POD_HERE, "10.244.2.20", 80))) == "10.244.2.20:80", "to another pod with its own"
    assert ends(kernel.fates(Packet(NODE_IP, "192.168.123.234", 80))) == "192.168.123.234:80"


def test_protocols_and_ports_are_told_apart(filled: Filled) -> None:
    ports = [{"name": "a", "port": 53, "protocol": "UDP"}, {"name": "b", "port": 53, "protocol": "TCP"}]
    slices = [
        endpoint_slice(L, name=f"web-{name}", ports=[{"name": name, "port": number, "protocol": protocol}])
        for name, number, protocol in (("a", 5353, "UDP"), ("b", 5354, "TCP"))
    ]
    kernel = filled(service(ports=ports), *slices)
    assert ends(kernel.fates(Packet(POD_HERE, CLUSTER_IP, 53, "udp"))) == "10.244.1.7:5353"
    assert ends(kernel.fates(Packet(POD_HERE, CLUSTER_IP, 53))) == "10.244.1.7:5354"


def test_hints_keep_traffic_on_the_node_while_it_has_an_endpoint(filled: Filled) -> None:
    hinted = [endpoint("10.244.1.7", hints={"forNodes": [{"name": "node-1"}]})]
    hinted.append(endpoint("10.244.2.8", hints={"forNodes": [{"name": "node-2"}]}))
    assert ends(filled(service(), endpoint_slice(*hinted)).fates(Packet(POD_HERE, CLUSTER_IP, 80))) == LOCAL
    elsewhere = filled(service(), endpoint_slice(hinted[1]))
    assert ends(elsewhere.fates(Packet(POD_HERE, CLUSTER_IP, 80))) == REMOTE, "no hint for this node: hints are ignored"


def test_an_endpoint_that_is_not_ready_gets_nothing(filled: Filled) -> None:
    not_ready = endpoint("10.244.2.8", {**READY, "ready": False, "serving": False})
    assert ends(filled(service(), endpoint_slice(L, not_ready)).fates(Packet(POD_HERE, CLUSTER_IP, 80))) == LOCAL
    assert ends(filled(service(), endpoint_slice(not_ready)).fates(Packet(POD_HERE, CLUSTER_IP, 80))) == "REJECT"


def test_a_node_port_on_the_loopback(filled: Filled) -> None:
    """Reaches the Service with iptables (route_localnet); with nftables nothing listens there, as in kube-proxy."""
    kernel = filled(reachable_everywhere(), endpoint_slice(R))
    wanted = {"iptables": f"{REMOTE} from the node", "nftables": f"127.0.0.1:{NODE_PORT}"}
    assert ends(kernel.fates(Packet("127.0.0.1", "127.0.0.1", NODE_PORT))) == wanted[kernel.mode]


def test_a_port_that_the_service_does_not_have(filled: Filled) -> None:
    """Hangs with iptables, is refused with nftables, as in kube-proxy."""
    kernel = filled(service(), endpoint_slice(L))
    wanted = {"iptables": "DROP", "nftables": "REJECT"}
    for source in (POD_HERE, NODE_IP):
        assert ends(kernel.fates(Packet(source, CLUSTER_IP, 81))) == wanted[kernel.mode]
