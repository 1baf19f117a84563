"""kube-proxy itself at many Services, in this network namespace, served by labctl's API server: run by tests.bench.proxy.

`python proxy_beside.py KUBE_PROXY MODE SERVICES CHANGES` prints one JSON object like proxy_inside.py. kube-proxy's own metrics
say how long its syncs took, so the API server's part is in neither figure.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from labctl.agents import apiserver_only
from labctl.api import kinds
from labctl.client.protocol import Api
from labctl.config import Credentials, LabConfig
from tests.bench.measure import resident_mib
from tests.bench.proxy_inside import endpoint_slice, service

_CREDENTIALS = Path("/bench/credentials.json")
_FULL, _ALL = "kubeproxy_sync_full_proxy_rules_duration_seconds", "kubeproxy_sync_proxy_rules_duration_seconds"
_CONFIG = """
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: {mode}
clusterCIDR: 10.244.0.0/16
hostnameOverride: {node}
bindAddress: 127.0.0.1
clientConnection: {{kubeconfig: {kubeconfig}, qps: 1000, burst: 1000}}
conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
iptables: {{localhostNodePorts: false}}
"""
_KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443", "insecure-skip-tls-verify": True}}],
    "users": [{"name": "u", "user": {}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "x",
}


def metric(name: str) -> tuple[float, int]:
    """Sum (seconds) and count of one of kube-proxy's histograms."""
    with urllib.request.urlopen("http://127.0.0.1:10249/metrics", timeout=5) as answer:
        text = answer.read().decode()
    values = {}
    for suffix in ("sum", "count"):
        found = re.search(rf'^{name}_{suffix}(?:{{ip_family="IPv4"}})? (\S+)$', text, re.MULTILINE)
        values[suffix] = float(found[1]) if found else 0.0
    return values["sum"], int(values["count"])


async def longer(name: str, than: tuple[float, int], *, within_s: float = 600) -> tuple[float, int]:
    """The histogram once it has more observations, and then none for a second."""
    seen = than
    async with asyncio.timeout(within_s):
        while True:
            await asyncio.sleep(1)
            try:
                now = await asyncio.to_thread(metric, name)
            except OSError:
                continue
            if now[1] > than[1] and now == seen:
                return now
            seen = now


async def fill(api: Api, count: int) -> None:
    """Create the Services, each with its slice."""
    for number in range(count):
        await api.create(kinds.SERVICE, _fresh(service(number)), namespace="default")
        await api.create(kinds.ENDPOINT_SLICE, _fresh(endpoint_slice(number)), namespace="default")


def _fresh(obj: dict[str, Any]) -> dict[str, Any]:
    """As a client sends it. Without a selector nobody else writes the endpoints."""
    meta = {k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "uid")}
    spec = {k: v for k, v in obj.get("spec", {}).items() if k != "selector"}
    return {**obj, "metadata": meta, **({"spec": spec} if spec else {})}


async def change(api: Api, number: int, second: int) -> None:
    """Another second endpoint for one Service."""
    name = f"s{number}-x"
    slice_ = await api.get(kinds.ENDPOINT_SLICE, "default", name)
    fresh = endpoint_slice(number, second=second)["endpoints"]
    await api.update(kinds.ENDPOINT_SLICE, {**slice_, "endpoints": fresh})


async def measure(binary: str, mode: str, count: int, changes: int, *, credentials: Credentials) -> dict[str, Any]:
    """All figures of one mode."""
    config = LabConfig("bench", (), credentials, control_plane_address="")
    server = apiserver_only.open_server(config)
    started = asyncio.Event()
    listener = apiserver_only.listen("127.0.0.1", 6443)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(apiserver_only.run(server, listener, started.set))
        await started.wait()
        await fill(server.local, count)
        found = await _run(binary, mode, count, changes, api=server.local, token=credentials.admin_token)
        serving.cancel()
    return found


async def _run(binary: str, mode: str, count: int, changes: int, *, api: Api, token: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig, configuration = Path(folder) / "kubeconfig", Path(folder) / "config"
        kubeconfig.write_text(json.dumps({**_KUBECONFIG, "users": [{"name": "u", "user": {"token": token}}]}))
        configuration.write_text(_CONFIG.format(mode=mode, node=apiserver_only.NODE, kubeconfig=kubeconfig))
        log = (Path(folder) / "log").open("wb")
        process = await asyncio.create_subprocess_exec(binary, f"--config={configuration}", stdout=log, stderr=log)
        try:
            full = await longer(_FULL, (0, 0))
            seen = await asyncio.to_thread(metric, _ALL)
            singles = []
            for turn in range(changes):
                await change(api, turn * 7 % count, 9 + turn)
                now = await longer(_ALL, seen)
                singles.append((now[0] - seen[0]) / (now[1] - seen[1]))
                seen = now
            size = resident_mib(process.pid)
        except TimeoutError:
            sys.stderr.write((Path(folder) / "log").read_text()[-3000:])
            raise
        finally:
            process.kill()
            await process.wait()
    return {"mode": mode, "services": count, "full_s": full[0] / full[1], "change_s": singles, "after_mib": size}


if __name__ == "__main__":
    issued = Credentials(**json.loads(_CREDENTIALS.read_text()))
    words = (sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    print(json.dumps(asyncio.run(measure(*words, credentials=issued))))
