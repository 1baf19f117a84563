"""Allocators never give one thing twice, and prefer the upper band."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.addresses.allocators import AllocationError, ClusterIPs, NodePorts


@given(st.integers(0, 2**32), st.sampled_from(["10.96.0.0/24", "10.96.0.0/28", "fd00:10:96::/120"]))
def test_a_range_is_handed_out_completely_and_once(seed: int, cidr: str) -> None:
    allocator = ClusterIPs(cidr, rng=random.Random(seed))
    given_out = []
    with pytest.raises(AllocationError, match="range is full"):
        while True:
            given_out.append(allocator.next())
    network = ip_network(cidr)
    expected = {str(a) for a in network} - {str(network.network_address)}
    if network.version == 4:
        expected -= {str(network.broadcast_address)}
    assert len(given_out) == len(set(given_out))
    assert set(given_out) == expected
    allocator.release(given_out[0])
    assert allocator.next() == given_out[0]


def test_automatic_addresses_leave_the_lower_band_alone() -> None:
    allocator = ClusterIPs("10.96.0.0/12", rng=random.Random(1))
    assert all(int(ip_address(allocator.next())) - int(ip_address("10.96.0.0")) > 256 for _ in range(200))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("192.168.1.1", "the provided network does not match the current range"),
        ("fd00::1", "the provided network does not match the current range"),
        ("10.96.0.10", "provided IP is already allocated"),
    ],
)
def test_addresses_that_cannot_be_had(address: str, words: str) -> None:
    allocator = ClusterIPs("10.96.0.0/12")
    allocator.take("10.96.0.10")
    with pytest.raises(AllocationError, match=words):
        allocator.take(address)


def test_node_ports() -> None:
    ports = NodePorts(rng=random.Random(1))
    ports.take(30080)
    with pytest.raises(AllocationError, match="provided port is already allocated"):
        ports.take(30080)
    with pytest.raises(AllocationError, match="The range of valid ports is 30000-32767"):
        ports.take(80)
    assert all(30086 <= ports.next() <= 32767 for _ in range(500))
    ports.release(30080)
    ports.take(30080)
    small = NodePorts(30000, 30001)
    assert {small.next(), small.next()} == {30000, 30001}
    with pytest.raises(AllocationError):
        small.next()
