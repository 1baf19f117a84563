"""What makes a container a node: routes, masquerading, and the guard against service addresses on the LAN."""

from __future__ import annotations

from labctl.config import Credentials, LabConfig, NodeConfig
from labctl.proxy import node_setup

NODES = tuple(
    NodeConfig(f"node-{n}", f"192.168.123.{10 + n}", f"10.244.{n}.0/24", f"10.244.{n}.1") for n in range(1, 4)
)
CONFIG = LabConfig("lab", NODES, Credentials(), "192.168.123.2")


def test_each_other_nodes_pods_are_behind_that_node() -> None:
    assert node_setup.routes(CONFIG, NODES[1]) == [
        ("10.244.1.0/24", "via", "10.244.1.1"),
        ("10.244.3.0/24", "via", "10.244.3.1"),
    ]


def test_rules_are_one_restore_that_names_its_own_chains_only() -> None:
    text = node_setup.guard_rules("10.244.0.0/16", "10.96.0.0/12")
    chains = [line.split()[0][1:] for line in text.splitlines() if line.startswith(":")]
    assert chains == [node_setup.MASQUERADE, node_setup.GUARD]
    assert all(line.split()[1] in chains for line in text.splitlines() if line.startswith("-A"))
    assert text.count("COMMIT") == 2 and text.endswith("\n")
    assert "'" not in text and "\\" not in text, "iptables-save would show them escaped"


def test_the_guard_comes_after_every_filter_hook() -> None:
    """A Service without endpoints is rejected in FORWARD or OUTPUT; dropping there could come first by order."""
    assert ("mangle", "POSTROUTING", ("-j", node_setup.GUARD)) in node_setup.JUMPS
    assert not [jump for jump in node_setup.JUMPS if jump[0] == "filter"]


ADDRESSES = """\
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
28: eth0    inet 192.168.123.11/24 brd 192.168.123.255 scope global eth0\\       valid_lft forever preferred_lft forever
30: eth1    inet 10.244.1.1/16 brd 10.244.255.255 scope global eth1\\       valid_lft forever preferred_lft forever
"""


def test_the_world_is_behind_the_network_that_is_neither_lan_nor_pods() -> None:
    uplink = "32: eth2    inet 172.20.0.3/16 brd 172.20.255.255 scope global eth2\n"
    assert node_setup.default_route(ADDRESSES + uplink, CONFIG) == ("default", "via", "172.20.0.1", "dev", "eth2")
    assert node_setup.default_route(ADDRESSES, CONFIG) is None
