"""IPv6 beside IPv4: ranges, what is in their way, and machines that have none."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.config import Credentials
from labctl.errors import MissingPrerequisite
from labctl.lab import compose, ipv6, plan, resources
from labctl.lab.plan import Ranges, UpOptions

RANGES = ipv6.beside(Ranges(pods="10.244.0.0/16", lan="192.168.123.0/24", services="10.96.0.0/12"))


def route(network: str, interface: str) -> str:
    """A line of /proc/net/ipv6_route."""
    parsed = ip_network(network)
    nothing = f"{0:032x}"
    words = (f"{int(parsed.network_address):032x}", f"{parsed.prefixlen:02x}", nothing, "00", nothing)
    return " ".join([*words, "00000400 00000001 00000000 00000001", interface])


def test_ranges_are_read_like_those_of_ipv4() -> None:
    assert (RANGES.pods6, RANGES.lan6, RANGES.services6) == (
        "fd00:10:244::/64",
        "fd00:192:168:123::/64",
        "fd00:10:96::/108",
    )
    other = ipv6.beside(Ranges(pods="10.245.0.0/16", lan="192.168.124.0/24", services="10.96.0.0/12"))
    assert other.pods6 == "fd00:10:245::/64" and other.lan6 == "fd00:192:168:124::/64"


def test_nothing_has_an_address_twice() -> None:
    nodes = plan.node_configs(plan.MAX_NODES, RANGES)
    for one, another in combinations([ip_network(n.pod_cidr6) for n in nodes], 2):
        assert not one.overlaps(another)
    assert all(ip_address(n.pod_address6) in ip_network(n.pod_cidr6) for n in nodes)
    dynamic = ip_network(plan.dynamic_range(RANGES.lan6))
    assert dynamic.subnet_of(ip_network(RANGES.lan6))  # type: ignore[arg-type]  # both are of IPv6
    assert not any(ip_address(n.address6) in dynamic for n in nodes)
    assert len({n.address6 for n in nodes}) == len(nodes)
    # Docker 20.10 counts addresses of a network by their last 64 bits.
    assert len({int(ip_address(n.pod_address6)) % 2**64 for n in nodes}) == len(nodes)


def test_compose_gives_nodes_and_networks_both_families() -> None:
    config = plan.config(UpOptions(name="two"), RANGES, nodes=2, credentials=Credentials())
    template = (resources.folder("compose") / "lab.yaml.j2").read_text()
    made: dict[str, Any] = yaml.safe_load(
        compose.render(template, config, api_port=6444, docker_socket="/var/run/docker.sock")
    )
    node = made["services"]["node-2"]["networks"]
    assert node["lan"]["ipv6_address"] == "fd00:192:168:123::c" and node["pods"]["ipv6_address"] == "fd00:10:244:0:2::1"
    for name, network in made["networks"].items():
        subnets = [c["subnet"] for c in network.get("ipam", {}).get("config", ())]
        assert network.get("enable_ipv6", False) == (name != "uplink") == (len(subnets) == 2)


def test_routes_of_the_host_without_what_every_machine_has() -> None:
    usual = [route(n, "eth0") for n in ("fe80::/64", "::/0", "ff00::/8")] + [route("::1/128", "lo")]
    table = "\n".join([route("fd00:1234::/64", "eth0"), *usual, "broken"])
    assert list(ipv6.host_routes(table)) == [("fd00:1234::/64", "a route of this host, eth0")]


def test_networks_of_docker() -> None:
    listed: list[dict[str, Any]] = [
        {"Name": "six", "IPAM": {"Config": [{"Subnet": "10.1.0.0/16"}, {"Subnet": "fd00:10:244::/64"}]}},
        {"Name": "none", "IPAM": {"Config": None}},
    ]
    taken = list(ipv6.docker_networks(listed))
    assert taken == [("fd00:10:244::/64", "Docker network six")]
    with pytest.raises(MissingPrerequisite, match=r"for the lab's pods collides with .* \(Docker network six\)"):
        ipv6.refuse_collisions(RANGES, taken)


def test_other_ranges_are_no_collision() -> None:
    ipv6.refuse_collisions(RANGES, [("fd00:10:245::/64", "a"), ("2001:db8::/32", "b")])


@pytest.mark.parametrize(("content", "words"), [("1\n", "switched off"), (None, "has no IPv6")])
def test_a_machine_without_ipv6_is_refused_with_the_way_out(tmp_path: Path, content: str | None, words: str) -> None:
    setting = tmp_path / "sys/net/ipv6/conf/all/disable_ipv6"
    if content:
        setting.parent.mkdir(parents=True)
        setting.write_text(content)
    with pytest.raises(MissingPrerequisite, match=words) as refused:
        ipv6.require(tmp_path)
    assert "leave the option out" in str(refused.value.hint)


def test_a_machine_with_ipv6_or_without_proc_is_fine(tmp_path: Path) -> None:
    ipv6.require(tmp_path / "nothing here, as on a Mac")
    setting = tmp_path / "sys/net/ipv6/conf/all/disable_ipv6"
    setting.parent.mkdir(parents=True)
    setting.write_text("0\n")
    ipv6.require(tmp_path)
