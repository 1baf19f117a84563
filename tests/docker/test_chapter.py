"""The chapter on Services, with both clients: the same words on the screen, real answers behind them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from labctl.lab.networks import first_free_port
from tests.docker.lab import Lab, Result, eventually

pytestmark = pytest.mark.docker

WARNING = "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\n"
IP = r"\d+\.\d+\.\d+\.\d+"

DEPLOYMENTS = """
apiVersion: apps/v1   # the chapter's two applications
kind: Deployment
metadata: {name: numbers-api}
spec:
  selector: {matchLabels: {app: numbers-api}}
  template:
    metadata: {labels: {app: numbers-api}}
    spec: {containers: [{name: api, image: kiamol/ch03-numbers-api}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: numbers-web}
spec:
  selector: {matchLabels: {app: numbers-web}}
  template:
    metadata: {labels: {app: numbers-web}}
    spec: {containers: [{name: web, image: kiamol/ch03-numbers-web}]}
"""
API_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: numbers-api}
spec:
  ports: [{port: 80}]
  selector: {app: numbers-api}
  type: ClusterIP
"""
WEB_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: numbers-web}
spec:
  ports: [{port: PORT, targetPort: 80}]
  selector: {app: numbers-web}
  type: LoadBalancer
"""
EXTERNAL_NAME = """
apiVersion: v1
kind: Service
metadata: {name: numbers-api}
spec:
  type: ExternalName
  externalName: raw.githubusercontent.com
"""
SELECTORLESS = """
apiVersion: v1
kind: Service
metadata: {name: numbers-api}
spec:
  type: ClusterIP      # No selector field
  ports:
    - port: 80
---
kind: Endpoints
apiVersion: v1
metadata: {name: numbers-api}
subsets:
  - addresses:
      - ip: 192.168.123.234
    ports:
      - port: 80
"""
LOOKUP = ("sh", "-c", 'nslookup numbers-api | grep "^[^*]"')


def table(text: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


@pytest.fixture(params=["labctl", "kubectl"])
def client(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Callable[..., Result]]:
    """Both clients in turn, in the default namespace as the chapter has it."""
    yield lab.client(request.param)
    lab.kubectl("delete", "deploy,svc", "-l", "app!=kept", "--field-selector", "metadata.name!=kubernetes")
    eventually(lambda: not lab.json("get", "pods")["items"])


def test_the_chapter_from_first_deployment_to_name_resolution(lab: Lab, client: Callable[..., Result]) -> None:
    assert client("apply", "-f", "-", stdin=DEPLOYMENTS).out == (
        "deployment.apps/numbers-api created\ndeployment.apps/numbers-web created\n"
    )
    eventually(lambda: client("get", "deploy").out.count("1/1") == 2)
    assert client("exec", "deploy/numbers-web", "--", *LOOKUP).out == "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n"

    # 3-1 ClusterIP
    assert client("apply", "-f", "-", stdin=API_SERVICE).out == "service/numbers-api created\n"
    assert client("apply", "-f", "-", stdin=API_SERVICE).out == "service/numbers-api unchanged\n"
    header, row = table(client("get", "svc", "numbers-api").out)
    assert header == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert row[:2] + row[3:5] == ["numbers-api", "ClusterIP", "<none>", "80/TCP"]
    assert re.fullmatch(IP, row[2])
    assert client("exec", "deploy/numbers-web", "--", *LOOKUP).out == (
        "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n"
        f"Name:\tnumbers-api.default.svc.cluster.local\nAddress: {row[2]}\n"
    )
    number = client("exec", "deploy/numbers-web", "--", "curl", "-sS", "-m", "5", "http://numbers-api/rng").out
    assert re.fullmatch(r"\d+\n?", number)

    # 3-2 LoadBalancer
    port = first_free_port(range(8080, 8180))
    assert (
        client("apply", "-f", "-", stdin=WEB_SERVICE.replace("PORT", str(port))).out == "service/numbers-web created\n"
    )
    eventually(lambda: "localhost" in client("get", "svc", "numbers-web").out)
    row = table(client("get", "svc", "numbers-web").out)[1]
    assert row[1] == "LoadBalancer" and row[3] == "localhost" and re.fullmatch(rf"{port}:3\d{{4}}/TCP", row[4])
    page = lab.run("curl", "-sS", "-m", "5", f"http://localhost:{port}")
    assert page.code == 0 and "<button" in page.out.lower()

    # 3-3 ExternalName: the CNAME is what a lookup shows; its target is a stand-in where the internet is out of reach
    assert client("delete", "svc", "numbers-api").out.startswith('service "numbers-api" deleted')
    assert client("apply", "-f", "-", stdin=EXTERNAL_NAME).out == "service/numbers-api created\n"
    row = table(client("get", "svc", "numbers-api").out)[1]
    assert row[:5] == ["numbers-api", "ExternalName", "<none>", "raw.githubusercontent.com", "<none>"]
    lookup = client("exec", "deploy/numbers-web", "--", *LOOKUP).out
    assert "numbers-api.default.svc.cluster.local\tcanonical name = raw.githubusercontent.com" in lookup

    # 3-3 selector-less Service with hand-made Endpoints
    client("delete", "svc", "numbers-api")
    applied = client("apply", "-f", "-", stdin=SELECTORLESS)
    assert applied.out == "service/numbers-api created\nendpoints/numbers-api created\n"
    assert applied.err == WARNING
    listed = client("get", "endpoints", "numbers-api")
    assert table(listed.out)[1][:2] == ["numbers-api", "192.168.123.234:80"]
    assert listed.err == WARNING
    cluster_ip = table(client("get", "svc", "numbers-api").out)[1][2]
    lookup = client("exec", "deploy/numbers-web", "--", *LOOKUP).out
    assert lookup.endswith(f"Name:\tnumbers-api.default.svc.cluster.local\nAddress: {cluster_ip}\n")

    # 4 names
    rows = table(client("get", "svc", "-n", "kube-system").out)
    assert rows[1][:5] == ["kube-dns", "ClusterIP", "10.96.0.10", "<none>", "53/UDP,53/TCP,9153/TCP"]
    full = client(
        "exec", "deploy/numbers-web", "--", "sh", "-c", 'nslookup kube-dns.kube-system.svc.cluster.local | grep "^[^*]"'
    )
    assert full.out == (
        "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n"
        "Name:\tkube-dns.kube-system.svc.cluster.local\nAddress: 10.96.0.10\n"
    )


def test_the_lesson_plays_the_chapter_and_passes(lab: Lab) -> None:
    played = lab.labctl("lesson", "chapter3", timeout=180)
    assert "0 failed" in played.out
