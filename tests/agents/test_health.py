"""What the proxy answers to those who ask how it is."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

import pytest

from labctl.agents.health import HealthServers
from labctl.config import PROXY_HEALTH_PORT, PROXY_METRICS_PORT
from labctl.proxy.model import Endpoint, ServicePort

T0, T1 = "2027-01-15T08:00:00.000000Z", "2027-01-15T08:01:00.000000Z"


def test_it_is_up_to_date_as_long_as_all_is_well() -> None:
    errors, times = [""], [1_800_000_000.0]
    servers = HealthServers(lambda: errors[-1], lambda: "nftables", clock=lambda: times[-1])
    code, body = servers.answer(PROXY_HEALTH_PORT)
    assert code is HTTPStatus.OK
    assert body == {"lastUpdated": T0, "currentTime": T0, "nodeEligible": True, "healthy": True}
    errors.append("iptables-restore: no")
    times.append(1_800_000_060.0)
    code, body = servers.answer(PROXY_HEALTH_PORT)
    assert code is HTTPStatus.SERVICE_UNAVAILABLE
    told = {"healthy": False, "error": "iptables-restore: no"}
    assert body == {"lastUpdated": T0, "currentTime": T1, "nodeEligible": True, **told}
    assert servers.answer(PROXY_METRICS_PORT) == (HTTPStatus.OK, "nftables")


def endpoint(ip: str, *, ready: bool = True, local: bool = True) -> Endpoint:
    return Endpoint(ip, 80, is_local=local, ready=ready, serving=True, terminating=not ready)


def service_port(port: int, *endpoints: Endpoint) -> ServicePort:
    base = ServicePort("default", "web", f"p{port}", "tcp", "10.96.0.7", port, external_local=True)
    return replace(base, health_check_port=30000, endpoints=endpoints)


@pytest.mark.parametrize(
    ("endpoints", "count"),
    [
        ([], 0),
        ([endpoint("10.244.1.2"), endpoint("10.244.1.3"), endpoint("10.244.2.2", local=False)], 2),
        ([endpoint("10.244.1.2"), endpoint("fd00::2")], 1),
        ([endpoint("10.244.1.2", ready=False)], 0),
    ],
    ids=["none", "of this node", "one pod, both families", "ending"],
)
def test_balancers_are_told_how_many_pods_of_this_node_are_ready(endpoints: list[Endpoint], count: int) -> None:
    servers = HealthServers(lambda: "", lambda: "iptables")
    servers.update([service_port(80, *endpoints), service_port(443, *endpoints)])
    code, body = servers.answer(30000)
    assert code is (HTTPStatus.OK if count else HTTPStatus.SERVICE_UNAVAILABLE)
    assert isinstance(body, dict)
    assert body["localEndpoints"] == count
