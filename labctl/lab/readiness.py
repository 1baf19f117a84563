"""Waiting until a lab works: the API server says so, the nodes are Ready, and DNS answers a pod."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labctl.api.objects import Object
from labctl.config import LABEL_LAB, LABEL_POD_NAMESPACE, LABEL_ROLE
from labctl.errors import LabctlError
from labctl.lab import engine
from labctl.lab.record import Record

if TYPE_CHECKING:
    import docker

_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Answer:
    """Status code and JSON body of one request; code 0 means that nobody answered, and `text` says why."""

    code: int
    body: Mapping[str, Any]
    text: str = ""


def ask(record: Record, path: str, *, timeout_s: float = 5, method: str = "GET", body: Object | None = None) -> Answer:
    """One request to the lab's API server on the host's loopback, as its admin."""
    context = ssl.create_default_context(cadata=record.config.credentials.ca_certificate)
    connection = http.client.HTTPSConnection("127.0.0.1", record.api_port, timeout=timeout_s, context=context)
    headers = {"Authorization": f"Bearer {record.config.credentials.admin_token}", "Accept": "application/json"}
    try:
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, json.dumps(body) if body is not None else None, headers=headers)
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, {}, str(error) or type(error).__name__)
    finally:
        connection.close()
    try:
        answer = json.loads(text)
    except ValueError:
        answer = {}
    return Answer(response.status, answer if isinstance(answer, dict) else {}, text)


def conditions(obj: Object) -> dict[str, str]:
    """Condition type -> status of an API object."""
    return {c["type"]: c["status"] for c in obj.get("status", {}).get("conditions") or ()}


def until(probe: Callable[[], str], *, timeout_s: float, what: str, hint: str) -> None:
    """Repeat a probe until it returns an empty text; what it returns otherwise is what is still missing."""
    deadline = time.monotonic() + timeout_s
    while missing := probe():
        if time.monotonic() > deadline:
            raise LabctlError(f"{what} within {timeout_s:.0f} s: {missing}", hint=hint)
        time.sleep(_PAUSE_S)


def api_missing(record: Record) -> str:
    """Why the API server is not ready, or nothing."""
    answer = ask(record, "/readyz")
    return "" if answer.code == 200 else answer.text.strip()[:200] or f"HTTP status {answer.code}"


def nodes_missing(record: Record) -> str:
    """Which nodes are not Ready, or nothing."""
    answer = ask(record, "/api/v1/nodes")
    ready = {n["metadata"]["name"] for n in answer.body.get("items") or () if conditions(n).get("Ready") == "True"}
    missing = [node.name for node in record.config.nodes if node.name not in ready]
    return f"{', '.join(missing)} not Ready" if missing else ""


def dns_missing(
    client: docker.DockerClient,
    record: Record,
    *,
    name: str = "",
    kind: str = "a",
    lookups: int = 20,
    lookup_s: float = 0.3,
) -> str:
    """Why a pod's lookup through the Service address of DNS fails, or nothing. `name` is the API server's unless given.

    The lookup is made inside a pod of kube-system (any lab has one, CoreDNS itself): its packets pass a node's rules
    like those of every pod.
    """
    labels = [f"{LABEL_LAB}={record.config.name}", f"{LABEL_ROLE}=sandbox", f"{LABEL_POD_NAMESPACE}=kube-system"]
    with engine.translated("looking for the DNS pod"):
        sandboxes = client.api.containers(filters={"label": labels, "status": "running"})
    if not sandboxes:
        return "no pod runs in kube-system"
    name = name or f"kubernetes.default.svc.{record.config.cluster_domain}."
    # One exec with a loop inside: a hundred lookups cost less than a second exec.
    lookup = f"timeout {lookup_s} nslookup -type={kind} {name} {record.config.dns_address} >/tmp/.dns 2>&1"
    loop = f"for i in $(seq {lookups}); do {lookup} && exit 0; sleep 0.02; done; tail -n 1 /tmp/.dns; exit 1"
    with engine.translated("looking a name up in a pod"):
        execution = client.api.exec_create(sandboxes[0]["Id"], ["sh", "-c", loop])["Id"]
        said = client.api.exec_start(execution).decode(errors="replace").strip()
        code = client.api.exec_inspect(execution)["ExitCode"]
    return "" if code == 0 else said or f"no answer from {record.config.dns_address}"
