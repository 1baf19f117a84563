"""The same objects make the same table as in kube-proxy 1.36's nftables mode: all recorded cases, line by line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from labctl.proxy.model import NodeView, ServicePort
from labctl.proxy.nftables import names, script
from labctl.proxy.nftables.rules import BASE_CHAINS, base, containers, fragment
from tests.proxy.recorded import VIEW, VIEW6, cases, load, load6


@dataclass
class Listed:
    """A `nft list table` text, taken apart."""

    chains: dict[str, list[str]] = field(default_factory=dict)
    hooks: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    elements: dict[str, set[str]] = field(default_factory=dict)
    timeouts: dict[str, str] = field(default_factory=dict)


def table_of(text: str) -> str:
    """The table of IPv4 where both were recorded, else the only one."""
    return text[max(text.find("table ip kube-proxy {"), 0) :].partition("table ip6 kube-proxy {")[0] or text


def listed(text: str) -> Listed:
    found = Listed()
    for kind, name, body in re.findall(r"\t(chain|set|map) (\S+) \{\n(.*?)\n?\t\}", table_of(text), re.S):
        lines = [line.strip() for line in body.splitlines()]
        if kind == "chain":
            found.chains[name] = [line for line in lines if not line.startswith(("type ", "comment "))]
            found.hooks.update((name, line) for line in lines if line.startswith("type "))
            continue
        found.types[name] = f"{kind} {lines[0].removeprefix('type ')}"
        found.timeouts.update((name, line) for line in lines if line.startswith("timeout "))
        if elements := re.search(r"elements = \{(.*)\}", body, re.S):
            found.elements[name] = {" ".join(e.split()) for e in elements[1].split(",")}
    return found


@pytest.mark.parametrize("path", cases("nftables"))
def test_the_table_is_kube_proxys(path: Path) -> None:
    ports, text = load(path)
    check(ports, VIEW, text, remembered="timeout 10m")


def test_the_table_of_ipv6_is_kube_proxys() -> None:
    ports, text = load6("nftables")
    check(ports, VIEW6, text, remembered="timeout 3h")
    assert script.counted(table_of(text)) == script.expected(ports, VIEW6, many=False)


def check(ports: list[ServicePort], view: NodeView, text: str, *, remembered: str) -> None:
    wanted = listed(text)
    made = script.merged([base(view), *(fragment(p, view) for p in ports)])
    assert {**made.chains, **{c.name: list(c.rules) for c in BASE_CHAINS}} == wanted.chains
    hooks = {c.name: f"type {c.kind} hook {c.hook} priority {c.priority}; policy accept;" for c in BASE_CHAINS}
    assert hooks == wanted.hooks
    elements: dict[str, set[str]] = {}
    for element in made.elements:
        elements.setdefault(element.container, set()).add(script.spelled(element))
    assert elements == wanted.elements
    types = {c.name: f"{c.kind} {c.type}" for c in containers(view.family)}
    types |= dict.fromkeys(made.affinity, f"set {view.family.nft_address}")
    assert types == wanted.types
    assert dict.fromkeys(made.affinity, remembered) == wanted.timeouts


@pytest.mark.parametrize("path", cases("nftables"))
def test_what_is_there_is_counted_as_expected(path: Path) -> None:
    ports, text = load(path)
    assert script.counted(table_of(text)) == script.expected(ports, VIEW, many=False)


def test_long_names_are_cut_but_stay_unique() -> None:
    first, second = (names._base("x" * 300 + end) for end in "ab")
    assert first != second and len(first) == len(second) == 240 and first.endswith("...")
