"""labctl and stock kubectl answer the same commands with the same bytes, each in a namespace of its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.docker.lab import Lab, Result, eventually
from tests.docker.objects import service

pytestmark = pytest.mark.docker

CLIENTS = ("labctl", "kubectl")
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: sleep}
spec:
  selector: {matchLabels: {app: sleep}}
  template:
    metadata: {labels: {app: sleep}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: sleep, image: kiamol/ch03-sleep, command: [sleep, infinity]}]
"""
FILES = {
    "web.yaml": service("web", {"port": 80}),
    "changed.yaml": service("web", {"port": 81}),
    "two.yaml": f"# both\r\n{service('one', {'port': 80})}\r\n---\r\n{service('two', {'port': 81})}\r\n---\r\n",
    "sleep.yaml": DEPLOYMENT,
    "bad-yaml.yaml": "apiVersion: v1\nkind: Service\nmetadata:\n  name: x\n bad\n",
    "bad-port.yaml": service("bad", {"port": 70000}),
    "bad-field.yaml": service("bad", {"port": 80}).replace("spec", "specc"),
    "bad-kind.yaml": "apiVersion: v1\nkind: Widget\nmetadata: {name: x}\n",
    "some-bad.yaml": f"apiVersion: v1\nkind: Widget\nmetadata: {{name: x}}\n---\n{service('good', {'port': 80})}",
    "no-kind.yaml": "apiVersion: v1\n",
    "empty.yaml": "",
}

# In this order, in both namespaces.
COMMANDS = (
    "get svc",
    "apply -f web.yaml",
    "apply -f web.yaml",
    "apply -f changed.yaml",
    "apply -f two.yaml",
    "apply -f two.yaml --dry-run=client",
    "apply -f changed.yaml --dry-run=server",
    "apply --server-side --force-conflicts -f web.yaml",
    "get svc",
    "get svc -o wide",
    "get svc -o name",
    "get svc web -o yaml",
    "get svc -o json",
    "get svc -o jsonpath={.items[*].metadata.name}",
    "get svc -o custom-columns=NAME:.metadata.name,PORT:.spec.ports[0].port,NONE:.spec.nope",
    "get svc -o go-template={{len .items}}",
    "get svc --show-labels",
    "get svc -L app",
    "get svc --no-headers",
    "get svc --sort-by=.metadata.name",
    "get svc --sort-by={.spec.ports[0].port} -o name",
    "get svc web nope",
    "get svc/web deploy/nope",
    "get svc,endpoints",
    "get endpointslices -l kubernetes.io/service-name=web",
    "get svc -l nope=1",
    "get svc -n kube-system",
    "get cm -n kube-system coredns -o name",
    "get ns kube-system -o name",
    "get widgets",
    "get",
    "get svc -o nope",
    "get svc -o jsonpath={.items[0",
    "get svc web --ignore-not-found --nosuchflag",
    "get svc nope --ignore-not-found",
    "apply",
    "apply -f missing.yaml",
    "apply -f bad-yaml.yaml",
    "apply -f bad-port.yaml",
    "apply -f bad-field.yaml",
    "apply -f bad-kind.yaml",
    "apply -f some-bad.yaml",
    "apply -f no-kind.yaml",
    "apply -f empty.yaml",
    "apply -f sleep.yaml",
    "get deploy,rs",
    "scale deploy/sleep --replicas=2",
    "scale deploy/sleep --current-replicas=7 --replicas=1",
    "scale deploy nope --replicas=1",
    "scale deploy sleep --replicas=1",
    "exec nope -- true",
    "exec deploy/nope -- true",
    "exec deploy/sleep",
    "logs nope",
    "logs deploy/sleep -c nope",
    "delete svc nope",
    "delete svc nope --ignore-not-found",
    "delete svc one nope",
    "delete -f two.yaml",
    "delete svc web -o name",
    "delete svc",
    "delete svc --all",
    "delete svc --all",
    "delete deploy,svc -l app=nope",
    "delete widgets x",
    "delete -f missing.yaml",
    "delete -f sleep.yaml --wait=false",
)

# An older kubectl has other words for these.
OTHERWISE_BEFORE = ("apply -f two.yaml --dry-run=client", "scale deploy nope --replicas=1", "logs deploy/sleep -c nope")


@pytest.fixture(scope="module")
def pair(lab: Lab) -> Iterator[dict[str, Lab]]:
    """The lab as each client's user sees it: a context of its own with a namespace of its own."""
    seen: dict[str, Lab] = {}
    for client in CLIENTS:
        name = f"words-{client}"
        lab.kubectl("create", "namespace", name)
        config = lab.home / f"kubeconfig-{client}"
        config.write_text((lab.home / "kubeconfig").read_text())
        one = replace(lab, namespace=name, extra_env={"KUBECONFIG": str(config)})
        one.kubectl("config", "set-context", "--current", f"--namespace={name}")
        eventually(lambda one=one: one.kubectl("get", "sa", "default", check=False).code == 0)  # type: ignore[misc]  # bound now
        seen[client] = one
    yield seen
    for one in seen.values():
        lab.kubectl("delete", "namespace", one.namespace, "--wait=false")


@pytest.fixture(scope="module")
def is_recent(lab: Lab) -> bool:
    """Whether kubectl speaks as labctl does: a recent one says which namespace something was deleted from."""
    lab.kubectl("create", "configmap", "words-probe")
    return "from default namespace" in lab.kubectl("delete", "configmap", "words-probe").out


def comparable(text: str, lab: Lab) -> str:
    for pattern, common in (
        (re.escape(lab.namespace), "NAMESPACE"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
        (r'(resourceVersion"?: )"\d+"', r"\1REVISION"),
        (r"\b10\.\d+\.\d+\.\d+\b *", "ADDRESS "),
        (r"CLUSTER-IP +", "CLUSTER-IP "),  # as wide as the addresses are
        (r"\b(\d+[ms]){1,2}\b *", "AGE "),
        (r"AGE +", "AGE "),  # as wide as the ages are
        (r"(sleep-[a-z0-9]{10})-[a-z0-9]{5}", r"\1-SUFFIX"),
        (r"\b(web|one|two|good)-[a-z0-9]{5}\b", r"\1-SUFFIX"),
        (r"labctl api-resources|labctl explain|labctl get", lambda m: m[0].replace("labctl", "kubectl")),
    ):
        text = re.sub(pattern, common, text)
    return text


def older(text: str) -> str:
    """What kubectl said before 1.36, from what it says now."""
    text = re.sub(r" (force )?deleted from \S+ namespace", lambda m: f" {m[1] or ''}deleted", text)
    return text.replace("kyaml,", "").replace("error: unknown flag", "Error: unknown flag")


def said(result: Result, lab: Lab, *, is_recent: bool) -> tuple[int, str, str]:
    texts = [comparable(text, lab) for text in (result.out, result.err)]
    out, err = texts if is_recent else [older(text) for text in texts]
    return result.code, out, err


def run(lab: Lab, client: str, command: str) -> Result:
    return lab.client(client)(*command.split(" ") if "{{" not in command else _templated(command), check=False)


def _templated(command: str) -> list[str]:
    head, _, template = command.partition("-o ")
    return [*head.split(), "-o", template]


@pytest.mark.timeout(300)  # a hundred processes
def test_every_command_says_the_same(
    pair: dict[str, Lab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_recent: bool
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    different = []
    for command in COMMANDS:
        if command.startswith(("exec deploy/sleep", "logs deploy/sleep")):
            for one in pair.values():
                one.kubectl("wait", "--for=condition=Available", "deploy/sleep", "--timeout=60s")
        ours, theirs = (said(run(pair[c], c, command), pair[c], is_recent=is_recent) for c in CLIENTS)
        if ours != theirs and (is_recent or command not in OTHERWISE_BEFORE):
            different.append(f"$ {command}\n  labctl:  {ours}\n  kubectl: {theirs}")
    assert not different, "\n" + "\n".join(different)


def test_the_first_rows_of_a_watch_are_the_same(pair: dict[str, Lab]) -> None:
    rows = {}
    for client, one in pair.items():
        one.apply(service("watched", {"port": 80}))
        program = [one.kubectl_path] if client == "kubectl" else [sys.executable, "-m", "labctl.cli.main"]
        shown = one.run("timeout", "2", *program, "get", "svc", "watched", "-w", check=False)
        rows[client] = comparable(shown.out, one)
    assert rows["labctl"] == rows["kubectl"]
    assert rows["labctl"].startswith("NAME ")
