"""What a lab is, written down and read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.config import Credentials
from labctl.errors import LabctlError
from labctl.lab import paths, plan, record
from labctl.lab.paths import StateFolder
from labctl.lab.plan import Ranges, UpOptions
from labctl.lab.record import Record


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "labctl"


def lab(name: str = "lab") -> Record:
    ranges = Ranges("10.244.0.0/16", "192.168.123.0/24", "10.96.0.0/12")
    return Record(plan.config(UpOptions(name=name), ranges, nodes=2, credentials=Credentials()), 6443, ("192.0.2.1",))


def test_it_survives_and_only_its_owner_may_read_it(state: Path) -> None:
    record.save(lab())
    assert record.load("lab") == lab()
    assert (state / "lab" / "lab.json").stat().st_mode & 0o777 == 0o600
    assert (state / "lab").stat().st_mode & 0o777 == 0o700
    assert paths.known_labs() == ["lab"]
    StateFolder.of("lab").remove()
    assert record.load("lab") is None
    assert paths.known_labs() == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"config": 1, "api_port": 1, "dns_upstreams": []}'])
def test_a_damaged_record_is_told_with_the_way_out(state: Path, text: str) -> None:
    record.save(lab())
    (state / "lab" / "lab.json").write_text(text)
    with pytest.raises(LabctlError) as told:
        record.load("lab")
    assert "lab.json cannot be read" in told.value.message
    assert told.value.hint == "'labctl down --name lab' removes that lab; then 'labctl up'"


def test_names_of_contexts_and_projects() -> None:
    assert (paths.context_of("lab"), paths.context_of("two")) == ("labctl", "labctl-two")
    assert paths.project_of("two") == "labctl-two"


def test_the_context_before_the_lab_is_remembered() -> None:
    folder = StateFolder.of("lab")
    assert folder.previous_context == ""
    folder.remember_context("mine")
    assert folder.previous_context == "mine"
