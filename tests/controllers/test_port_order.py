"""Orders that a real cluster showed (tests/golden/kubectl-1.36/02-get.txt), and hashes that Go computed."""

from __future__ import annotations

from labctl.controllers import port_order

MULTI = [
    {"name": "http", "port": 80, "protocol": "TCP"},
    {"name": "alt", "port": 80, "protocol": "TCP"},
    {"name": "udp", "port": 8081, "protocol": "UDP"},
]


def test_hashes_are_those_of_go() -> None:
    assert f"{port_order.of_endpoints(MULTI[0]):032x}" == "754b003f50f133a539c60d18cfb30a55"
    assert f"{port_order.of_endpoints({'port': 80}):032x}" == "19cbad1834a78abad87a093580858485"
    with_protocol = {**MULTI[2], "appProtocol": "kubernetes.io/h2c"}
    assert f"{port_order.of_endpoints(with_protocol):032x}" == "73c2a6234e53f83b8dfe4a8fd93acefa"


def test_endpoints_and_slices_order_the_same_ports_differently() -> None:
    assert [p["name"] for p in sorted(MULTI, key=port_order.of_endpoints)] == ["udp", "http", "alt"]
    assert [p["name"] for p in sorted(MULTI, key=port_order.of_slice)] == ["alt", "udp", "http"]
