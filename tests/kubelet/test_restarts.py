from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.kubelet.pod_addresses import PodAddresses, RangeExhausted
from labctl.kubelet.restarts import Backoff, duration_text, should_restart
from tests.kubelet.conftest import pod

RULE = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
UNLESS = {"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [42]}}


@pytest.mark.parametrize(
    ("policy", "container", "code", "is_init", "expected"),
    [
        ("Always", {}, 0, False, True),
        ("OnFailure", {}, 0, False, False),
        ("OnFailure", {}, 1, False, True),
        ("Never", {}, 1, False, False),
        ("Always", {}, 0, True, False),
        ("Always", {}, 1, True, True),
        ("Never", {}, 1, True, False),
        ("Never", {"restartPolicy": "Always"}, 0, True, True),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": [RULE]}, 42, False, True),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": [RULE]}, 1, False, False),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": [UNLESS]}, 42, False, False),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": [UNLESS]}, 1, True, True),
    ],
)
def test_who_is_started_again(policy: str, container: dict[str, Any], code: int, is_init: bool, expected: bool) -> None:
    assert should_restart(pod(restartPolicy=policy), container, code, is_init=is_init) is expected


def test_delays_double_up_to_five_minutes_and_are_forgotten_after_ten() -> None:
    backoff, delays, now = Backoff(), [], 0.0
    assert backoff.wait_s("k", since=0, now=0) == 0
    for _ in range(7):
        backoff.grow("k", now=now)
        delays.append(backoff.delay_s("k"))
        now += 100
    assert delays == [10, 20, 40, 80, 160, 300, 300]
    backoff.grow("k", now=now + 601)
    assert backoff.delay_s("k") == 10
    assert backoff.wait_s("k", since=now, now=now + 4) == 6


@pytest.mark.parametrize(("seconds", "text"), [(10, "10s"), (80, "1m20s"), (300, "5m0s")])
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.lists(st.booleans(), max_size=60))
def test_no_address_is_given_twice_and_a_released_one_is_not_the_next(steps: list[bool]) -> None:
    pool = PodAddresses("10.244.1.0/27", reserved=("10.244.1.1",))
    held: list[str] = []
    for is_allocation in steps:
        if is_allocation and len(held) < 29:
            address = pool.allocate()
            assert address not in held and address != "10.244.1.1"
            assert ipaddress.ip_address(address) in ipaddress.ip_network("10.244.1.0/27")
            held.append(address)
        elif held:
            last = held.pop()
            pool.release(last)
            if len(held) < 27:
                fresh = pool.allocate()
                assert fresh != last
                held.append(fresh)


def test_a_full_range_says_so() -> None:
    pool = PodAddresses("10.0.0.0/30", reserved=("10.0.0.1",))
    assert pool.allocate() == "10.0.0.2"
    with pytest.raises(RangeExhausted, match="no free pod address"):
        pool.allocate()


def test_addresses_in_use_are_passed_over() -> None:
    pool = PodAddresses("10.0.0.0/29")
    pool.take("10.0.0.4")
    assert pool.allocate() == "10.0.0.5"


def test_ipv6_ranges() -> None:
    assert PodAddresses("fd00:1::/64", reserved=("fd00:1::1",)).allocate() == "fd00:1::2"
