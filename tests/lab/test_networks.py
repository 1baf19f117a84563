"""Ranges in use, and the choice among free ones."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from labctl.errors import MissingPrerequisite
from labctl.lab import networks
from labctl.lab.networks import Taken
from labctl.lab.plan import UpOptions

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
tun0\t0000F40A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
broken
"""


def test_routes_of_the_host_without_the_default_route() -> None:
    found = [(t.cidr, t.holder) for t in networks.host_routes(ROUTES)]
    assert found == [
        ("172.17.0.0/16", "a route of this host, eth0"),
        ("10.244.0.0/16", "a route of this host, tun0"),
    ]


def test_networks_of_docker_without_the_labs_own() -> None:
    listed: list[dict[str, Any]] = [
        {"Name": "bridge", "Labels": None, "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}, {"Subnet": "fd00::/64"}]}},
        {"Name": "labctl-a-pods", "Labels": {"labctl.lab": "a"}, "IPAM": {"Config": [{"Subnet": "10.244.0.0/16"}]}},
        {"Name": "labctl-b-pods", "Labels": {"labctl.lab": "b"}, "IPAM": {"Config": [{"Subnet": "10.245.0.0/16"}]}},
        {"Name": "none", "Labels": {}, "IPAM": {"Config": None}},
    ]
    found = list(networks.docker_networks(listed, but_of_lab="b"))
    assert found == [
        Taken("172.17.0.0/16", "Docker network bridge"),
        Taken("10.244.0.0/16", "lab a", lab=True),
    ]


def test_a_bridge_has_the_name_that_was_chosen_or_dockers() -> None:
    named: dict[str, Any] = {"Id": "0" * 64, "Options": {"com.docker.network.bridge.name": "labctl-12345678"}}
    others: list[dict[str, Any]] = [{"Id": "0123456789ab" + "0" * 52, "Options": {}}, {"Id": "f" * 64, "Options": None}]
    assert networks.bridges([named, *others]) == {"docker0", "labctl-12345678", "br-0123456789ab", "br-ffffffffffff"}


def test_the_usual_ranges_where_they_are_free() -> None:
    chosen = networks.choose(UpOptions(), [Taken("172.17.0.0/16", "Docker network bridge")])
    assert (chosen.pods, chosen.lan, chosen.services) == ("10.244.0.0/16", "192.168.123.0/24", "10.96.0.0/12")


def test_a_lab_beside_another_takes_the_next_free_ranges() -> None:
    other = [Taken("10.244.0.0/16", "lab a", lab=True), Taken("192.168.123.0/24", "lab a", lab=True)]
    chosen = networks.choose(UpOptions(), [*other, Taken("192.168.124.0/24", "a route of this host, eth0")])
    assert (chosen.pods, chosen.lan) == ("10.245.0.0/16", "192.168.125.0/24")


def test_what_is_no_lab_is_named_with_a_free_range() -> None:
    vpn = Taken("10.244.0.0/14", "a route of this host, tun0")
    with pytest.raises(MissingPrerequisite) as refused:
        networks.choose(UpOptions(), [vpn])
    assert refused.value.message == (
        "address range 10.244.0.0/16 for the lab's pods collides with 10.244.0.0/14 (a route of this host, tun0)"
    )
    assert refused.value.hint == "10.248.0.0/16 is free: labctl up --pod-cidr 10.248.0.0/16"


def test_a_range_that_was_asked_for_is_never_replaced() -> None:
    lab = Taken("10.250.0.0/16", "lab a", lab=True)
    with pytest.raises(MissingPrerequisite, match=r"10\.250\.0\.0/16 for the lab's pods collides"):
        networks.choose(UpOptions(pod_cidr="10.250.0.0/16"), [lab])


def test_pods_and_services_do_not_overlap() -> None:
    with pytest.raises(MissingPrerequisite, match="the lab's own service range"):
        networks.choose(UpOptions(pod_cidr="10.96.0.0/16"), [])


def test_a_free_port_beside_one_that_is_held() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        assert networks.first_free_port([port]) is None
        with pytest.raises(MissingPrerequisite, match=f"port {port} on 127.0.0.1 is taken"):
            networks.free_port(port)
    assert networks.free_port(port) == port


def test_what_mends_it_names_the_lab_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABCTL_NAME", raising=False)
    options = UpOptions(name="two", lan_cidr="172.17.0.0/16")
    with pytest.raises(MissingPrerequisite) as refused:
        networks.choose(options, [Taken("172.17.0.0/16", "Docker network bridge")])
    assert refused.value.hint == "192.168.123.0/24 is free: labctl up --name two --lan-cidr 192.168.123.0/24"
    monkeypatch.setenv("LABCTL_NAME", "two")
    with pytest.raises(MissingPrerequisite) as refused:
        networks.choose(options, [Taken("172.17.0.0/16", "Docker network bridge")])
    assert refused.value.hint == "192.168.123.0/24 is free: labctl up --lan-cidr 192.168.123.0/24"
