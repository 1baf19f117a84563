"""The proxy mode in ConfigMap kube-proxy."""

from __future__ import annotations

import pytest
import yaml

from labctl.proxy.mode import KEY, MODES, Mode, UnknownMode, changed, config_map, mode_of


@pytest.mark.parametrize("mode", MODES)
def test_what_is_written_is_read(mode: Mode) -> None:
    written = config_map(mode)
    assert mode_of(written, "iptables") == mode
    parsed = yaml.safe_load(written["data"][KEY])
    assert (parsed["kind"], parsed["mode"]) == ("KubeProxyConfiguration", mode)


@pytest.mark.parametrize(
    "text",
    ["mode: nftables", 'kind: X\nmode: "nftables"\n', "mode:   'nftables'  # faster", "clusterCIDR: x\nmode: nftables\nx: y"],
)  # fmt: skip
def test_the_mode_is_read_as_yaml_would(text: str) -> None:
    assert mode_of({"data": {KEY: text}}, "iptables") == "nftables" == yaml.safe_load(text)["mode"]


@pytest.mark.parametrize("configured", [None, {}, {"data": {}}, {"data": {KEY: 'mode: ""'}}, {"data": {KEY: "x: y"}}])
def test_nothing_said_is_the_default(configured: dict[str, dict[str, str]] | None) -> None:
    assert mode_of(configured, "nftables") == "nftables"


def test_a_mode_that_there_is_not() -> None:
    with pytest.raises(UnknownMode, match=r'"ipvs".*iptables, nftables'):
        mode_of({"data": {KEY: "mode: ipvs"}}, "iptables")


@pytest.mark.parametrize("text", ["kind: X\nmode: iptables\nother: 1\n", "kind: X\nother: 1\n"])
def test_changing_the_mode_keeps_the_rest(text: str) -> None:
    after = changed({"metadata": {"name": "kube-proxy"}, "data": {KEY: text, "more": "kept"}}, "nftables")
    assert yaml.safe_load(after["data"][KEY]) == {"kind": "X", "other": 1, "mode": "nftables"}
    assert after["data"]["more"] == "kept" and after["metadata"] == {"name": "kube-proxy"}
