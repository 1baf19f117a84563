"""The canonical form of Endpoints' subsets."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from labctl.controllers import subsets


def address(ip: str) -> dict[str, Any]:
    return {"ip": ip, "targetRef": {"kind": "Pod", "uid": f"uid-{ip}"}}


def test_pods_with_some_of_the_ports_share_what_they_have_in_common() -> None:
    one, two = address("10.244.1.2"), address("10.244.1.10")
    http, metrics = {"name": "http", "port": 80, "protocol": "TCP"}, {"name": "m", "port": 90, "protocol": "TCP"}
    found = subsets.repacked([{"addresses": [one], "ports": [http, metrics]}, {"addresses": [two], "ports": [http]}])
    assert found == [
        {"addresses": [two, one], "ports": [http]},  # 10.244.1.10 before 10.244.1.2: by their texts
        {"addresses": [one], "ports": [metrics]},
    ]


def test_not_ready_wins_and_addresses_without_ports_stay() -> None:
    one = address("10.244.1.2")
    both = [{"addresses": [one], "ports": []}, {"notReadyAddresses": [one], "ports": []}]
    assert subsets.repacked(both) == [{"notReadyAddresses": [one]}]


def test_a_thousand_addresses_are_enough_and_ready_ones_come_first() -> None:
    many = [address(f"10.1.{i // 250}.{i % 250}") for i in range(1500)]
    cut, is_cut = subsets.truncated([{"addresses": many[:900], "notReadyAddresses": many[900:]}])
    assert is_cut
    assert [len(cut[0]["addresses"]), len(cut[0]["notReadyAddresses"])] == [900, 100]
    cut, _ = subsets.truncated([{"addresses": many[:1200]}, {"addresses": many[1200:], "notReadyAddresses": many[:1]}])
    assert [len(s["addresses"]) for s in cut] == [800, 200]
    assert "notReadyAddresses" not in cut[1]
    assert subsets.truncated([{"addresses": many[:1000]}]) == ([{"addresses": many[:1000]}], False)


PAIRS = st.lists(st.tuples(st.integers(1, 5), st.integers(80, 83), st.booleans()), min_size=1, max_size=12)


@given(pairs=PAIRS)
def test_repacking_says_the_same_once_and_for_all(pairs: list[tuple[int, int, bool]]) -> None:
    """Every address keeps its ports; packing again changes nothing; the order of the input does not matter."""
    given_subsets = [
        {"addresses" if ready else "notReadyAddresses": [address(f"10.0.0.{a}")], "ports": [{"name": "p", "port": p}]}
        for a, p, ready in pairs
    ]
    packed = subsets.repacked(given_subsets)
    assert subsets.repacked(packed) == packed == subsets.repacked(reversed(given_subsets))
    said = [
        (a["ip"], port["port"], name == "addresses")
        for s in packed
        for name in ("addresses", "notReadyAddresses")
        for a in s.get(name, ())
        for port in s["ports"]
    ]
    broken = {(a, p) for a, p, ready in pairs if not ready}
    assert sorted(said) == sorted({(f"10.0.0.{a}", p, (a, p) not in broken) for a, p, _ in pairs})
