"""A real lab for tests, driven as a user drives it: `labctl`, stock `kubectl`, curl on the host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")

MANIFESTS = Path(__file__).parent / "manifests"


@dataclass(frozen=True, slots=True)
class Result:
    """What a command printed and returned."""

    code: int
    out: str
    err: str


@dataclass(slots=True)
class Lab:
    """One lab with its own kubeconfig and state folder, so that tests never touch the user's."""

    name: str
    home: Path
    kubectl_path: str
    namespace: str = "default"
    extra_env: Mapping[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        return {
            **os.environ,
            "KUBECONFIG": str(self.home / "kubeconfig"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "HOME": str(self.home),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path("~/.cache").expanduser())),
            "PATH": f"{Path(self.kubectl_path).parent}:{os.environ['PATH']}",
            "LABCTL_NAME": self.name,
            "NO_COLOR": "1",
            "COLUMNS": "200",
            **self.extra_env,
        }

    def run(self, *argv: str, stdin: str | None = None, timeout: float = 60, check: bool = False) -> Result:
        """Run a program in the lab's environment."""
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, env=self.env, timeout=timeout, check=False
        )
        result = Result(done.returncode, done.stdout, done.stderr)
        assert not check or result.code == 0, f"{' '.join(argv)}\nrc {result.code}\n{result.out}\n{result.err}"
        return result

    def labctl(self, *args: str, stdin: str | None = None, timeout: float = 60, check: bool = True) -> Result:
        """Run labctl as a user does."""
        return self.run(sys.executable, "-m", "labctl.cli.main", *args, stdin=stdin, timeout=timeout, check=check)

    def kubectl(self, *args: str, stdin: str | None = None, timeout: float = 60, check: bool = True) -> Result:
        """Run the stock kubectl."""
        return self.run(self.kubectl_path, *args, stdin=stdin, timeout=timeout, check=check)

    def client(self, which: str) -> Callable[..., Result]:
        """`labctl` or `kubectl`: the same words must come out of both."""
        return self.labctl if which == "labctl" else self.kubectl

    def json(self, *args: str) -> Any:
        """`kubectl get … -o json`, parsed."""
        return json.loads(self.kubectl(*args, "-o", "json").out)

    def apply(self, manifest: str) -> Result:
        """Apply a manifest text."""
        return self.kubectl("apply", "-n", self.namespace, "-f", "-", stdin=manifest)

    def exec(self, target: str, *command: str, check: bool = True, timeout: float = 30) -> Result:
        """Run a command in a pod."""
        return self.kubectl("exec", "-n", self.namespace, target, "--", *command, check=check, timeout=timeout)

    def node(self, name: str) -> str:
        """The container of a node."""
        return f"labctl-{self.name}-{name}"

    def docker(self, *args: str, check: bool = True) -> Result:
        """Run the docker client."""
        return self.run("docker", *args, check=check)

    @property
    def pod_cidrs(self) -> list[str]:
        """The ranges of this lab's pods, IPv4 first: others than usual when there are other labs."""
        network = f"labctl-{self.name}-pods"
        found = self.docker("network", "inspect", network, "--format", "{{range .IPAM.Config}}{{.Subnet}} {{end}}")
        return found.out.split()

    def containers(self, *filters: str) -> list[str]:
        """Names of this lab's containers."""
        args = [a for f in (f"label=labctl.lab={self.name}", *filters) for a in ("--filter", f)]
        return self.docker("ps", "-a", "--format", "{{.Names}}", *args).out.split()


def eventually(probe: Callable[[], _T], *, within: float = 20, every: float = 0.05) -> _T:
    """Repeat `probe` until it returns something true; an AssertionError counts as not yet, the last one is raised.

    Real labs have no virtual clock: this is the only place where docker tests wait.
    """
    deadline = time.monotonic() + within
    while True:
        failure: AssertionError | None = None
        try:
            if value := probe():
                return value
        except AssertionError as error:
            failure = error
        if time.monotonic() > deadline:
            raise failure or AssertionError(f"not true within {within} s: {probe}")
        time.sleep(every)
