"""`labctl bench synthetic` measures a lab and leaves it as it was."""

from __future__ import annotations

import json

import pytest

from tests.docker.lab import Lab

pytestmark = pytest.mark.docker


def test_figures_of_both_modes_and_nothing_stays(lab: Lab) -> None:
    before = lab.labctl("status").out
    measured = json.loads(lab.labctl("bench", "synthetic", "--services", "20", "-o", "json", timeout=120).out)
    assert [(f["services"], f["mode"]) for f in measured] == [
        (size, mode) for size in (2, 20) for mode in ("iptables", "nftables")
    ]
    assert all(f[figure] > 0 for f in measured for figure in ("all_rules_s", "one_change_s", "new_connection_s"))
    assert lab.kubectl("get", "ns", "labctl-synthetic", check=False).code == 1
    assert ("iptables rules on every node" in before) == ("iptables rules on every node" in lab.labctl("status").out)


def test_a_number_out_of_range_is_refused(lab: Lab) -> None:
    refused = lab.labctl("bench", "synthetic", "--services", "0", check=False)
    assert (refused.code, refused.err) == (2, "error: --services 0: choose a number from 1 to 20000\n")
