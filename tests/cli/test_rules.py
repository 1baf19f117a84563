"""`labctl rules`: what it refuses, and how it prints."""

from __future__ import annotations

import json

import pytest

from labctl.cli.rules import _print, _service
from labctl.errors import UsageError
from labctl.lab.rules import settled
from labctl.proxy.explain import Behind, Explained, Rule


@pytest.mark.parametrize("words", [["web"], ["pod/web"], ["svc/"], ["svc/a", "svc/b"]])
def test_what_is_no_service(words: list[str]) -> None:
    with pytest.raises(UsageError, match="names no Service"):
        _service(words, "default")


@pytest.mark.parametrize("kind", ["svc", "service", "services"])
def test_a_service_by_any_of_its_names(kind: str) -> None:
    assert _service([f"{kind}/web"], "shop") == "shop/web"


FOUND = [
    Explained(Rule("nat", "KUBE-SVC-A", "-j KUBE-SEP-B"), "default/web", "80/tcp", (Behind("10.0.0.1:80", "web-x"),)),
    Explained(Rule("nat", "KUBE-SVC-A", "-j X")),
]


def test_text_has_a_heading_for_each_chain(capsys: pytest.CaptureFixture[str]) -> None:
    _print(FOUND, "text")
    assert capsys.readouterr().out.splitlines() == [
        "nat KUBE-SVC-A",
        "  -j KUBE-SEP-B",
        "        # Service default/web port 80/tcp -> 10.0.0.1:80 (EndpointSlice web-x)",
        "  -j X",
    ]


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    _print(FOUND, "json", node="node-1", signs=["+", "-"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["node"], line["change"], line["text"]) for line in lines] == [
        ("node-1", "+", "-j KUBE-SEP-B"),
        ("node-1", "-", "-j X"),
    ]


def test_watching_ends_when_nothing_changes_any_more() -> None:
    states = iter([{"n": [Rule("nat", "A", str(n))]} for n in range(3)])
    last: dict[str, list[Rule]] = {}

    def read() -> dict[str, list[Rule]]:
        nonlocal last
        last = next(states, last)
        return last

    now = [0.0]
    assert settled(read, quiet_s=1, clock=lambda: now[0], sleep=lambda s: now.__setitem__(0, now[0] + s)) == {
        "n": [Rule("nat", "A", "2")]
    }
    assert now[0] >= 1.2
