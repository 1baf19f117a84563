"""Names, addresses and ports as a pod sees them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from labctl.errors import UsageError
from labctl.why.sockets import listening_ports
from labctl.why.url import Target, explain_url, parse_target
from tests.why.test_services import HEALTHY, pod, problems, service, slice_of

DNS = service("kube-dns", ns="kube-system", selector={"k8s-app": "kube-dns"}, clusterIPs=["10.96.0.10"])
DNS_SLICE = {
    "metadata": {"name": "d", "namespace": "kube-system", "labels": {"kubernetes.io/service-name": "kube-dns"}},
    "endpoints": [{"addresses": ["10.244.1.9"], "conditions": {"ready": True}}],
}
FACTS = replace(
    HEALTHY,
    services=[service(clusterIPs=["10.96.1.1"], clusterIP="10.96.1.1"), DNS],
    slices=[slice_of(), DNS_SLICE],
    namespaces=[{"metadata": {"name": n}} for n in ("default", "kube-system", "shop")],
)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://web/rng", Target("web", 80)),
        ("https://web", Target("web", 443)),
        ("web.shop:8080", Target("web.shop", 8080)),
        ("web", Target("web", 80)),
        ("http://[fd00:10:96::1]/", Target("fd00:10:96::1", 80)),
        ("[fd00:10:96::1]:8080", Target("fd00:10:96::1", 8080)),
    ],
)
def test_targets_are_read(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["", "http://", "web:http", "web:99999"])
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_target(text)


@pytest.mark.parametrize(
    "host", ["web", "web.default", "web.default.svc", "web.default.svc.cluster.local", "10.96.1.1"]
)
def test_every_name_of_a_service_finds_it(host: str) -> None:
    found = explain_url(FACTS, Target(host, 80), namespace="default")
    assert problems(found) == []
    assert "10.244.1.2" in found[1].text


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target("web", 81), "svc/web has no port 81 but 80"),
        (Target("wbe", 80), 'there is "web"'),
        (Target("web.shop", 80), "its name is web.default"),
        (Target("10.96.9.9", 80), "no Service and no pod has this address"),
    ],
)
def test_what_does_not_answer_is_explained(target: Target, words: str) -> None:
    found = explain_url(FACTS, target, namespace="default")
    assert any(words in x.text and x.is_problem and (x.fix or x.see) for x in found), found


def test_without_dns_nothing_resolves() -> None:
    found = explain_url(replace(FACTS, slices=[slice_of()]), Target("web", 80), namespace="default")
    assert found[0].about == "svc/kube-dns" and found[0].is_problem


def test_a_pods_address_leads_to_the_pod() -> None:
    waiting = pod(ready=False)
    [found] = explain_url(replace(FACTS, pods=[waiting]), Target("10.244.1.2", 80), namespace="default")
    assert found.about == "pod/web-1" and found.is_problem


def test_addresses_of_ipv6_lead_to_service_and_pod() -> None:
    both: dict[str, Any] = {
        "ipFamilies": ["IPv4", "IPv6"],
        "clusterIP": "10.96.1.1",
        "clusterIPs": ["10.96.1.1", "fd00:10:96::1"],
    }
    made = pod()
    made["status"]["podIPs"] = [{"ip": "10.244.1.2"}, {"ip": "fd00:10:244:0:1::2"}]
    six = {**slice_of(address="fd00:10:244:0:1::2"), "addressType": "IPv6"}
    facts = replace(FACTS, services=[service(**both), DNS], pods=[made], slices=[slice_of(), six, DNS_SLICE])
    said = explain_url(facts, Target("fd00:10:96::1", 80), namespace="default")
    assert problems(said) == [] and said[0].about == "[fd00:10:96::1]:80"
    assert any("has 1 ready endpoint(s): 10.244.1.2" in x.text for x in said), "one pod is one endpoint in two families"
    (at_pod,) = explain_url(facts, Target("fd00:10:244:0:1::2", 80), namespace="default")
    assert at_pod.about == "pod/web-1" and not at_pod.is_problem


def test_listening_ports_leave_loopback_out() -> None:
    table = """  sl  local_address rem_address   st
   0: 00000000:0050 00000000:0000 0A 00000000:00000000
   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000
   2: 0201F40A:D431 0A00600A:01BB 01 00000000:00000000
   3: 00000000000000000000000000000000:1F91 00000000000000000000000000000000:0000 0A 00000000
   4: 00000000000000000000000001000000:1F92 00000000000000000000000000000000:0000 0A 00000000
"""
    assert listening_ports(table) == {80, 8081}
