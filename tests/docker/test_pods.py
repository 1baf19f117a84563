"""Deployments keep their pods, and the Service follows."""

from __future__ import annotations

import re
from functools import partial

import pytest

from tests.docker.lab import Lab, eventually
from tests.docker.objects import deployment, service
from tests.docker.test_services import CURL, pods, ready

pytestmark = pytest.mark.docker


def addresses(ns: Lab, app: str) -> set[str]:
    items = ns.json("get", "pods", "-n", ns.namespace, "-l", f"app={app}")["items"]
    return {
        p["status"]["podIP"] for p in items if "deletionTimestamp" not in p["metadata"] and p["status"].get("podIP")
    }


def slice_addresses(ns: Lab, name: str) -> set[str]:
    slices = ns.json("get", "endpointslices", "-n", ns.namespace, "-l", f"kubernetes.io/service-name={name}")["items"]
    return {a for s in slices for e in s["endpoints"] or [] if e["conditions"]["ready"] for a in e["addresses"]}


@pytest.mark.parametrize("how", ["deleted", "removed behind our back"])
def test_a_lost_pod_is_replaced_with_a_new_address_and_everything_follows(ns: Lab, how: str) -> None:
    ns.apply(deployment("web"))
    ns.apply(deployment("client"))
    ns.apply(service("web", {"port": 80}))
    ready(ns, "web", "client")
    cluster_ip = ns.json("get", "svc", "web", "-n", ns.namespace)["spec"]["clusterIP"]
    before = addresses(ns, "web")
    name = next(iter(pods(ns, "web")))
    if how == "deleted":
        ns.kubectl("delete", "pod", name, "-n", ns.namespace)
    else:
        ids = ns.containers(f"label=io.kubernetes.pod.name={name}")
        ns.docker("rm", "-f", *ids)
    eventually(lambda: addresses(ns, "web") and not addresses(ns, "web") & before)
    ready(ns, "web")
    assert eventually(lambda: slice_addresses(ns, "web") == addresses(ns, "web"))
    assert ns.json("get", "svc", "web", "-n", ns.namespace)["spec"]["clusterIP"] == cluster_ip
    answer = eventually(lambda: ns.exec("deploy/client", *CURL, "http://web/hostname", check=False).out)
    assert answer.strip() in pods(ns, "web")


def test_a_killed_container_is_restarted_in_place(ns: Lab) -> None:
    ns.apply(deployment("web"))
    ready(ns, "web")
    name = next(iter(pods(ns, "web")))
    container = ns.containers(f"label=io.kubernetes.pod.name={name}", "label=io.kubernetes.container.name=main")
    ns.docker("kill", *container)

    def restarted() -> bool:
        status = ns.json("get", "pod", name, "-n", ns.namespace)["status"]["containerStatuses"][0]
        return bool(status["restartCount"] == 1 and status["ready"])

    assert eventually(restarted)


def settled(ns: Lab, replicas: int) -> bool:
    return len(pods(ns, "web")) == replicas == len(slice_addresses(ns, "web"))


def test_scale_up_and_down(ns: Lab) -> None:
    ns.apply(deployment("web"))
    ns.apply(service("web", {"port": 80}))
    for client, replicas in (("labctl", 3), ("kubectl", 1)):
        said = ns.client(client)("scale", "deploy/web", f"--replicas={replicas}", "-n", ns.namespace)
        assert said.out == "deployment.apps/web scaled\n"
        eventually(partial(settled, ns, replicas))


def test_a_rollout_replaces_pods_without_losing_the_service(ns: Lab) -> None:
    ns.apply(deployment("web", replicas=2))
    ns.apply(service("web", {"port": 80}))
    ready(ns, "web")
    old = set(pods(ns, "web"))
    ns.kubectl("set", "env", "deploy/web", "COLOUR=green", "-n", ns.namespace)
    ready(ns, "web")
    eventually(lambda: not set(pods(ns, "web")) & old and len(pods(ns, "web")) == 2)
    revisions = ns.kubectl("rollout", "history", "deploy/web", "-n", ns.namespace).out
    assert re.search(r"^2\s", revisions, re.MULTILINE)


@pytest.mark.parametrize("client", ["labctl", "kubectl"])
def test_exec_passes_stdin_and_exit_code_and_logs_show_output(ns: Lab, client: str) -> None:
    run = ns.client(client)
    ns.apply(
        deployment("sh", image="kiamol/ch03-sleep", args=["sh", "-c", "echo started; echo oops >&2; exec sleep 3600"])
    )
    ready(ns, "sh")
    n = ("-n", ns.namespace)
    echoed = run("exec", "-i", *n, "deploy/sh", "--", "cat", stdin="hello\n")
    assert echoed.out == "hello\n"
    failed = run("exec", *n, "deploy/sh", "-c", "main", "--", "sh", "-c", "exit 7", check=False)
    assert failed.code == 7 and "command terminated with exit code 7" in failed.err
    assert set(run("logs", *n, "deploy/sh").out.split()) == {"started", "oops"}


def test_an_image_that_cannot_be_had_is_told_in_kubernetes_words(ns: Lab) -> None:
    ns.apply(deployment("none", image="no.such.registry.invalid/nothing:1"))
    eventually(lambda: re.search(r"ErrImagePull|ImagePullBackOff", ns.kubectl("get", "pods", "-n", ns.namespace).out))
    messages = [e["message"] for e in ns.json("get", "events", "-n", ns.namespace)["items"]]
    assert any("no.such.registry.invalid/nothing:1" in m and "ailed to pull" in m for m in messages)
    name = next(iter(pods(ns, "none")))
    refused = ns.exec(name, "true", check=False)
    assert (refused.code, refused.err) == (1, 'error: unable to upgrade connection: container not found ("main")\n')
    assert ns.labctl("exec", "-n", ns.namespace, name, "--", "true", check=False).err == refused.err


def test_config_maps_secrets_and_the_service_account_reach_the_container(ns: Lab) -> None:
    ns.kubectl("create", "configmap", "conf", "--from-literal=colour=green", "-n", ns.namespace)
    ns.kubectl("create", "secret", "generic", "hidden", "--from-literal=key=s3cret", "-n", ns.namespace)
    volumes = [{"name": "conf", "configMap": {"name": "conf"}}, {"name": "tmp", "emptyDir": {}}]
    container = {
        "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "key"}}}],
        "volumeMounts": [{"name": "conf", "mountPath": "/etc/conf"}, {"name": "tmp", "mountPath": "/scratch"}],
    }
    ns.apply(deployment("c", container=container, volumes=volumes))
    ready(ns, "c")
    shell = "cat /etc/conf/colour; echo; echo $KEY; cat /var/run/secrets/kubernetes.io/serviceaccount/namespace"
    assert ns.exec("deploy/c", "sh", "-c", shell).out.split() == ["green", "s3cret", ns.namespace]


def test_readiness_gates_the_endpoints(ns: Lab) -> None:
    probe = {"exec": {"command": ["test", "-f", "/tmp/ready"]}, "periodSeconds": 1}
    ns.apply(deployment("gate", container={"readinessProbe": probe}))
    ns.apply(service("gate", {"port": 80}))
    eventually(lambda: "Running" in ns.kubectl("get", "pods", "-n", ns.namespace).out)
    assert slice_addresses(ns, "gate") == set()
    ns.exec("deploy/gate", "touch", "/tmp/ready")
    assert eventually(lambda: len(slice_addresses(ns, "gate")) == 1)
