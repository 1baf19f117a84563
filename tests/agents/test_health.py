"""What the proxy answers to those who ask how it is."""

from __future__ import annotations

from http import HTTPStatus

from labctl.agents.health import HealthServers
from labctl.config import PROXY_HEALTH_PORT, PROXY_METRICS_PORT

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
