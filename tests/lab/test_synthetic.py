"""Synthetic Services: what they are, what is drawn of them, and that they go again."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.api import kinds
from labctl.api.validation import validate_create
from labctl.lab import plan
from labctl.lab.plan import Ranges
from labctl.lab.synthetic import curve, objects
from labctl.lab.synthetic.measure import Figures

RANGES = Ranges("10.244.0.0/16", "192.168.123.0/24", "10.96.0.0/12")


@given(st.integers(0, 20_000))
def test_endpoints_are_addresses_of_the_lab_that_no_node_has(number: int) -> None:
    first, second = (ip_address(a) for a in objects.addresses_of(number, RANGES.pods))
    assert first != second
    for address in (first, second):
        assert address in ip_network(RANGES.pods)
        assert not any(address in ip_network(n.pod_cidr) for n in plan.node_configs(plan.MAX_NODES, RANGES))


def test_the_objects_are_valid() -> None:
    slice_ = objects.endpoint_slice("s1", ["10.244.200.1"], port=80)
    assert validate_create(kinds.ENDPOINT_SLICE, slice_) == []
    assert slice_["metadata"]["labels"]["kubernetes.io/service-name"] == "s1"
    assert "selector" not in objects.service("s1")["spec"]


@pytest.mark.parametrize(("largest", "sizes"), [(10_000, [100, 1000, 10_000]), (500, [5, 50, 500]), (9, [9])])
def test_sizes_grow_tenfold(largest: int, sizes: list[int]) -> None:
    assert objects.sizes(largest) == sizes


MEASURED = [
    Figures(100, "iptables", 0.2, 0.03, 60e-6),
    Figures(100, "nftables", 0.25, 0.03, 65e-6),
    Figures(1000, "iptables", 1.25, 0.05, 200e-6),
    Figures(1000, "nftables", 0.9, 0.03, 66e-6),
]


def test_a_row_has_units() -> None:
    assert curve.row(MEASURED[2]).split() == ["1000", "iptables", "1.2", "s", "50", "ms", "200", "µs"]
    assert len(curve.row(MEASURED[2])) == len(curve.HEADER)


def test_both_curves_are_drawn_in_both_pictures() -> None:
    drawn = curve.pictures(MEASURED, colour=False)
    assert drawn.count("iptables") == drawn.count("nftables") == 2
    assert "one change, milliseconds" in drawn and "new connection, microseconds" in drawn
    assert "\x1b" not in drawn and "\x1b" in curve.pictures(MEASURED, colour=True)


def test_one_size_makes_no_curve() -> None:
    assert curve.pictures(MEASURED[:2], colour=False) == ""
