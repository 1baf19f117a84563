"""A real kube-apiserver beside labctl's, over an etcd of its own; both end with the measurement."""

from __future__ import annotations

import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_ISSUER = "https://kubernetes.default.svc.cluster.local"
_START_S = 60.0


def free_port() -> int:
    """A port of the loopback that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(kube_apiserver: str, etcd: str, token: str) -> Iterator[tuple[str, int, float]]:
    """URL, process id, and seconds until it was ready. `token` is that of an administrator."""
    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as name, ExitStack() as stack:
        folder, client, peer, secure = Path(name), free_port(), free_port(), free_port()
        (folder / "tokens.csv").write_text(f'{token},kubernetes-admin,1,"system:masters"\n')
        key = folder / "sa.key"
        subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)  # PATH
        stack.enter_context(_process(_etcd(etcd, folder, client, peer), folder / "etcd.log"))
        started = time.perf_counter()
        command = _kube_apiserver(kube_apiserver, folder, client, secure)
        process = stack.enter_context(_process(command, folder / "apiserver.log"))
        url = f"https://127.0.0.1:{secure}"
        _wait(url, process, folder / "apiserver.log")
        yield url, process.pid, time.perf_counter() - started


def _etcd(path: str, folder: Path, client: int, peer: int) -> list[str]:
    urls = {"client": f"http://127.0.0.1:{client}", "peer": f"http://127.0.0.1:{peer}"}
    return [
        *(path, "--data-dir", str(folder / "etcd"), "--log-level", "error"),
        *("--listen-client-urls", urls["client"], "--advertise-client-urls", urls["client"]),
        *("--listen-peer-urls", urls["peer"], "--initial-advertise-peer-urls", urls["peer"]),
        *("--initial-cluster", f"default={urls['peer']}"),
    ]


def _kube_apiserver(path: str, folder: Path, client: int, secure: int) -> list[str]:
    return [
        *(path, "--etcd-servers", f"http://127.0.0.1:{client}", "--bind-address", "127.0.0.1"),
        *("--secure-port", str(secure), "--cert-dir", str(folder / "certificates")),
        *("--token-auth-file", str(folder / "tokens.csv"), "--authorization-mode", "RBAC"),
        *("--service-cluster-ip-range", "10.96.0.0/12", "--service-account-issuer", _ISSUER),
        *("--service-account-key-file", str(folder / "sa.key")),
        *("--service-account-signing-key-file", str(folder / "sa.key")),
        *("--advertise-address", "192.168.123.2"),
    ]


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield process
        finally:
            process.terminate()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=1, context=context):  # its own URL
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise SystemExit(f"kube-apiserver does not become ready: {log.read_text(errors='replace')[-500:]}")
