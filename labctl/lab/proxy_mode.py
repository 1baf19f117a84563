"""`labctl up --proxy-mode`: how the nodes program Services, changed on a lab that runs.

The wish stands in ConfigMap kube-proxy; each node follows it by writing the other rules and only then removing its old
ones, and tells at /proxyMode (kube-proxy's own path) what it has reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.config import PROXY_METRICS_PORT
from labctl.errors import LabctlError
from labctl.lab import engine, leftovers, readiness
from labctl.lab.record import Record
from labctl.proxy.mode import NAME, NAMESPACE, Mode, UnknownMode, changed, config_map, mode_of

if TYPE_CHECKING:
    import docker

_COLLECTION = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
_PATH = f"{_COLLECTION}/{NAME}"


def present(lab: Record) -> str:
    """The mode that the ConfigMap asks for."""
    try:
        return mode_of(dict(readiness.ask(lab, _PATH).body), lab.config.proxy_mode)
    except UnknownMode as error:
        return str(error)


def ensure(lab: Record, mode: Mode) -> None:
    """Write the wish, unless it is there already. Raises LabctlError."""
    answer = readiness.ask(lab, _PATH)
    if answer.code == 404:
        done = readiness.ask(lab, _COLLECTION, method="POST", body=config_map(mode))
    elif changed(dict(answer.body), mode) == answer.body:
        return
    else:
        done = readiness.ask(lab, _PATH, method="PUT", body=changed(dict(answer.body), mode))
    if done.code not in (200, 201):
        raise LabctlError(f"the proxy mode could not be changed: {done.body.get('message') or done.text[:200]}")


def missing(client: docker.DockerClient, lab: Record, mode: Mode) -> str:
    """Which nodes have not reached a mode, or nothing."""
    nodes = leftovers.find(client, lab.config.name).with_role("node")
    behind = [n.name for n in nodes if _reached(client, n.id) != mode]
    return f"{', '.join(behind)} not in mode {mode}" if behind else ""


def _reached(client: docker.DockerClient, container: str) -> str:
    command = ["curl", "-s", "-m", "1", f"http://127.0.0.1:{PROXY_METRICS_PORT}/proxyMode"]
    with engine.translated("asking a node for its proxy mode"):
        execution = client.api.exec_create(container, command)["Id"]
        answer: bytes = client.api.exec_start(execution)
    return answer.decode(errors="replace").strip()
