"""Which pod and port a proxied name means, and what is refused in whose words."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from labctl.api import kinds
from labctl.api.status import ApiError
from labctl.apiserver.options import WriteOptions
from labctl.apiserver.proxies import locations, nodes
from labctl.apiserver.proxies.locations import Target
from labctl.apiserver.registry import Registry
from labctl.apiserver.server import ApiServer
from labctl.config import Credentials, LabConfig

OPTIONS = WriteOptions(field_validation="Ignore")


def pod(name: str, address: str, *ports: int) -> dict[str, Any]:
    container = {"name": "app", "image": "i", "ports": [{"containerPort": p} for p in ports]}
    status = {"podIP": address, "podIPs": [{"ip": address}]} if address else {}
    return {"metadata": {"name": name}, "spec": {"nodeName": "n", "containers": [container]}, "status": status}


def address(name: str, ip: str) -> dict[str, Any]:
    return {"ip": ip, "targetRef": {"kind": "Pod", "name": name, "namespace": "default"}}


def with_status(wanted: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "status": {**old["status"], **wanted["status"]}}


@pytest.fixture
def registry() -> Registry:
    registry = ApiServer(LabConfig("test", (), Credentials(), "")).registry
    registry.create(kinds.SERVICE_ACCOUNT, "default", {"metadata": {"name": "default"}}, OPTIONS)
    for one in (pod("web", "10.244.1.7", 8080, 9090), pod("bare", "10.244.1.8"), pod("pending", "")):
        registry.create(kinds.POD, "default", one, OPTIONS)
        name = one["metadata"]["name"]
        registry.update(kinds.POD, "default", name, functools.partial(with_status, one), OPTIONS, subresource="status")
    for name in ("web", "byhand", "empty"):
        ports = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "metrics", "port": 9090}]
        registry.create(kinds.SERVICE, "default", {"metadata": {"name": name}, "spec": {"ports": ports}}, OPTIONS)
    subsets = [
        {"addresses": [address("web", "10.244.1.7"), address("gone", "10.244.1.9")], "ports": [port("http", 8080)]},
        {"notReadyAddresses": [address("bare", "10.244.1.8")], "ports": [port("metrics", 9090)]},
    ]
    by_hand = [{"addresses": [{"ip": "192.168.123.234"}], "ports": [port("http", 80)]}]
    for name, own in (("web", subsets), ("byhand", by_hand), ("empty", [])):
        registry.create(kinds.ENDPOINTS, "default", {"metadata": {"name": name}, "subsets": own}, OPTIONS)
    return registry


def port(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "port": number, "protocol": "TCP"}


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("web", Target("", "web", "")),
        ("web:80", Target("", "web", "80")),
        ("web:http", Target("", "web", "http")),
        ("https:web:", Target("https", "web", "")),
        ("https:web:443", Target("https", "web", "443")),
        ("", None),
        (":80", None),
        ("ftp:web:21", None),
        ("a:b:c:d", None),
    ],
)
def test_parse_target(text: str, target: Target | None) -> None:
    assert locations.parse_target(text) == target


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web", ("http", "10.244.1.7", 8080)),
        ("web:9090", ("http", "10.244.1.7", 9090)),
        ("https:web:8443", ("https", "10.244.1.7", 8443)),
        ("bare", ("http", "10.244.1.8", 80)),
        ("https:bare:", ("https", "10.244.1.8", 443)),
    ],
)
def test_the_port_of_a_pod(registry: Registry, text: str, found: tuple[str, str, int]) -> None:
    location = locations.of_pod(registry, "default", text)
    assert (location.scheme, location.address, location.port) == found


@pytest.mark.parametrize("text", ["web:http", "web:80", "http:web:80"])
def test_a_service_leads_to_a_pod_that_is_ready_and_exists(registry: Registry, text: str) -> None:
    for _ in range(8):  # chosen by chance
        location = locations.of_service(registry, "default", text)
        assert (location.pod["metadata"]["name"], location.address, location.port) == ("web", "10.244.1.7", 8080)


@pytest.mark.parametrize(
    ("find", "text", "code", "words"),
    [
        (locations.of_pod, "ftp:web:1", 400, 'invalid pod request "ftp:web:1"'),
        (locations.of_pod, "nope", 404, 'pods "nope" not found'),
        (locations.of_pod, "pending", 400, "address not allowed"),
        (locations.of_pod, "web:http", 503, "error trying to reach service: dial tcp: lookup tcp/http: unknown port"),
        (locations.of_pod, "web:70000", 503, "error trying to reach service: dial tcp: lookup tcp/70000: unknown port"),
        (locations.of_service, "a:b:c:d", 400, 'invalid service request "a:b:c:d"'),
        (locations.of_service, "web:81", 503, 'no service port 81 found for service "web"'),
        (locations.of_service, "web", 503, 'no endpoints available for service "web"'),
        (locations.of_service, "web:metrics", 503, 'no endpoints available for service "web:metrics"'),
        (locations.of_service, "byhand:http", 503, 'no endpoints available for service "byhand:http"'),
        (locations.of_service, "empty:80", 503, 'no endpoints available for service "empty"'),
        (locations.of_service, "nope", 404, 'endpoints "nope" not found'),
        (locations.of_service, "nope:80", 404, 'services "nope" not found'),
    ],
)
def test_refusals(registry: Registry, find: Any, text: str, code: int, words: str) -> None:
    with pytest.raises(ApiError) as refusal:
        find(registry, "default", text)
    assert (refusal.value.code, refusal.value.message) == (code, words)


def test_the_pods_of_a_node_are_listed_as_its_kubelet_does(registry: Registry) -> None:
    listed = nodes.pod_list(registry, "n")
    assert sorted(p["metadata"]["name"] for p in listed["items"]) == ["bare", "pending", "web"]
    assert "kind" not in listed["items"][0]
    assert nodes.pod_list(registry, "other")["items"] == []
