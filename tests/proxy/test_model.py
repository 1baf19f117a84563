"""From Services and slices to service ports, and which endpoints a node uses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.proxy.model import Endpoint, ServicePort, categorise, parse_service, parse_slice
from tests.proxy.objects import GONE, NODE, TERMINATING, endpoint, endpoint_slice, ports_of, service


def port(*endpoints: Endpoint, **more: object) -> ServicePort:
    return ServicePort("default", "web", "", "tcp", "10.96.1.1", 80, endpoints=endpoints, **more)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "None", "clusterIPs": ["None"]},
        {"type": "ExternalName", "clusterIP": "", "clusterIPs": []},
        {"clusterIPs": ["fd00::1"], "clusterIP": "fd00::1"},
    ],
    ids=["headless", "ExternalName", "another family"],
)
def test_services_without_an_address_of_the_family_have_no_ports(spec: dict[str, Any]) -> None:
    assert parse_service(service(**spec)) == ()


def test_a_service_of_another_proxy_is_left_alone() -> None:
    other = service()
    other["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "mine"}
    assert parse_service(other) == ()


def test_addresses_of_another_family_are_left_out() -> None:
    made = service(type="LoadBalancer", externalIPs=["203.0.113.1", "2001:db8::1"])
    made["spec"]["loadBalancerSourceRanges"] = ["198.51.100.0/24", "2001:db8::/32"]
    made["status"] = {
        "loadBalancer": {"ingress": [{"ip": "203.0.113.2"}, {"ip": "2001:db8::2"}, {"hostname": "localhost"}]}
    }
    (found,) = parse_service(made)
    assert found.external_ips == ("203.0.113.1",)
    assert found.load_balancer_ips == ("203.0.113.2",)
    assert found.source_ranges == ("198.51.100.0/24",)


def test_a_load_balancer_that_proxies_is_no_destination_in_the_node() -> None:
    made = service(type="LoadBalancer")
    made["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.2", "ipMode": "Proxy"}]}}
    assert parse_service(made)[0].load_balancer_ips == ()


def test_the_health_check_port_counts_only_where_load_balancers_need_it() -> None:
    spec: dict[str, Any] = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30099}
    assert parse_service(service(**spec))[0].health_check_port == 30099
    assert parse_service(service(**{**spec, "externalTrafficPolicy": "Cluster"}))[0].health_check_port == 0
    assert parse_service(service(**{**spec, "type": "NodePort"}))[0].health_check_port == 0


def test_the_external_policy_is_nothing_to_a_service_that_is_internal() -> None:
    assert not parse_service(service(externalTrafficPolicy="Local"))[0].external_local


def test_endpoints_join_by_port_name_and_protocol_over_all_slices() -> None:
    ports = [{"name": "web", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    first = endpoint_slice(endpoint("10.244.1.7"), name="a", ports=[{"name": "web", "port": 8080}])
    second = endpoint_slice(endpoint("10.244.2.8"), name="b", ports=[{"name": "web", "port": 9090}])
    third = endpoint_slice(endpoint("10.244.2.8"), name="c", ports=[{"name": "dns", "port": 53, "protocol": "UDP"}])
    web, dns = ports_of(service(ports=ports), first, second, third)
    assert [str(e) for e in web.endpoints] == ["10.244.1.7:8080", "10.244.2.8:9090"], "the port may differ per pod"
    assert [str(e) for e in dns.endpoints] == ["10.244.2.8:53"]


def test_an_endpoint_in_two_slices_counts_once() -> None:
    (found,) = ports_of(
        service(),
        endpoint_slice(endpoint("10.244.1.7"), name="a"),
        endpoint_slice(endpoint("10.244.1.7"), name="b"),
    )
    assert len(found.endpoints) == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.1.1", "0.0.0.0"])
def test_addresses_that_no_endpoint_may_have_make_no_rules(address: str) -> None:
    assert parse_slice(endpoint_slice(endpoint(address, node="node-1")), node=NODE) == {("", "tcp", "IPv4"): ()}


def test_a_slice_without_conditions_is_ready() -> None:
    ((found,),) = parse_slice(endpoint_slice({"addresses": ["10.244.1.7"], "nodeName": NODE}), node=NODE).values()
    assert (found.ready, found.serving, found.terminating, found.is_local) == (True, True, False, True)


def test_terminating_endpoints_serve_only_when_nothing_is_ready() -> None:
    dying, gone = endpoint("10.244.1.7", TERMINATING), endpoint("10.244.1.8", GONE)
    (alone,) = ports_of(service(), endpoint_slice(dying, gone))
    assert [e.ip for e in categorise(alone, node=NODE).cluster] == ["10.244.1.7"]
    (beside,) = ports_of(service(), endpoint_slice(dying, gone, endpoint("10.244.2.8")))
    assert [e.ip for e in categorise(beside, node=NODE).cluster] == ["10.244.2.8"]


HINTED = tuple(Endpoint(f"10.244.1.{n}", 80, zone_hints=frozenset({zone})) for n, zone in ((1, "a"), (2, "b")))


@pytest.mark.parametrize(
    ("zone", "wanted"), [("a", HINTED[:1]), ("b", HINTED[1:]), ("c", HINTED), ("", HINTED)], ids=["a", "b", "c", "none"]
)
def test_zone_hints_apply_where_they_leave_something(zone: str, wanted: tuple[Endpoint, ...]) -> None:
    assert categorise(port(*HINTED), node=NODE, zone=zone).cluster == wanted


def test_hints_count_only_when_every_ready_endpoint_has_one() -> None:
    plain = Endpoint("10.244.1.9", 80)
    assert categorise(port(*HINTED, plain), node=NODE, zone="a").cluster == (*HINTED, plain)


ENDPOINTS = st.builds(
    Endpoint,
    st.integers(1, 9).map(lambda n: f"10.244.1.{n}"),
    st.just(80),
    is_local=st.booleans(),
    ready=st.booleans(),
    serving=st.booleans(),
    terminating=st.booleans(),
    node_hints=st.sampled_from([frozenset(), frozenset({NODE}), frozenset({"node-2"})]),
)


@given(st.lists(ENDPOINTS, max_size=6, unique_by=lambda e: e.ip), st.booleans(), st.booleans())
def test_usable_endpoints_exist_exactly_where_some_are_usable(
    endpoints: list[Endpoint], external_local: bool, internal_local: bool
) -> None:
    made = port(*endpoints, node_port=30080, external_local=external_local, internal_local=internal_local)
    found = categorise(made, node=NODE)
    usable = [e for e in endpoints if e.ready or (e.serving and e.terminating)]
    assert found.has_any == bool(usable)
    assert bool(found.cluster) == found.has_any, "an external Service always uses cluster endpoints"
    assert set(found.cluster) | set(found.local) == set(found.all_reachable)
    assert all(e.is_local for e in found.local)
    assert not any(e.ready for e in found.local) or all(e.ready for e in found.local)
