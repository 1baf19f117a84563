"""Labs broken for real, `labctl why` asked, and its command run: afterwards nothing is wrong any more."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.docker.lab import Lab, Result, eventually
from tests.docker.objects import IMAGE, deployment, service
from tests.docker.test_services import ready

pytestmark = pytest.mark.docker

PORT = 18310


def why(ns: Lab, *args: str) -> Result:
    return ns.labctl("why", *args, "-n", ns.namespace, check=False)


def told(ns: Lab, *args: str, words: str) -> str:
    """What is said once these words are part of it; a problem is said with exit code 1."""

    def ask() -> str:
        said = why(ns, *args)
        assert words in said.out, said
        assert said.code == 1, said
        return said.out

    return eventually(ask, within=30, every=0.5)


def command(said: str) -> str:
    """The command that mends: the last line."""
    assert "mend" in said, said
    return said.rstrip().splitlines()[-1].strip()


def mend(ns: Lab, said: str, **values: str) -> None:
    """Run what was said, with what only the learner knows filled in."""
    line = command(said)
    for placeholder, value in values.items():
        assert placeholder in line, line
        line = line.replace(placeholder, value)
    ns.run("sh", "-c", line, check=True)


def healed(ns: Lab, *args: str) -> str:
    def ask() -> str:
        said = why(ns, *args)
        assert said.code == 0, said
        return said.out

    return eventually(ask, within=30, every=0.5)


def run(ns: Lab, *manifests: str, wait: tuple[str, ...] = ()) -> None:
    for manifest in manifests:
        ns.apply(manifest)
    ready(ns, *wait)


@contextmanager
def another_namespace(ns: Lab) -> Iterator[str]:
    name = f"{ns.namespace}-b"
    ns.kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        ns.kubectl("delete", "namespace", name, "--wait=false")


def test_a_healthy_service_answers(ns: Lab) -> None:
    run(ns, deployment("web"), service("web", {"port": 80}), wait=("web",))
    said = healed(ns, "svc/web")
    assert "ready endpoint" in said and ":80 answers pod/" in said
    assert "mend" not in said
    assert "answers pod/web-" in healed(ns, "http://web/hostname", "--from", "deploy/web")
    assert "no pod has a problem" in healed(ns)


def test_a_typing_error_in_the_selector(ns: Lab) -> None:
    run(ns, deployment("web"), service("web", {"port": 80}, app="wbe"), wait=("web",))
    said = told(ns, "svc/web", words="has no endpoints: no pod in namespace")
    assert "nearly matches: app=wbe is not app=web" in said
    assert command(said) == f"kubectl set selector svc web app=web -n {ns.namespace}"
    mend(ns, said)
    healed(ns, "svc/web")


def test_a_service_in_another_namespace_than_its_pods(ns: Lab) -> None:
    with another_namespace(ns) as other:
        ns.kubectl("apply", "-n", other, "-f", "-", stdin=service("web", {"port": 80}))
        run(ns, deployment("web"), wait=("web",))
        said = ns.labctl("why", "svc/web", "-n", other, check=False).out
        assert f'has these labels but is in namespace "{ns.namespace}"' in said
        mend(ns, said)
        healed(ns, "svc/web")


def test_a_name_without_its_namespace(ns: Lab) -> None:
    run(ns, deployment("web"), service("web", {"port": 80}), wait=("web",))
    with another_namespace(ns) as other:
        said = ns.labctl("why", "http://web/", "-n", other, check=False)
        assert said.code == 1
        assert f'but in "{ns.namespace}": from here its name is web.{ns.namespace}' in said.out
        mend(ns, said.out)
        assert ns.labctl("why", "http://web/", "-n", other).code == 0
        assert ns.labctl("why", f"http://web.{ns.namespace}/", "-n", other).code == 0


def test_a_readiness_probe_that_asks_the_wrong_port(ns: Lab) -> None:
    probe = {"httpGet": {"path": "/hostname", "port": 8080}, "periodSeconds": 1}
    run(ns, deployment("web", container={"readinessProbe": probe}), service("web", {"port": 80}))
    said = told(ns, "svc/web", words="Readiness probe failed")
    assert "none is a ready endpoint: connections are refused" in said
    assert "it listens on 80" in said and "the probe asks 8080" in said
    mend(ns, said)
    ready(ns, "web")
    healed(ns, "svc/web")


def test_a_port_name_that_the_pods_do_not_have(ns: Lab) -> None:
    ports = {"ports": [{"name": "http", "containerPort": 80}]}
    run(ns, deployment("web", container=ports), service("web", {"port": 80, "targetPort": "web-http"}), wait=("web",))
    said = told(ns, "svc/web", words='targetPort "web-http" is no port name')
    assert 'it has "http"' in said
    mend(ns, said)
    healed(ns, "svc/web")


def test_a_port_that_nothing_listens_on(ns: Lab) -> None:
    run(ns, deployment("web"), service("web", {"port": 80, "targetPort": 8000}), wait=("web",))
    said = told(ns, "http://web/", words="sends to port 8000, but pod web-")
    assert "listens on 80" in said and "refused by the pod" in said
    mend(ns, said)
    healed(ns, "http://web/")


def test_a_deployment_scaled_to_zero(ns: Lab) -> None:
    run(ns, deployment("web", replicas=0), service("web", {"port": 80}))
    said = told(ns, "svc/web", words="is scaled to 0")
    assert command(said) == f"kubectl scale deploy/web --replicas=1 -n {ns.namespace}"
    mend(ns, said)
    ready(ns, "web")
    healed(ns, "svc/web")


def test_an_image_that_nobody_has(ns: Lab) -> None:
    run(ns, deployment("right"), deployment("web", image=f"{IMAGE}ed"), service("web", {"port": 80}), wait=("right",))
    said = told(ns, "svc/web", words=f'cannot get image "{IMAGE}ed"')
    assert command(said) == f"kubectl set image deploy/web main={IMAGE} -n {ns.namespace}"
    mend(ns, said)
    ready(ns, "web")
    healed(ns, "deploy/web")


def test_a_container_that_ends_again_and_again(ns: Lab) -> None:
    broken = {"command": ["sh", "-c", "echo no database >&2; exit 3"]}
    run(ns, deployment("web"), service("web", {"port": 80}), wait=("web",))
    ns.kubectl("delete", "pod", "-n", ns.namespace, "-l", "app=web", "--wait=false")
    patch = {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}
    ns.kubectl("patch", "deploy/web", "-n", ns.namespace, "-p", json.dumps(patch))
    ns.apply(deployment("web", container=broken))
    said = told(ns, "svc/web", words="is started again and again")
    assert 'ended with exit code 3; its last words: "no database"' in said
    assert command(said) == f"kubectl rollout undo deploy/web -n {ns.namespace}"
    mend(ns, said)
    ready(ns, "web")
    healed(ns, "svc/web")


def test_a_process_of_this_machine_holds_the_port(ns: Lab) -> None:
    with socket.create_server(("127.0.0.1", PORT)):
        run(ns, deployment("web"), service("web", {"port": PORT, "targetPort": 80}, type="LoadBalancer"), wait=("web",))
        said = told(ns, "svc/web", words=f"EXTERNAL-IP is pending: port {PORT}/TCP of 127.0.0.1 is")
        assert f"{os.getpid()}" in said, "the process is named"
        mend(ns, said)
        assert ":18311" in healed(ns, "svc/web")


def test_another_service_holds_the_port(ns: Lab) -> None:
    run(ns, deployment("web"), wait=("web",))
    ns.apply(service("first", {"port": PORT + 10, "targetPort": 80}, app="web", type="LoadBalancer"))
    eventually(lambda: "is published" in why(ns, "svc/first").out)
    ns.apply(service("second", {"port": PORT + 10, "targetPort": 80}, app="web", type="LoadBalancer"))
    said = told(ns, "svc/second", words=f"held by service {ns.namespace}/first")
    mend(ns, said)
    healed(ns, "svc/second")
    assert "is a port of svc/first" in healed(ns, f"http://localhost:{PORT + 10}/")


def test_an_external_name_that_does_not_resolve(ns: Lab) -> None:
    alias = {"type": "ExternalName", "externalName": f"wbe.{ns.namespace}.svc.cluster.local"}
    run(ns, deployment("web"), service("web", {"port": 80}), wait=("web",))
    ns.apply(json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "alias"}, "spec": alias}))
    said = told(ns, "svc/alias", words="does not resolve for pod/web-")
    assert f'there is "web.{ns.namespace}.svc.cluster.local"' in said
    mend(ns, said)
    assert "resolves to 10." in healed(ns, "svc/alias")


def hand_made(ns: Lab, name: str, *addresses: str, port: int = 80) -> None:
    subsets: list[dict[str, Any]] = [{"addresses": [{"ip": a} for a in addresses], "ports": [{"port": port}]}]
    ns.apply(json.dumps({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name}, "subsets": subsets}))


def test_a_service_without_selector_and_endpoints(ns: Lab, outside: str) -> None:
    run(ns, deployment("client"), service("db", {"port": 80}, app=""), wait=("client",))
    said = told(ns, "svc/db", words="nobody has written Endpoints of the same name")
    address = ns.docker("exec", outside, "hostname", "-i").out.strip()
    ns.docker("exec", "-d", outside, "python3", "-m", "http.server", "80")
    mend(ns, said, ADDRESS=address)
    healed(ns, "http://db/")


def test_endpoints_with_an_address_that_nobody_has(ns: Lab, outside: str) -> None:
    address = ns.docker("exec", outside, "hostname", "-i").out.strip()
    ns.docker("exec", "-d", outside, "python3", "-m", "http.server", "80")
    run(ns, deployment("client"), service("db", {"port": 80}, app=""), wait=("client",))
    nobody = f"{address.rpartition('.')[0]}.249"
    hand_made(ns, "db", nobody)
    said = told(ns, "http://db/", words=f"its endpoint {nobody}:80, written by hand, tried from pod/client-")
    assert "no host has this address" in said
    mend(ns, said, ADDRESS=address)
    healed(ns, "http://db/")


def test_a_node_port_that_no_service_has(ns: Lab) -> None:
    run(ns, deployment("web"), service("web", {"port": 80}, type="NodePort"), wait=("web",))
    node_port = ns.json("get", "svc", "web", "-n", ns.namespace)["spec"]["ports"][0]["nodePort"]
    node = ns.json("get", "node", "node-2")["status"]["addresses"][0]["address"]
    assert "is a nodePort of svc/web" in healed(ns, f"http://{node}:{node_port}/")
    eventually(lambda: why(ns, f"http://localhost:{node_port}/").code == 0)
    wrong = why(ns, f"http://{node}:29999/")
    assert wrong.code == 1
    assert "node/node-2 has no nodePort 29999" in wrong.out and f"{node_port} (svc/web)" in wrong.out
    ns.kubectl("delete", "deploy/web", "-n", ns.namespace)
    told(ns, f"http://{node}:{node_port}/", words="has no endpoints")


def test_a_policy_that_lets_nobody_in(ns: Lab) -> None:
    run(ns, deployment("web"), deployment("client"), service("web", {"port": 80}), wait=("web", "client"))
    url, asking = "http://web/", ("--from", "deploy/client")
    healed(ns, url, *asking)
    policy = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]}
    meta = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "deny"}}
    ns.apply(json.dumps({**meta, "spec": policy}))
    said = told(ns, url, *asking, words="netpol/deny")
    assert "allows nothing on port 80/TCP from pod client-" in said
    mend(ns, said)
    healed(ns, url, *asking)


def test_a_policy_that_forgets_dns(ns: Lab) -> None:
    run(ns, deployment("web"), deployment("client"), service("web", {"port": 80}), wait=("web", "client"))
    to = [{"to": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]
    policy = {"podSelector": {"matchLabels": {"app": "client"}}, "policyTypes": ["Egress"], "egress": to}
    meta = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "only-web"}}
    ns.apply(json.dumps({**meta, "spec": policy}))
    said = told(ns, "http://web/", "--from", "deploy/client", words="keeps the pod from DNS, so no name resolves")
    mend(ns, said)
    healed(ns, "http://web/", "--from", "deploy/client")


def test_everything_that_is_wrong_in_a_namespace(ns: Lab) -> None:
    run(ns, deployment("web", replicas=0), service("web", {"port": 80}), service("api", {"port": 80}, app="ap"))
    said = told(ns, words="deploy/web")
    assert "svc/api" in said
    listed = json.loads(why(ns, "-o", "json").out)
    assert {f["severity"] for f in listed} >= {"problem"} and all(f["text"] for f in listed)
