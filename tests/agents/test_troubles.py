"""Troubles are told once when they begin and once when they are over."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.agents.troubles import Troubles, conntrack
from labctl.api.objects import Object


class Recorded:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []

    def event(self, obj: Object, kind: str, reason: str, message: str, *, host: str = "") -> None:
        assert obj["metadata"]["name"] == host == "node-1"
        self.events.append((kind, reason, message))


def test_a_trouble_is_told_when_it_begins_and_when_it_ends() -> None:
    wrong, recorder = {"Full": "", "Rules": ""}, Recorded()
    troubles = Troubles(recorder, "node-1", {reason: lambda r=reason: wrong[r] for reason in wrong})  # type: ignore[misc]  # a default that mypy does not infer
    troubles.look()
    assert recorder.events == []
    wrong["Rules"] = "iptables-restore: exit status 4"
    troubles.look()
    wrong["Rules"] = "iptables-restore: exit status 2"
    troubles.look()
    assert recorder.events == [("Warning", "Rules", "iptables-restore: exit status 4")]
    wrong["Rules"] = ""
    troubles.look()
    troubles.look()
    assert recorder.events[1:] == [("Normal", "RulesOver", "Rules is over on node node-1")]


@pytest.mark.parametrize(("count", "is_full"), [("94", False), ("95", True), ("100", True), ("x", False)])
def test_a_table_of_connections_is_full_shortly_before_its_limit(tmp_path: Path, count: str, *, is_full: bool) -> None:
    (tmp_path / "nf_conntrack_max").write_text("100\n")
    (tmp_path / "nf_conntrack_count").write_text(f"{count}\n")
    said = conntrack(tmp_path)
    assert bool(said) == is_full
    assert not is_full or f"{count} connections of at most 100" in said


def test_nothing_is_said_where_nothing_is_tracked(tmp_path: Path) -> None:
    assert conntrack(tmp_path) == ""
