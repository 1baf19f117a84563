"""IPv6 beside IPv4: `labctl up --ip-family dual`, with real packets on both backends."""

from __future__ import annotations

import ipaddress
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import MissingPrerequisite
from labctl.lab import ipv6
from labctl.proxy.family import IPV4, IPV6
from tests.docker.lab import Lab, eventually
from tests.docker.objects import deployment, service
from tests.docker.test_kube_proxy import binary, compare, place
from tests.docker.test_services import pods, ready

__all__ = ["binary"]  # a fixture

pytestmark = pytest.mark.docker

BOTH = {"ipFamilyPolicy": "RequireDualStack"}
HTTP = {"port": 80, "targetPort": 80}


@pytest.fixture(scope="module")
def dual(lab: Lab) -> Iterator[Lab]:
    """A second lab with both families, beside that of all other tests.

    A kernel without IPv6 is nothing that could be installed; the summary of the run says what was left out.
    """
    try:
        ipv6.require()
    except MissingPrerequisite as error:
        pytest.skip(str(error))
    with tempfile.TemporaryDirectory(prefix="labctl-test-") as home:
        made = replace(lab, name=f"{lab.name}-dual", home=Path(home))
        try:
            print(made.labctl("up", "--ip-family", "dual", timeout=300).out)
            yield made
        finally:
            made.labctl("down", timeout=120, check=False)
        assert made.containers() == []


@pytest.fixture(scope="module", params=["iptables", "nftables"])
def mode(request: pytest.FixtureRequest, dual: Lab) -> str:
    dual.labctl("up", "--proxy-mode", request.param)
    return str(request.param)


@pytest.fixture(scope="module")
def web(dual: Lab) -> Lab:
    """Two servers, one on each node, behind Services of both families; and a client."""
    dual.apply(deployment("web", replicas=2))
    dual.apply(deployment("client", image="kiamol/ch03-sleep"))
    made: dict[str, dict[str, Any]] = {
        "both": BOTH,
        "six": {"ipFamilies": ["IPv6"]},
        "four": {},
        "head": {"clusterIP": "None", **BOTH},
        "node": {"type": "NodePort", **BOTH},
        "inside": {"internalTrafficPolicy": "Local", **BOTH},
    }
    for name, spec in made.items():
        dual.apply(service(name, HTTP, app="web", **spec))
    dual.apply(service("talk", {"port": 53, "targetPort": 8081, "protocol": "UDP"}, app="web", **BOTH))
    dual.apply(service("empty", HTTP, app="nobody", **BOTH))
    ready(dual, "web", "client")
    return dual


def client(lab: Lab) -> tuple[str, str]:
    """The client's pod and its node."""
    return next(iter(pods(lab, "client").items()))


def addresses(lab: Lab, pod: str) -> list[str]:
    return [i["ip"] for i in lab.json("get", "pod", pod)["status"]["podIPs"]]


def curl(lab: Lab, version: int, url: str, *, within_s: int = 3) -> str:
    done = lab.exec("deploy/client", "curl", f"-{version}", "-sS", "-m", str(within_s), url, check=False)
    return done.out + done.err


def everybody(lab: Lab, version: int) -> set[str]:
    """The servers that answer, once both have been met."""
    met = {curl(lab, version, "http://both/hostname") for _ in range(6)}
    return met if len(met) == 2 else set()


def hangs(lab: Lab, version: int) -> bool:
    return "timed out" in curl(lab, version, "http://both/hostname", within_s=1)


def test_every_part_has_an_address_of_each_family(web: Lab) -> None:
    for pod in pods(web, "web"):
        assert [ipaddress.ip_address(a).version for a in addresses(web, pod)] == [4, 6]
    for node in web.json("get", "nodes")["items"]:
        inside = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
        assert [ipaddress.ip_address(a).version for a in inside] == [4, 6]
        assert [ipaddress.ip_network(c).version for c in node["spec"]["podCIDRs"]] == [4, 6]
    spec = web.json("get", "svc", "both")["spec"]
    assert spec["ipFamilies"] == ["IPv4", "IPv6"] and len(spec["clusterIPs"]) == 2


def test_names_have_addresses_of_both_families(web: Lab) -> None:
    wanted = set(web.json("get", "svc", "both")["spec"]["clusterIPs"])

    def told() -> set[str]:
        out = web.exec("deploy/client", "nslookup", "both.default.svc.cluster.local", check=False).out
        return {line.partition(": ")[2] for line in out.splitlines() if line.startswith("Address: ")}

    assert eventually(lambda: told() >= wanted)
    # an endpoint's name by its address, which is in ip6.arpa
    six = next(a for a in web.json("get", "svc", "six")["spec"]["clusterIPs"])
    assert "six.default.svc.cluster.local" in web.exec("deploy/client", "nslookup", six, check=False).out


def test_packets_of_both_families_find_every_endpoint(web: Lab, mode: str) -> None:
    pod, _ = client(web)
    for version, mine in zip((4, 6), addresses(web, pod), strict=True):
        answering = eventually(partial(everybody, web, version))
        assert answering == set(pods(web, "web"))
        seen = curl(web, version, "http://both/clientip")
        assert seen.strip("[]").startswith((f"{mine}:", f"{mine}]:")), "pods keep their address"
        assert curl(web, version, "http://head/hostname") in answering
    assert curl(web, 6, "http://six/hostname") in answering
    assert "curl: (" in curl(web, 4, "http://six/hostname"), "no address of this family"
    assert "curl: (" in curl(web, 6, "http://four/hostname")


def test_a_service_without_endpoints_refuses_and_unknown_addresses_stay_inside(web: Lab, mode: str) -> None:
    ranges = web.json("get", "servicecidr", "kubernetes")["spec"]["cidrs"]
    for version, cidr in zip((4, 6), ranges, strict=True):
        assert "Failed to connect" in curl(web, version, "http://empty/")
        unknown = ipaddress.ip_network(cidr)[-2]
        url = f"http://[{unknown}]/" if version == 6 else f"http://{unknown}/"
        assert "timed out" in curl(web, version, url, within_s=1)


def test_node_ports_answer_at_every_node_and_from_the_host(web: Lab, mode: str) -> None:
    port = web.json("get", "svc", "node")["spec"]["ports"][0]["nodePort"]
    for node in web.json("get", "nodes")["items"]:
        for address in (a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"):
            host = f"[{address}]" if ":" in address else address
            url = f"http://{host}:{port}/hostname"
            assert web.run("curl", "-sS", "-m", "3", url).out in pods(web, "web")
            assert curl(web, 6 if ":" in address else 4, url) in pods(web, "web")


def test_policy_local_stays_on_the_node(web: Lab, mode: str) -> None:
    _, node = client(web)
    here = {pod for pod, at in pods(web, "web").items() if at == node}
    for version in (4, 6):
        assert {curl(web, version, "http://inside/hostname") for _ in range(4)} == here


def test_a_pod_reaches_itself_through_its_service(web: Lab, mode: str) -> None:
    web.apply(deployment("alone"))
    web.apply(service("alone", HTTP, **BOTH))
    ready(web, "alone")
    (pod,) = pods(web, "alone")

    def answered(version: int) -> bool:
        asked = ("curl", f"-{version}", "-sS", "-m", "3", "http://alone/clientip")
        said = web.exec(f"pod/{pod}", *asked, check=False).out.rpartition(":")[0].strip("[]")
        return bool(said) and said not in addresses(web, pod)

    for version in (4, 6):
        assert eventually(partial(answered, version)), "hairpin traffic is masqueraded"


def test_network_policies_hold_in_both_families(web: Lab, mode: str) -> None:
    web.apply(POLICY)
    pod, _ = client(web)
    try:
        for version in (4, 6):
            eventually(partial(hangs, web, version))
        web.kubectl("label", "pod", pod, "role=friend")
        for version in (4, 6):
            eventually(partial(everybody, web, version))
    finally:
        web.kubectl("label", "pod", pod, "role-")
        web.kubectl("delete", "networkpolicy", "friends")


POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: friends}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from: [{podSelector: {matchLabels: {role: friend}}}]
"""


def test_a_trace_tells_the_way_of_ipv6(web: Lab, mode: str) -> None:
    six = web.json("get", "svc", "six")["spec"]["clusterIP"]
    told = web.labctl("trace", "deploy/client", f"[{six}]:80").out
    assert f"-> [{six}]:80  (Service default/six)" in told and "connected in" in told
    assert "DNAT: the target becomes [fd00:" in told and "(EndpointSlice six-" in told
    shown = web.labctl("rules", "svc/six").out
    assert six in shown and "-> Pod default/web-" in shown
    assert f"[{six}]:80 answers" in web.labctl("why", f"http://[{six}]/").out


def test_udp_follows_its_endpoints(web: Lab, mode: str) -> None:
    old = web.exec("deploy/client", "sh", "-c", ASK, check=False).out.strip()
    assert old in pods(web, "web")
    web.kubectl("delete", "pod", old, "--wait=false")
    ready(web, "web")

    def other() -> bool:
        said = web.exec("deploy/client", "sh", "-c", ASK, check=False).out.strip()
        return said != old and said in pods(web, "web")

    eventually(other)


# From one port, so that it is one flow to the kernel.
ASK = "echo hostname | nc -u -w 1 -p 40404 $(getent ahostsv6 talk | cut -d' ' -f1 | head -1) 53"


def test_a_node_that_was_killed_comes_back_with_both_families(web: Lab) -> None:
    web.docker("kill", web.node("node-1"))
    web.labctl("up", timeout=120)
    said = web.labctl("status").out
    assert "fd00:" in said and "missing" not in said
    eventually(lambda: len(everybody(web, 6)) == 2, within=60)
    refused = web.labctl("up", "--ip-family", "ipv4", check=False)
    assert refused.code != 0 and "dual" in refused.err + refused.out


@pytest.mark.timeout(900)
def test_kube_proxy_writes_the_rules_that_we_write(dual: Lab, binary: Path, mode: str) -> None:
    name = f"proxy-{mode}"
    dual.kubectl("create", "namespace", name)
    eventually(lambda: dual.kubectl("get", "sa", "default", "-n", name, check=False).code == 0)
    ns = replace(dual, namespace=name)
    place(ns, ipFamilyPolicy="PreferDualStack")
    try:
        compare(ns, binary, mode, IPV4, IPV6)
    finally:
        dual.kubectl("delete", "namespace", name, "--wait=false")
