"""`make bench`: how fast and how small a lab is. Prints a table, writes JSON; judges nothing.

`python -m tests.bench [--runs N] [--json FILE]`. Images must be present (run `labctl up` once before). The figures of a
real cluster were taken on a machine with two cores: Kubernetes 1.36.3, one node.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from labctl.lab.tools import kubectl_binary
from tests.bench.measure import Row, cpu_seconds, resident_mib, table
from tests.docker.lab import Lab
from tests.docker.objects import deployment, service

_AS_INSTALLED = {"PYTHONDONTWRITEBYTECODE": ""}  # users have compiled modules after the first command
VIRTUAL_IP = "10.96.77.{}"


class Bench:
    """Rows filled by measuring one lab after the other."""

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.rows: dict[str, Row] = {}

    def add(self, name: str, unit: str, value: float, *, aim: float | None = None, real: float | None = None) -> None:
        """Record one value of a row."""
        self.rows.setdefault(name, Row(name, unit, aim, real)).values.append(value)

    @contextmanager
    def timed(self, name: str, *, aim: float | None = None, real: float | None = None) -> Iterator[None]:
        """Record how many seconds the block takes."""
        start = time.monotonic()
        yield
        self.add(name, "s", time.monotonic() - start, aim=aim, real=real)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    options = parser.parse_args()
    bench = Bench(options.runs)
    kubectl = str(kubectl_binary())
    for run in range(min(options.runs, 3)):
        with tempfile.TemporaryDirectory(prefix="labctl-bench-") as home:
            _one_lab(
                bench,
                Lab(f"bench-{run}", Path(home), kubectl, extra_env=_AS_INSTALLED),
                last=run == min(options.runs, 3) - 1,
            )
    print(table(bench.rows.values()))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([r.to_json() for r in bench.rows.values()], indent=1))
    print(f"\nwritten: {options.json}")


def _one_lab(bench: Bench, lab: Lab, *, last: bool) -> None:
    try:
        with bench.timed("up, to the first DNS answer from a pod", aim=3, real=18.5):
            lab.labctl("up", timeout=900)
        if last:
            _measure(bench, lab)
    finally:
        with bench.timed("down", aim=3):
            lab.labctl("down", timeout=120)


def _measure(bench: Bench, lab: Lab) -> None:
    lab.apply(deployment("client"))
    lab.kubectl("rollout", "status", "deploy/client", "--timeout=60s")
    for run in range(bench.runs):
        _deployment_ready(bench, lab, f"web{run}")
        _service_answers(bench, lab, run)
        _killed_pod(bench, lab, run)
        with bench.timed("labctl get svc", aim=0.15):
            lab.labctl("get", "svc")
        with bench.timed("kubectl get svc"):
            lab.kubectl("get", "svc")
    _memory(bench, lab)
    _idle_cpu(bench, lab)


def _deployment_ready(bench: Bench, lab: Lab, name: str) -> None:
    with bench.timed("Deployment of one pod, from apply to Ready", aim=0.5, real=0.64):
        lab.apply(deployment(name))
        lab.kubectl("wait", "--for=condition=Available", f"deploy/{name}", "--timeout=30s")


def _service_answers(bench: Bench, lab: Lab, run: int) -> None:
    """Probes spin inside a pod, so that neither kubectl's start nor `docker exec` is in the figures."""
    address, name = VIRTUAL_IP.format(100 + run), f"svc{run}"
    dns = _until(lab, f"nslookup {name}.default.svc.cluster.local. 10.96.0.10")
    packet = _until(lab, f"curl -s -o /dev/null --connect-timeout 0.01 http://{address}/hostname")
    start = _create(lab, service(name, {"port": 80}, app=f"web{run}", clusterIP=address))
    bench.add("Service, from the apply request to a DNS answer", "ms", (dns() - start) * 1000, aim=20, real=110)
    bench.add("Service, from the apply request to the first packet", "ms", (packet() - start) * 1000, aim=50, real=1500)


def _killed_pod(bench: Bench, lab: Lab, run: int) -> None:
    address = VIRTUAL_IP.format(100 + run)
    old = lab.exec("deploy/client", "curl", "-sS", f"http://{address}/hostname").out.strip()
    answered = _until(lab, f"test -n \"$(curl -s -m 0.1 http://{address}/hostname | grep -v '^{old}$')\"", warm=False)
    start = time.time()
    lab.kubectl("delete", "pod", old, "--wait=false", "--grace-period=0", "--force")
    bench.add("killed pod, to the Service answering from its replacement", "s", answered() - start, aim=0.7, real=2.0)


def _until(lab: Lab, command: str, *, warm: bool = True) -> Callable[[], float]:
    """Repeat a command inside the client pod until it succeeds; the result gives the moment (Unix seconds)."""
    container = next(c for c in lab.containers("label=io.kubernetes.container.name=main") if "client" in c)
    script = f"for i in $(seq 20000); do {command} >/dev/null 2>&1 && break; done; date +%s.%N"
    probe = subprocess.Popen(["docker", "exec", container, "sh", "-c", script], stdout=subprocess.PIPE, text=True)
    if warm:
        time.sleep(0.3)

    def moment() -> float:
        out, _ = probe.communicate(timeout=60)
        return float(out)

    return moment


def _create(lab: Lab, manifest: str) -> float:
    """Create an object with a bare POST; returns the moment of the request (Unix seconds)."""
    view = json.loads(lab.kubectl("config", "view", "--raw", "--minify", "-o", "json").out)
    server = view["clusters"][0]["cluster"]["server"]
    token = view["users"][0]["user"]["token"]
    start = time.time()
    lab.run(
        "curl", "-sk", "-X", "POST", "-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json",
        "-d", manifest, "-o", "/dev/null", f"{server}/api/v1/namespaces/default/services", check=True,
    )  # fmt: skip
    return start


def _pids(lab: Lab) -> dict[str, tuple[str, int]]:
    """Container name -> (role, pid) of everything that belongs to the lab itself."""
    result = {}
    for name in lab.containers("status=running"):
        labels, pid = lab.docker("inspect", "-f", "{{json .Config.Labels}}|{{.State.Pid}}", name).out.split("|")
        role = json.loads(labels).get("labctl.role", "")
        if json.loads(labels).get("io.kubernetes.pod.namespace", "kube-system") == "kube-system":
            result[name] = (role, int(pid))
    return result


def _memory(bench: Bench, lab: Lab) -> None:
    total = 0.0
    for name, (role, pid) in _pids(lab).items():
        size = resident_mib(pid)
        total += size
        if role == "control-plane":
            bench.add("control plane, resident", "MiB", size, aim=80)
        elif role == "node":
            bench.add("a node, resident", "MiB", size, aim=25)
        elif "coredns" in name and role == "container":
            bench.add("CoreDNS, resident", "MiB", size, real=61)
    bench.add("the whole lab, resident", "MiB", total, aim=200, real=860)


def _idle_cpu(bench: Bench, lab: Lab, *, seconds: float = 20) -> None:
    time.sleep(3)
    pids = [pid for _, pid in _pids(lab).values()]
    before = sum(map(cpu_seconds, pids))
    time.sleep(seconds)
    used = sum(map(cpu_seconds, pids)) - before
    bench.add("idle processor time of the whole lab", "% of a core", used / seconds * 100, aim=0.5)


if __name__ == "__main__":
    main()
