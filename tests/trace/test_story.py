"""Stories told from what the taps of a real lab saw, held to golden transcripts.

`recorded/*.json`: rules, kernel traces and packets of two nodes, with the objects of that moment. A changed telling is
looked at and kept with `LABCTL_UPDATE_GOLDEN=1`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from labctl.proxy.explain import Index, iptables_rules
from labctl.proxy.family import IPV6
from labctl.trace import model, show, story
from labctl.trace.lines import handles, journeys, packets

FOLDER = Path(__file__).parent / "recorded"
STAGES = ["prerouting", "input", "forward", "output", "postrouting"]
CASES = sorted(p.stem for p in FOLDER.glob("*.json"))


def told(case: str) -> model.Story:
    data: dict[str, Any] = json.loads((FOLDER / f"{case}.json").read_text())
    seen = []
    for node, raw in data["nodes"].items():
        saved, *saved6, ruleset = raw["list"].split("=====\n")
        traced, _, captured = raw["taps"].partition("=====\n")
        known = handles(ruleset, iptables_rules(saved) + iptables_rules("".join(saved6), IPV6))
        seen.append(model.Seen(node, packets(captured, node), journeys(traced), known))
    origin = model.Origin(
        f"Pod {data['pod']} on {data['node']}",
        data["address"],
        (data["node"],),
        tuple(data["search"]),
        address6=data.get("address6", ""),
    )
    return story.tell(
        origin,
        seen=seen,
        known=model.names(data["services"], data["pods"], data["node_objects"]),
        index=Index(data["services"], data["slices"]),
    )


def test_there_are_recordings_of_both_backends() -> None:
    assert {c.split("-")[0] for c in CASES} == {"iptables", "nftables"}


@pytest.mark.parametrize("case", CASES)
def test_stories_are_told_as_before(case: str) -> None:
    text = "".join(f"{line}\n" for line in show.lines(told(case)))
    golden = FOLDER / f"{case}.txt"
    if os.environ.get("LABCTL_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def connections(case: str) -> list[model.Connection]:
    return [e for e in told(case).events if isinstance(e, model.Connection)]


@pytest.mark.parametrize("case", ["iptables-cluster-ip", "nftables-cluster-ip"])
def test_a_connection_names_service_pod_and_reply(case: str) -> None:
    (made,) = connections(case)
    assert made.target == "Service default/numbers-api"
    first, second = made.passages
    assert first.destination.startswith("Pod default/numbers-api-") and first.destination.endswith(" on node-2")
    assert (first.node, second.node) == ("node-1", "node-2")
    assert first.dnat and not second.dnat and not first.snat and not second.snat
    assert first.left == second.came
    assert made.result == "connected" and made.outcome.startswith("connected in ")
    assert any("EndpointSlice numbers-api-" in s.objects for s in first.steps)
    assert any("probability" in s.choice for s in first.steps)
    assert [s.stage for s in first.steps] == sorted((s.stage for s in first.steps), key=STAGES.index)


@pytest.mark.parametrize("case", ["iptables-ipv6", "nftables-ipv6"])
def test_ipv6_is_told_as_ipv4(case: str) -> None:
    (made,) = connections(case)
    assert made.target == "Service default/web6" and made.result == "connected"
    first = made.passages[0]
    assert first.dnat.startswith("[fd00:10:244:") and first.destination.startswith("Pod default/web-")
    assert any("EndpointSlice web6-" in s.objects for s in first.steps)
    assert any(s.effect.startswith("DNAT: the target becomes [fd00:") for s in first.steps)
    assert made.reply.count("[fd00:10:96::") == 1


def test_a_packet_that_no_route_is_for() -> None:
    for made in connections("iptables-ipv6-no-route"):
        assert made.result == "refused" and "no route leads to 2001:db8::1" in made.outcome


NO_ENDPOINTS = (
    "iptables-no-endpoints",
    "nftables-no-endpoints",
    "iptables-ipv6-no-endpoints",
    "nftables-ipv6-no-endpoints",
)


@pytest.mark.parametrize("case", NO_ENDPOINTS)
def test_a_refusal_names_the_rule_and_the_service(case: str) -> None:
    (made,) = connections(case)
    assert made.result == "refused"
    assert made.outcome.startswith("refused in ") and made.target in made.outcome
    assert made.reply == "" and [p.left for p in made.passages] == [""]


def test_a_port_that_the_service_does_not_have_is_dropped_by_labctls_own_rule() -> None:
    assert all(c.outcome.startswith("dropped: rule of LABCTL-GUARD") for c in connections("iptables-wrong-port"))


def test_masquerading_is_seen() -> None:
    (made,) = connections("iptables-node-port-hairpin")
    assert made.result == "connected"
    (passage,) = made.passages
    assert passage.snat and passage.dnat
    assert any(s.effect.startswith("SNAT: ") for s in passage.steps)
    assert any(s.chain == "KUBE-MARK-MASQ" for s in passage.steps)


def test_a_name_is_looked_for_along_the_search_list() -> None:
    lookups = [e for e in told("iptables-no-such-name").events if isinstance(e, model.Lookup)]
    asked = [e.question.removeprefix("A ") for e in lookups if e.question.startswith("A ")]
    assert asked == [
        "nosuch.default.svc.cluster.local.",
        "nosuch.svc.cluster.local.",
        "nosuch.cluster.local.",
        "nosuch.",
    ]
    assert {e.answer for e in lookups} == {"NXDomain"}


def test_the_json_form_names_the_kind_of_each_event() -> None:
    data = told("iptables-cluster-ip").to_json()
    assert {e["kind"] for e in data["events"]} == {"lookup", "connection"}
    json.dumps(data)


@pytest.mark.parametrize(
    "text", ["", "garbage\n", "trace id 1 ip nat X rule a # handle 1 (verdict jump Y)\n", "1.0 eth0 In IP\n"]
)
def test_lines_that_are_none_are_left_out(text: str) -> None:
    assert journeys(text) == [] and packets(text, "n") == []
