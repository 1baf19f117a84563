"""Names outside the cluster: asked of whom the user chose, with a resolver of the test's own on the lab's LAN."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address

import pytest

from tests.docker.lab import Lab, eventually
from tests.docker.objects import deployment
from tests.docker.test_services import ready

pytestmark = pytest.mark.docker

ANSWER = "203.0.113.9"
_A = b"\x00\x01\x00\x01"


def _answer(query: bytes) -> bytes:
    """ANSWER to every question for an A record, and no record to all others (RFC 1035, section 4)."""
    question = query[12 : query.index(b"\0", 12) + 5]
    found = question.endswith(_A)
    record = b"\xc0\x0c" + _A + b"\0\0\0\x1e\0\x04" + ip_address(ANSWER).packed
    header = query[:2] + b"\x81\x80\0\x01" + found.to_bytes(2, "big") + b"\0\0\0\0"
    return header + question + (record if found else b"")


def _serve(served: socket.socket) -> None:
    while (asked := served.recvfrom(512))[0] != b"end":
        served.sendto(_answer(asked[0]), asked[1])


@pytest.fixture
def resolver(lab: Lab) -> Iterator[str]:
    """A resolver on this machine, where the lab's LAN reaches it. The lab asks nobody again afterwards."""
    network = f"labctl-{lab.name}-lan"
    gateway = lab.docker("network", "inspect", network, "--format", "{{(index .IPAM.Config 0).Gateway}}").out.strip()
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as served:
        served.bind((gateway, 0))
        thread = threading.Thread(target=_serve, args=(served,), name="resolver")
        thread.start()
        yield f"{gateway}:{served.getsockname()[1]}"
        served.sendto(b"end", served.getsockname())
        thread.join()
    lab.labctl("up", "--dns-upstream", "none", timeout=120)


def test_a_lab_asks_whom_it_is_told_to_ask_and_only_then(ns: Lab, resolver: str) -> None:
    ns.apply(deployment("client"))
    ready(ns, "client")

    def lookup(name: str) -> str:
        return ns.exec("deploy/client", "nslookup", "-type=a", name, check=False).out

    assert "NXDOMAIN" in lookup("outside.test")
    up = ns.labctl("up", "--dns-upstream", resolver, timeout=120)
    assert f"DNS upstream ({resolver} answers)" in up.err
    assert f"Address: {ANSWER}" in lookup("outside.test")
    assert "Address: 10.96.0.1\n" in lookup("kubernetes.default.svc.cluster.local")
    ns.labctl("up", "--dns-upstream", "none", timeout=120)
    eventually(lambda: "NXDOMAIN" in lookup("elsewhere.test"))


def test_a_resolver_that_does_not_answer_is_told_and_the_lab_works(ns: Lab, resolver: str) -> None:
    silent = resolver.rpartition(":")[0] + ":9"
    refused = ns.labctl("up", "--dns-upstream", silent, check=False, timeout=120)
    assert refused.code == 1
    assert f"no answer from {silent} to a pod" in refused.err
    assert "Traceback" not in refused.err
    ns.apply(deployment("client"))
    ready(ns, "client")
    assert (
        "Address: 10.96.0.1\n"
        in ns.exec("deploy/client", "nslookup", "-type=a", "kubernetes.default.svc.cluster.local").out
    )
