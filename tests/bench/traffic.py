"""`python -m tests.bench.traffic`: what the data plane of a lab carries, through Services and beside them, in both modes.

The client pod is on one node and the server pod on the other. Load is bounded in seconds. Prints a table and writes JSON;
judges nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labctl.lab import engine, images
from labctl.lab.tools import kubectl_binary
from tests.bench.inside import docker_run
from tests.bench.measure import Row, table
from tests.docker.lab import Lab
from tests.docker.objects import deployment, service

_PORT = "5001"
_MODES = ("iptables", "nftables")
_DNS = "10.96.0.10"
_NAME = "kubernetes.default.svc.cluster.local."


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.traffic")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of one measurement")
    parser.add_argument("--json", type=Path, default=Path("build/bench-traffic.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as home:
        lab = Lab("bench-traffic", Path(home), str(kubectl_binary()))
        try:
            rows = measure(lab, options.runs, str(options.seconds))
        finally:
            lab.labctl("down", timeout=120)
    print(table(rows))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([r.to_json() for r in rows], indent=1))
    print(f"\nwritten: {options.json}")


def measure(lab: Lab, runs: int, seconds: str) -> list[Row]:
    """All rows of a lab that this starts."""
    image = images.ensure(engine.connect(), lambda _: None).lab
    rows = []
    for mode in _MODES:
        lab.labctl("up", "--proxy-mode", mode, timeout=900)
        rows += _measure_mode(lab, image, mode, runs, seconds)
    return rows


def _measure_mode(lab: Lab, image: str, mode: str, runs: int, seconds: str) -> list[Row]:
    for name, node in (("client", "node-1"), ("server", "node-2")):
        lab.apply(deployment(name, nodeName=node))
        lab.kubectl("rollout", "status", f"deploy/{name}", "--timeout=60s")
    lab.apply(service("server", {"port": int(_PORT)}))
    direct = lab.kubectl("get", "pod", "-l", "app=server", "-o", "jsonpath={.items[0].status.podIP}").out
    virtual = lab.kubectl("get", "svc", "server", "-o", "jsonpath={.spec.clusterIP}").out
    targets = {"pod to pod": direct, "pod to ClusterIP": virtual}
    rows = [Row(f"{mode}: {what}, one connection", "Gbit/s") for what in targets]
    rows += [Row(f"{mode}: {what}, new connections", "1/s") for what in targets]
    rows += [Row(f"{mode}: DNS queries answered", "1/s")]
    loads = [
        *(("send", each, _PORT) for each in targets.values()),
        *(("connect", each, _PORT) for each in targets.values()),
    ]
    with _running(
        lab, docker_run(image, "traffic_inside", "sink", _PORT, network=_network(lab, "server"), options=["-d"])
    ):
        time.sleep(1)
        for _ in range(runs):
            for row, load in zip(rows, [*loads, ("dns", _DNS, _NAME)], strict=True):
                inside = docker_run(image, "traffic_inside", *load, seconds, network=_network(lab, "client"))
                row.values.append(float(lab.run(*inside, check=True).out))
    return rows


def _network(lab: Lab, app: str) -> str:
    sandboxes = lab.containers("label=io.kubernetes.container.name=POD", "status=running")
    return f"container:{next(name for name in sandboxes if f'_{app}-' in name)}"


@contextmanager
def _running(lab: Lab, command: list[str]) -> Iterator[None]:
    container = lab.run(*command, check=True).out.strip()
    try:
        yield
    finally:
        subprocess.run(["docker", "rm", "-f", container], stdout=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    main()
