"""What `labctl doctor` says of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.lab import doctor


@pytest.mark.parametrize(
    ("api", "verdict"),
    [("1.41", "ok"), ("1.47", "ok"), ("1.48", "warning"), ("1.49", "warning"), ("1.50", "ok"), ("1.51", "ok")],
    ids=["20.10", "27.5", "28.0", "28.1", "28.2", "28.5"],
)
def test_docker_28_before_it_could_be_told_whom_to_let_through(api: str, verdict: str, tmp_path: Path) -> None:
    setting = tmp_path / "sys/net/bridge/bridge-nf-call-iptables"
    setting.parent.mkdir(parents=True)
    setting.write_text("1\n")
    found = next(iter(doctor.host(api, tmp_path)))
    assert (found.verdict, bool(found.hint)) == (verdict, verdict == "warning")
    setting.write_text("0\n")
    assert [check.name for check in doctor.host(api, tmp_path)] == ["kubectl"]
