"""hostPorts: whose packets come to the pod, and with which source address."""

from __future__ import annotations

import pytest

from labctl.proxy import hostports
from labctl.proxy.pods import HostPort, Pod
from tests.proxy.kernel import Fate, IptablesKernel, Packet
from tests.proxy.objects import ADDRESSES, NODE_IP, OUTSIDE, POD_HERE

OWN = "10.244.1.0/24"
WEB = Pod("shop", "web", "10.244.1.7", "node-1", {}, (), (HostPort("tcp", 8080, 80), HostPort("udp", 53, 5353)))
BOUND = Pod("shop", "bound", "10.244.1.8", "node-1", {}, (), (HostPort("tcp", 9090, 90, "127.0.0.1"),))
ELSEWHERE = Pod("shop", "far", "10.244.2.9", "node-2", {}, (), (HostPort("tcp", 8080, 80),))


def node(*pods: Pod, kernel: IptablesKernel | None = None) -> IptablesKernel:
    kernel = kernel or IptablesKernel(ADDRESSES)
    kernel.restore(hostports.restore(hostports.chains(pods, node="node-1", pod_cidr=OWN), kernel.save()))
    return kernel


def fate(kernel: IptablesKernel, source: str, port: int, protocol: str = "tcp", to: str = NODE_IP) -> Fate:
    (found,) = kernel.fates(Packet(source, to, port, protocol))
    return found


def test_a_client_outside_reaches_the_pod_with_its_own_address() -> None:
    kernel = node(WEB, ELSEWHERE)
    assert fate(kernel, OUTSIDE, 8080) == Fate("10.244.1.7:80")
    assert fate(kernel, OUTSIDE, 53, "udp") == Fate("10.244.1.7:5353")


@pytest.mark.parametrize(
    ("source", "why"),
    [(POD_HERE, "its answer would not pass the node"), (WEB.address, "hairpin"), ("127.0.0.1", "loopback")],
)
def test_who_could_not_be_answered_directly_is_masqueraded(source: str, why: str) -> None:
    assert fate(node(WEB), source, 8080) == Fate("10.244.1.7:80", masqueraded=True), why


def test_other_ports_protocols_and_nodes_are_left_alone() -> None:
    kernel = node(WEB)
    assert fate(kernel, OUTSIDE, 8081) == Fate(f"{NODE_IP}:8081")
    assert fate(kernel, OUTSIDE, 8080, "udp") == Fate(f"{NODE_IP}:8080")
    assert fate(kernel, OUTSIDE, 8080, to="192.168.123.12") == Fate("192.168.123.12:8080")


def test_a_host_ip_binds_to_one_address() -> None:
    kernel = node(BOUND)
    assert fate(kernel, "127.0.0.1", 9090, to="127.0.0.1") == Fate("10.244.1.8:90", masqueraded=True)
    assert fate(kernel, OUTSIDE, 9090) == Fate(f"{NODE_IP}:9090")


def test_the_chains_of_a_pod_that_is_gone_go() -> None:
    kernel = node(WEB, BOUND)
    node(BOUND, kernel=kernel)
    assert hostports.chain_of(WEB) not in kernel.tables["nat"]
    assert fate(kernel, OUTSIDE, 8080) == Fate(f"{NODE_IP}:8080")
    assert len(hostports.chain_of(WEB)) == 28


def test_with_the_last_host_port_everything_goes() -> None:
    untouched = IptablesKernel(ADDRESSES)
    kernel = node(WEB)
    assert kernel.tables["nat"] != untouched.tables["nat"]
    assert node(ELSEWHERE, kernel=kernel).tables["nat"] == untouched.tables["nat"]
    assert hostports.restore({}, kernel.save()) == ""


def test_writing_again_changes_nothing_and_adds_no_second_jump() -> None:
    once = node(WEB, BOUND).tables["nat"]
    assert node(WEB, BOUND, kernel=node(WEB, BOUND)).tables["nat"] == once
