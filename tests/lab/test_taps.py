"""What the taps are told to look for, in each address family."""

from __future__ import annotations

from labctl.lab.taps import captured, traced


def test_packets_of_both_families_are_traced_by_rules_of_their_own() -> None:
    assert traced(["10.244.1.3"]) == "ip saddr { 10.244.1.3 } meta nftrace set 1"
    assert traced(["10.244.1.3", "fd00::3", "10.244.1.3", "192.168.123.11"]) == (
        "ip saddr { 10.244.1.3, 192.168.123.11 } meta nftrace set 1; ip6 saddr { fd00::3 } meta nftrace set 1"
    )


def test_flags_of_tcp_are_looked_for_where_each_family_has_them() -> None:
    four, six = captured(["10.244.1.3"], ["192.168.123.11"]), captured(["fd00::3"], ["fd00::b"])
    assert "host 10.244.1.3" in four and "host 192.168.123.11" in four and "ip6" not in four
    assert four.count("tcp[tcpflags]") == 2
    assert "host fd00::3" in six and "host fd00::b" in six and "tcp[" not in six
    assert "ip6[53] & 7" in six and "ip6[53] & 6" in six
    assert captured(["10.244.1.3", "fd00::3"], ["192.168.123.11"]).startswith("((host 10.244.1.3")
