"""A session of commands in a namespace of its own, played against whatever cluster a kubeconfig names.

Recordings have the form of tests/golden/kubectl-*: `$ command`, `#rc N`, `#stdout`, text, `#stderr`, text. What a recording
of a real cluster says must come out of ours: `python -m tests.clients.session NAME` (with KUBECONFIG) records one anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.docker.golden import GOLDEN, Case, normalise, read

RECORDINGS = GOLDEN / "clients"
MANIFESTS = Path(__file__).parent / "manifests"
_MORE = (
    (r"\b(web|two|settings|hashed)-[a-z0-9]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b", r"\1-HASH-SUFFIX"),
    (r"\b(web|two|hashed)-[a-z0-9]{8,10}\b", r"\1-HASH"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \+0000", "TIME"),
    (r"current: \d+", "current: REVISION"),
    (r"127\.0\.0\.1:\d+", "SERVER"),
    (r"/tmp/[\w.-]+", "TEMPORARY"),
    (r"\b[IWE]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "LOG "),
)


@contextmanager
def environment(kubeconfig: Path, kubectl: str, namespace: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder with the manifests, and an environment whose kubectl works in an empty namespace of the cluster."""
    with tempfile.TemporaryDirectory(prefix="clients-") as name:
        folder = Path(name)
        shutil.copytree(MANIFESTS, folder, dirs_exist_ok=True)
        config = shutil.copy(kubeconfig, folder / "kubeconfig")
        (folder / "bin").mkdir()
        (folder / "bin" / "kubectl").symlink_to(kubectl)
        path = f"{folder / 'bin'}:{os.environ['PATH']}"
        env = {**os.environ, "KUBECONFIG": str(config), "HOME": name, "PATH": path, "LC_ALL": "C"}
        run(f"kubectl create namespace {namespace}", folder, env)
        run(f"kubectl config set-context --current --namespace={namespace}", folder, env)
        run("until kubectl get serviceaccount/default configmap/kube-root-ca.crt; do sleep 0.1; done", folder, env)
        yield folder, env
        run(f"kubectl delete namespace {namespace} --wait=false", folder, env)


def run(command: str, folder: Path, env: Mapping[str, str]) -> Case:
    """The command and its answer."""
    bounded = ["timeout", "20", "bash", "-c", command]
    done = subprocess.run(bounded, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return Case(command, done.returncode, done.stdout, done.stderr)


def comparable(case: Case) -> str:
    """What must be the same on every cluster."""
    text = f"rc {case.code}\n{case.out.rstrip()}\n-- stderr\n{case.err}"
    for pattern, replacement in _MORE:
        text = re.sub(pattern, replacement, text)
    return normalise(text)


def write(path: Path, cases: Iterable[Case]) -> None:
    """Keep a recording."""
    path.write_text(
        "".join(f"$ {c.command}\n#rc {c.code}\n#stdout\n{c.out}#stderr\n{c.err}" for c in map(_ended, cases))
    )


def _ended(case: Case) -> Case:
    """With a newline at the end of each stream; whether there was one is not compared."""
    out, err = (text if not text or text.endswith("\n") else text + "\n" for text in (case.out, case.err))
    return Case(case.command, case.code, out, err)


def _record(name: str) -> None:
    path = RECORDINGS / f"{name}.txt"
    kubectl = shutil.which("kubectl")
    assert kubectl, "kubectl is not on PATH"
    with environment(Path(os.environ["KUBECONFIG"]), kubectl, name) as (folder, env):
        write(path, [run(c.command, folder, env) for c in read(path)])


if __name__ == "__main__":
    _record(sys.argv[1])
