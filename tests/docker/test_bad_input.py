"""What users get wrong: one clear line, the right exit code, nothing lost."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker.lab import Lab
from tests.docker.objects import service

pytestmark = pytest.mark.docker

GOLDEN = Path(__file__).parents[1] / "golden" / "manifests"

CASES = {
    "name": ("bad-name.yaml", 'The Service "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": '),
    "port": ("bad-port.yaml", "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive"),
    "type": ("bad-type.yaml", 'Unsupported value: "Clusterip": supported values: "ClusterIP", "ExternalName"'),
    "field": ("unknown-field.yaml", 'strict decoding error: unknown field "spec.ports[0].portt"'),
    "kind": ("bad-kind.yaml", 'no matches for kind "Widget" in version "v1"'),
    "yaml": ("bad-yaml.yaml", "error converting YAML to JSON: yaml: line 4: did not find expected key"),
    "range": ("np-range.yaml", "The range of valid ports is 30000-32767"),
    "selector": ("bad-selector.yaml", "`selector` does not match template `labels`"),
}


@pytest.mark.parametrize("client", ["labctl", "kubectl"])
@pytest.mark.parametrize("case", CASES)
def test_wrong_manifests_are_refused_in_kubernetes_words(ns: Lab, client: str, case: str) -> None:
    manifest, words = CASES[case]
    refused = ns.client(client)("apply", "-n", ns.namespace, "-f", str(GOLDEN / manifest), check=False)
    assert refused.code == 1
    assert words in refused.err
    assert "Traceback" not in refused.err


def test_comments_crlf_and_many_documents_in_one_file(ns: Lab) -> None:
    text = "# first\r\n---\r\n# nothing here\r\n---\r\n" + service("a", {"port": 80}) + "\r\n---\r\n"
    text += "apiVersion: v1\r\nkind: Service\r\nmetadata:\r\n  name: b # the second\r\nspec:\r\n  ports:\r\n  - port: 81\r\n"
    for client in ("labctl", "kubectl"):
        said = ns.client(client)("apply", "-n", ns.namespace, "-f", "-", stdin=text).out
        assert said == (
            "service/a created\nservice/b created\n"
            if client == "labctl"
            else "service/a unchanged\nservice/b unchanged\n"
        )


def test_without_docker_the_error_says_what_to_do(lab: Lab) -> None:
    lost = Lab(lab.name, lab.home, lab.kubectl_path, extra_env={"DOCKER_HOST": "unix:///nonexistent.sock"})
    for command in (["up"], ["status"], ["down"]):
        failed = lost.labctl(*command, check=False)
        assert failed.code != 0
        text = failed.out + failed.err
        assert "Docker" in text and "Traceback" not in text


def test_exec_into_a_pod_that_is_not_there_or_not_running(ns: Lab) -> None:
    for client in ("labctl", "kubectl"):
        missing = ns.client(client)("exec", "-n", ns.namespace, "nope", "--", "true", check=False)
        assert missing.code == 1
        assert missing.err == 'Error from server (NotFound): pods "nope" not found\n'


POD = """
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec: {restartPolicy: Never, nodeSelector: {%s}, containers: [{name: main, image: kiamol/ch03-sleep, command: ["true"]}]}
"""


def test_exec_into_a_pod_that_has_ended_or_is_nowhere(ns: Lab) -> None:
    ns.apply(f"{POD % ('ended', '')}---{POD % ('nowhere', 'such: none')}")
    ns.kubectl("wait", "-n", ns.namespace, "pod/ended", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")
    ended = ns.labctl("exec", "-n", ns.namespace, "ended", "--", "true", check=False)
    assert ended.code == 1
    assert ended.err == "error: cannot exec into a container in a completed pod; current phase is Succeeded\n"
    nowhere = ns.labctl("exec", "-n", ns.namespace, "nowhere", "--", "true", check=False)
    assert nowhere.code == 1
    assert nowhere.err == "error: unable to upgrade connection: pod nowhere does not have a host assigned\n"


def test_a_broken_kubeconfig_is_named_before_anything_is_created(lab: Lab, tmp_path: Path) -> None:
    other = Lab(f"{lab.name}-kc", tmp_path, lab.kubectl_path)
    broken = tmp_path / "kubeconfig"
    broken.write_text("contexts: [a")
    refused = other.labctl("up", check=False)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == f"error: {broken} is no kubeconfig: line 2: did not find expected ',' or ']'\n"
    assert broken.read_text() == "contexts: [a"
    assert other.containers() == []


def _heed_interrupts() -> None:
    """What is started in the background of a shell inherits that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("number", "moment"), [(signal.SIGINT, "plan"), (signal.SIGKILL, "Docker")], ids=["Ctrl-C", "kill -9"]
)
def test_up_goes_on_after_an_interruption(lab: Lab, tmp_path: Path, number: signal.Signals, moment: str) -> None:
    """Broken off while it makes images or containers; the next `up` makes a whole lab, and `down` leaves nothing."""
    other = Lab(f"{lab.name}-int", tmp_path, lab.kubectl_path)
    command = [sys.executable, "-m", "labctl.cli.main", "up"]
    with subprocess.Popen(
        command,
        env=other.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_heed_interrupts,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while moment not in process.stderr.readline():  # a line for each step that is done
            assert process.poll() is None, process.stdout.read()
        process.send_signal(number)
        said = process.stderr.read()
    try:
        assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
        assert number != signal.SIGINT or "interrupted: 'labctl up' goes on from here" in said
        assert "Traceback" not in said
        assert "works" in other.labctl("up", timeout=200).out
        assert other.kubectl("get", "nodes", "-o", "name").out.splitlines() == ["node/node-1", "node/node-2"]
    finally:
        other.labctl("down", timeout=120)
    assert other.containers() == []


def test_a_colliding_range_is_named_before_anything_is_created(lab: Lab, tmp_path: Path) -> None:
    other = Lab(f"{lab.name}-clash", tmp_path, lab.kubectl_path)
    refused = other.labctl("up", "--pod-cidr", lab.pod_cidrs[0], check=False)
    assert refused.code != 0
    assert lab.pod_cidrs[0] in refused.err + refused.out
    assert other.containers() == []
