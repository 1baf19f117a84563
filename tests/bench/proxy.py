"""`python -m tests.bench.proxy`: the proxy of a node at 1,000 and 10,000 Services of two endpoints each, in both modes.

Each run has a network namespace of its own (a container without network, removed afterwards). `--kube-proxy FILE` runs
kube-proxy beside it on the same machine in the same way. Prints a table and writes JSON; judges nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labctl.lab import certificates, engine, images
from tests.bench.inside import docker_run
from tests.bench.measure import Row, table

_MODES = ("iptables", "nftables")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.proxy")
    parser.add_argument("--services", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--changes", type=int, default=9)
    parser.add_argument("--modes", nargs="+", choices=_MODES, default=_MODES)
    parser.add_argument("--kube-proxy", type=Path, help="a kube-proxy to measure beside")
    parser.add_argument("--json", type=Path, default=Path("build/bench-proxy.json"))
    options = parser.parse_args()
    rows = measure(options.services, options.modes, options.changes, options.kube_proxy)
    print(table(rows))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([r.to_json() for r in rows], indent=1))
    print(f"\nwritten: {options.json}")


def measure(services: Iterable[int], modes: Iterable[str], changes: int, kube_proxy: Path | None) -> list[Row]:
    """All rows; kube-proxy's figures are in the column of a real cluster."""
    image = images.ensure(engine.connect(), lambda _: None).lab
    rows = []
    for mode in modes:
        for count in services:
            ours = _run(image, ["proxy_inside", mode, str(count), str(changes)])
            theirs = _beside(image, kube_proxy, [mode, str(count), str(changes)]) if kube_proxy else {}
            rows += _rows(mode, count, ours, theirs)
    return rows


def _rows(mode: str, count: int, ours: dict[str, Any], theirs: dict[str, Any]) -> list[Row]:
    what = f"{mode}, {count:,} Services"
    real_change = statistics.median(theirs["change_s"]) * 1000 if theirs else None
    return [
        Row(f"{what}: full sync", "s", 10, theirs.get("full_s"), [ours["full_s"]]),
        Row(f"{what}: endpoints of one change", "ms", 50, real_change, [s * 1000 for s in ours["change_s"]]),
        Row(f"{what}: one more Service", "ms", 50, None, [s * 1000 for s in ours["addition_s"]]),
        Row(f"{what}: resident", "MiB", None, theirs.get("after_mib"), [ours["after_mib"]]),
    ]


def _beside(image: str, binary: Path, arguments: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as folder:
        names = certificates.api_server_names("cluster.local")
        issued = certificates.issue(names, ("127.0.0.1",), now=datetime.now(UTC))
        (Path(folder) / "credentials.json").write_text(json.dumps(asdict(issued)))
        mounts = ["-v", f"{folder}:/bench:ro", "-v", f"{binary.resolve()}:/kube-proxy:ro"]
        return _run(image, ["proxy_beside", "/kube-proxy", *arguments], mounts)


def _run(image: str, arguments: list[str], mounts: Iterable[str] = ()) -> dict[str, Any]:
    """One measurement in a container."""
    module, *rest = arguments
    done = subprocess.run(
        docker_run(image, module, *rest, options=mounts), stdout=subprocess.PIPE, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    main()
