"""Which UDP flows are stale."""

from __future__ import annotations

import pytest

from labctl.proxy.conntrack import Flow, stale_flows
from labctl.proxy.model import ServicePort
from tests.proxy.objects import endpoint, endpoint_slice, ports_of, service

PORTS = [{"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30053}]
SLICE_PORTS = [{"name": "dns", "port": 5353, "protocol": "UDP"}]


def ports(*addresses: str) -> list[ServicePort]:
    made = service(ports=PORTS, type="NodePort", externalIPs=["203.0.113.77"])
    return ports_of(made, endpoint_slice(*map(endpoint, addresses), ports=SLICE_PORTS))


def line(destination: str, port: int, answering: str, answering_port: int, state: str = "") -> str:
    there = f"src=10.244.1.20 dst={destination} sport=4000 dport={port}"
    back = f"src={answering} dst=10.244.1.20 sport={answering_port} dport=4000"
    return f"udp      17 29 {there} {state}{back} mark=0 use=1"


@pytest.mark.parametrize(
    ("destination", "port"), [("10.96.1.1", 53), ("203.0.113.77", 53), ("192.168.123.11", 30053)],
    ids=["ClusterIP", "external IP", "NodePort"],
)  # fmt: skip
def test_flows_to_endpoints_that_are_gone(destination: str, port: int) -> None:
    listed = "\n".join(line(destination, port, f"10.244.1.{n}", 5353) for n in (7, 8))
    assert stale_flows(listed, ports("10.244.1.7")) == [Flow((destination, port), ("10.244.1.8", 5353))]


def test_a_flow_that_began_before_there_was_an_endpoint() -> None:
    listed = line("10.96.1.1", 53, "10.96.1.1", 53, "[UNREPLIED] ")
    assert stale_flows(listed, ports("10.244.1.7")) == [Flow(("10.96.1.1", 53), ("10.96.1.1", 53))]
    assert stale_flows(listed, ports()) == [], "as long as there is none, it may stay"


def test_flows_of_nobody_here_stay() -> None:
    listed = "\n".join(
        [line("192.168.123.1", 53, "192.168.123.1", 53), line("10.96.1.1", 54, "10.1.1.1", 1), "", "x y"]
    )
    assert stale_flows(listed, ports("10.244.1.7")) == []
