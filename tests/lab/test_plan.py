"""A lab's options and addresses."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.config import Credentials
from labctl.errors import UsageError
from labctl.lab import plan
from labctl.lab.plan import Ranges, UpOptions

RANGES = Ranges(pods="10.244.0.0/16", lan="192.168.123.0/24", services="10.96.0.0/12")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (UpOptions(name="Lab!"), '"Lab!" is no name for a lab'),
        (UpOptions(nodes=0), "a lab has 1 to 50 nodes, not 0"),
        (UpOptions(nodes=51), "a lab has 1 to 50 nodes, not 51"),
        (UpOptions(pod_cidr="10.244.0.1/16"), "--pod-cidr 10.244.0.1/16: 10.244.0.1/16 has host bits set"),
        (UpOptions(pod_cidr="10.244.0.0/17"), "--pod-cidr 10.244.0.0/17 is too small"),
        (UpOptions(lan_cidr="192.168.0.0/25"), "--lan-cidr 192.168.0.0/25 is too small"),
        (UpOptions(service_cidr="x"), "--service-cidr x: "),
        (UpOptions(api_port=70000), "--port 70000 is no port"),
        (UpOptions(dns_upstreams=("x",)), '--dns-upstream "x" is no address'),
    ],
)
def test_what_cannot_work_is_refused_before_docker_is_asked(options: UpOptions, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        plan.checked(options)
    assert refused.value.message.startswith(words)
    assert refused.value.hint or refused.value.message.startswith("a lab has")


def test_the_usual_options_pass() -> None:
    assert plan.checked(UpOptions()) == UpOptions()
    assert plan.checked(UpOptions(dns_upstreams=("none",))).dns_upstreams == ()


@given(st.integers(1, plan.MAX_NODES))
def test_nothing_has_an_address_twice(count: int) -> None:
    nodes = plan.node_configs(count, RANGES)
    assert [n.name for n in nodes] == [f"node-{i}" for i in range(1, count + 1)]
    for one, other in combinations([ip_network(n.pod_cidr) for n in nodes], 2):
        assert not one.overlaps(other)
    fixed = [n.address for n in nodes] + [plan.host(RANGES.lan, n) for n in (1, 2, 234, 235)]
    assert len(set(fixed)) == len(fixed)
    dynamic = ip_network(plan.dynamic_range(RANGES.lan))
    assert not any(ip_address(a) in dynamic for a in fixed)
    assert all(ip_address(n.pod_address) in ip_network(n.pod_cidr) for n in nodes)


def test_a_lab_as_decided() -> None:
    config = plan.config(UpOptions(name="two"), RANGES, nodes=2, credentials=Credentials())
    assert config.dns_address == "10.96.0.10"
    assert config.control_plane_address == "192.168.123.2"
    assert (config.pods_network, config.state_volume) == ("labctl-two-pods", "labctl-two-state")
    assert plan.api_server_addresses(RANGES) == ("127.0.0.1", "192.168.123.2", "10.96.0.1")


def test_a_node_knows_no_secret_but_its_own() -> None:
    secret = Credentials(ca_certificate="ca", server_key="key", admin_token="admin", node_token="node")  # no secret
    config = plan.config(UpOptions(), RANGES, nodes=2, credentials=secret)
    text = plan.for_node(config, "node-1").to_json()
    assert '"node"' in text and '"admin"' not in text and '"key"' not in text


def test_the_stand_in_answers_only_where_the_internet_is_not_asked() -> None:
    assert plan.stand_in_hosts(RANGES.lan, ()) == {"raw.githubusercontent.com": "192.168.123.235"}
    assert plan.stand_in_hosts(RANGES.lan, ["192.0.2.1"]) == {}
