"""The same objects make the same rules as in kube-proxy 1.36: all recorded cases, line by line.

Left out of the recordings: chains of the kubelet, canaries, and the nfacct counters, which are no part of a packet's way.
Order within KUBE-SERVICES, KUBE-NODEPORTS and the like is by chance there (a Go map), so those are compared sorted.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labctl.proxy.iptables.rules import JUMPS, rules
from labctl.proxy.model import NodeView, ServicePort
from tests.proxy.recorded import VIEW, VIEW6, cases, load, load6


def recorded(text: str) -> dict[str, dict[str, list[str]]]:
    tables: dict[str, dict[str, list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            table = tables.setdefault(line[1:], {})
        elif line.startswith(":KUBE") and "CANARY" not in line and "HINT" not in line:
            table[line[1:].split()[0]] = []
        elif line.startswith("-A"):
            _, chain, rule = line.split(" ", 2)
            if "localhost_nps_accepted" in rule:
                continue  # a counter: the rule after it says the same
            rule = re.sub(r" -m nfacct --nfacct-name  \S+", "", rule)
            table.setdefault(chain, []).append(rule)
    return tables


def arranged(chain: str, listed: list[str]) -> list[str]:
    per_service = chain.startswith(
        ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-", "KUBE-POST", "KUBE-FORW")
    )
    return listed if per_service else sorted(listed)


@pytest.mark.parametrize("path", cases("iptables"))
def test_rules_are_kube_proxys(path: Path) -> None:
    ports, text = load(path)
    check(ports, VIEW, text)


def test_rules_of_ipv6_are_kube_proxys() -> None:
    ports, text = load6("iptables")
    assert {p.full_name for p in ports} >= {"default/sticky", "default/local", "default/both:talk", "default/empty"}
    check(ports, VIEW6, text)


def check(ports: list[ServicePort], view: NodeView, text: str) -> None:
    made = rules(ports, view)
    wanted = recorded(text)
    for table in ("nat", "filter"):
        expected = {c: arranged(c, r) for c, r in wanted[table].items() if c.startswith("KUBE")}
        actual = {c: arranged(c, r) for c, r in made.table(table).items()}
        assert actual == expected
        jumps = [f"{chain} {rule}" for t, chain, rule in JUMPS if t == table]
        for listed in wanted[
            table
        ].values():  # without a kubelet, which is there before the proxy, they stand elsewhere
            listed.sort(key="-j KUBE-FIREWALL".__eq__)
        assert jumps == [f"{c} {r}" for c, listed in wanted[table].items() if not c.startswith("KUBE") for r in listed]
