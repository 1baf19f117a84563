"""get, apply, delete and scale as a user types them, word for word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Cluster

WEB = """
apiVersion: v1
kind: Service
metadata: {name: web, labels: {tier: front}}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
API = WEB.replace("name: web", "name: api").replace("front", "back")
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "web:1"}]}}
"""


def test_get_in_every_format(cluster: Cluster, namespace: str) -> None:
    cluster.ok("apply", "-f", "-", stdin=f"{WEB}---{API}")
    lines = cluster.ok("get", "svc").splitlines()
    assert lines[0].split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert [line.split()[0] for line in lines[1:]] == ["api", "web"]
    assert cluster.ok("get", "svc", "-o", "wide").splitlines()[1].endswith("app=web")
    assert cluster.ok("get", "svc", "-o", "name") == "service/api\nservice/web\n"
    one = json.loads(cluster.ok("get", "svc/web", "-o", "json"))
    assert (one["kind"], one["metadata"]["namespace"]) == ("Service", namespace)
    assert "managedFields" not in one["metadata"]
    listed = yaml.safe_load(cluster.ok("get", "svc", "-o=yaml"))
    assert (listed["kind"], [i["metadata"]["name"] for i in listed["items"]]) == ("List", ["api", "web"])
    assert cluster.ok("get", "svc", "-ojsonpath={.items[*].metadata.name}") == "api web"
    columns = cluster.ok("get", "svc", "-o", "custom-columns=N:.metadata.name,T:.spec.type")
    assert columns == "N     T\napi   ClusterIP\nweb   ClusterIP\n"
    assert cluster.ok("get", "svc", "--no-headers", "-l", "tier=front").split()[0] == "web"
    assert cluster.ok("get", "svc", "--sort-by=.metadata.labels.tier", "-o", "name") == "service/api\nservice/web\n"
    assert cluster.ok("get", "svc", "-L", "tier").splitlines()[1].endswith("back")
    assert "tier=front" in cluster.ok("get", "svc", "web", "--show-labels")


def test_get_of_several_kinds_prefixes_names_and_separates_tables(cluster: Cluster) -> None:
    cluster.ok("apply", "-f", "-", stdin=f"{WEB}---{DEPLOYMENT}")
    blocks = cluster.ok("get", "svc,deploy").split("\n\n")
    assert [block.splitlines()[1].split()[0] for block in blocks] == ["service/web", "deployment.apps/web"]
    one = cluster.run("get", "svc/web", "deploy/nope")
    assert one.code == 1
    assert one.out.splitlines()[1].startswith("web ")
    assert one.err == 'Error from server (NotFound): deployments.apps "nope" not found\n'


def test_get_across_namespaces_and_in_another(cluster: Cluster, namespace: str) -> None:
    cluster.ok("apply", "-f", "-", stdin=WEB)
    rows = [line.split()[:2] for line in cluster.ok("get", "svc", "-A").splitlines()]
    assert rows[0] == ["NAMESPACE", "NAME"]
    assert [namespace, "web"] in rows
    assert cluster.ok("get", "svc", "-n", "default", "kubernetes", "-o", "name") == "service/kubernetes\n"
    empty = cluster.run("get", "pods")
    assert (empty.code, empty.out, empty.err) == (0, "", f"No resources found in {namespace} namespace.\n")
    assert cluster.run("get", "pods", "nope", "--ignore-not-found").err == ""


def test_apply_creates_then_leaves_then_changes(cluster: Cluster) -> None:
    assert cluster.ok("apply", "-f", "-", stdin=WEB) == "service/web created\n"
    assert cluster.ok("apply", "-f", "-", stdin=WEB) == "service/web unchanged\n"
    changed = WEB.replace("80", "81")
    assert (
        cluster.ok("apply", "-f", "-", "--dry-run=server", stdin=changed) == "service/web configured (server dry run)\n"
    )
    assert cluster.ok("apply", "-f", "-", "--dry-run=client", stdin=changed) == "service/web configured (dry run)\n"
    assert cluster.ok("get", "svc/web", "-o", "jsonpath={.spec.ports[0].port}") == "80"
    assert cluster.ok("apply", "-f", "-", stdin=changed) == "service/web configured\n"
    assert cluster.ok("get", "svc/web", "-o", "jsonpath={.spec.ports[0].port}") == "81"
    assert "serverside-applied" in cluster.ok("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=changed)


def test_a_field_taken_out_of_the_manifest_goes_and_others_stay(cluster: Cluster) -> None:
    cluster.ok("apply", "-f", "-", stdin=WEB)
    address = cluster.ok("get", "svc/web", "-o", "jsonpath={.spec.clusterIP}")
    without = WEB.replace(", labels: {tier: front}", "")
    assert cluster.ok("apply", "-f", "-", stdin=without) == "service/web configured\n"
    left = json.loads(cluster.ok("get", "svc/web", "-o", "json"))
    assert "labels" not in left["metadata"]
    assert left["spec"]["clusterIP"] == address


def test_what_can_be_done_is_done_and_every_failure_is_told(cluster: Cluster) -> None:
    bad = WEB.replace("name: web", "name: Bad").replace("80", "70000")
    done = cluster.run(
        "apply", "-f", "-", stdin=f"{bad}---{API}---\n{{kind: Widget, apiVersion: v1, metadata: {{name: x}}}}"
    )
    assert (done.code, done.out) == (1, "service/api created\n")
    assert 'error when creating "STDIN": Service "Bad" is invalid: [metadata.name: ' in done.err
    assert 'no matches for kind "Widget" in version "v1"' in done.err


def test_folders_are_read_in_order_and_without_what_is_no_manifest(cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    (folder / "deeper").mkdir(parents=True)
    (folder / "2.yaml").write_text(WEB)
    (folder / "1.yml").write_text(API)
    (folder / "notes.txt").write_text("no manifest")
    (folder / "deeper" / "3.json").write_text(json.dumps(yaml.safe_load(WEB.replace("name: web", "name: third"))))
    assert cluster.ok("apply", "-f", "manifests") == "service/api created\nservice/web created\n"
    assert cluster.ok("apply", "-R", "-f", "manifests/").splitlines()[-1] == "service/third created"


def test_delete_by_name_label_kind_and_manifest(cluster: Cluster, namespace: str) -> None:
    cluster.ok("apply", "-f", "-", stdin=f"{WEB}---{API}")
    where = f"deleted from {namespace} namespace"
    assert cluster.ok("delete", "svc", "-l", "tier=front") == f'service "web" {where}\n'
    assert cluster.ok("delete", "-f", "-", stdin=API) == f'service "api" {where}\n'
    again = cluster.run("delete", "-f", "-", stdin=API)
    assert (again.code, again.out) == (1, "")
    assert 'services "api" not found' in again.err
    cluster.ok("apply", "-f", "-", stdin=f"{WEB}---{API}")
    assert cluster.ok("delete", "svc/web", "-o", "name") == "service/web\n"
    assert cluster.ok("delete", "svc", "--all") == f'service "api" {where}\n'
    assert cluster.ok("delete", "svc", "--all") == "No resources found\n"


def test_scale_and_its_condition(cluster: Cluster, until: Callable[[Callable[[], object]], None]) -> None:
    cluster.ok("apply", "-f", "-", stdin=DEPLOYMENT)
    assert cluster.ok("scale", "deploy/web", "--replicas=3") == "deployment.apps/web scaled\n"
    assert cluster.ok("get", "deploy/web", "-o", "jsonpath={.spec.replicas}") == "3"
    until(lambda: len(cluster.ok("get", "pods", "-o", "name").splitlines()) == 3)
    refused = cluster.run("scale", "deploy/web", "--current-replicas=5", "--replicas=1")
    assert (refused.code, refused.err) == (1, "error: Expected replicas to be 5, was 3\n")
    missing = cluster.run("scale", "deploy", "nope", "--replicas=1")
    assert missing.code == 1
    assert 'deployments.apps "nope" not found' in missing.err


BROKEN: dict[str, tuple[bytes, str]] = {
    "yaml": (b"a: [b\n", "error: error parsing STDIN: error converting YAML to JSON: yaml: line "),
    "binary": (b"\x00\x01\xff\xfe", "error: error parsing STDIN"),
    "a list": (b"- a\n", "error: error"),
    "text": (b"hello", "error: error"),
    "empty": (b"", "error: no objects passed to apply"),
    "comments only": (b"# nothing\n---\n", "error: no objects passed to apply"),
    "no kind": (b"apiVersion: v1\n", 'error: error validating "STDIN": error validating data: kind not set'),
    "no version": (b"kind: Service\n", 'error: error validating "STDIN": error validating data: apiVersion not set'),
    "names that are no text": (b"{apiVersion: v1, kind: Service, metadata: {name: [a]}}", "rror"),
    "metadata that is none": (b"{apiVersion: v1, kind: Service, metadata: 7}", "rror"),
    "kind that is none": (b"{apiVersion: v1, kind: [a]}", "rror"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_manifest_is_a_clear_error_and_changes_nothing(cluster: Cluster, case: str) -> None:
    text, words = BROKEN[case]
    for verb in ("apply", "delete"):
        said = cluster.run(verb, "-f", "-", stdin=text)
        assert said.out in ("", "No resources found\n"), said
        assert verb == "delete" or (said.code == 1 and words in said.err), said
        assert "Traceback" not in said.err


def test_windows_line_ends_and_a_byte_order_mark_are_read(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_bytes(b"\xef\xbb\xbf" + WEB.replace("\n", "\r\n").encode())
    assert cluster.ok("apply", "-f", "web.yaml") == "service/web created\n"


def test_exec_and_logs_of_what_does_not_run_are_refused_in_kubectls_words(cluster: Cluster) -> None:
    pod = "{apiVersion: v1, kind: Pod, metadata: {name: %s}, spec: {%scontainers: [{name: main, image: x}]}}"
    nowhere = pod % ("nowhere", "nodeSelector: {such: none}, ")
    cluster.ok("apply", "-f", "-", stdin=nowhere)
    refused = cluster.run("exec", "nowhere", "--", "true")
    words = "error: unable to upgrade connection: pod nowhere does not have a host assigned\n"
    assert (refused.code, refused.err) == (1, words)
    assert cluster.run("exec", "nowhere").err == "error: you must specify at least one command for the container\n"
    assert cluster.run("logs", "nowhere", "--tail=-5").err == "error: --tail must be greater than or equal to -1\n"
    other = cluster.run("logs", "nowhere", "-c", "other")
    assert (other.code, other.err) == (1, "error: container other is not valid for pod nowhere out of: main\n")
