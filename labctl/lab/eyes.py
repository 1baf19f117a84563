"""Looking into the pods of a lab for `labctl why`: their sockets, their last words, and connections from them."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import TYPE_CHECKING

from labctl.api.objects import Object
from labctl.config import LABEL_CONTAINER_NAME, LABEL_POD_UID
from labctl.errors import LabctlError
from labctl.lab import engine
from labctl.lab.networks import first_free_port
from labctl.why.facts import Attempt
from labctl.why.sockets import COMMAND, listening_ports

if TYPE_CHECKING:
    import docker

SANDBOX = "POD"
_TIMEOUT_S = 2.0
_LAST_PORT = 65535

# Runs in a pod's sandbox, which has the pod's network and resolver, and Python whatever the pod's image has.
_PROGRAM = """
import json, socket, sys, time
host, port, timeout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
address = error = ""
start = time.monotonic()
try:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    address = min(found, key=lambda f: f[0] != socket.AF_INET)[4][0]
    start = time.monotonic()
    if port:
        socket.create_connection((address, port), timeout).close()
except socket.gaierror:
    error = "unresolved"
except ConnectionRefusedError:
    error = "refused"
except TimeoutError:
    error = "silent"
except OSError as e:
    error = e.strerror or str(e)
print(json.dumps([address, error, round((time.monotonic() - start) * 1000, 2)]))
"""
_ERRORS = {"unresolved": Attempt.UNRESOLVED, "refused": Attempt.REFUSED, "silent": Attempt.SILENT}


class LabEyes:
    """Sees what the containers of this machine's Docker do. Implements `labctl.why.eyes.Eyes`."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._client = client

    async def listening(self, pod: Object) -> frozenset[int] | None:
        """See `Eyes`."""
        table = await asyncio.to_thread(self._run, pod, list(COMMAND))
        return None if table is None else listening_ports(table)

    async def connect(self, source: Object | None, host: str, port: int) -> Attempt | None:
        """See `Eyes`."""
        if source is None:
            return await asyncio.to_thread(_connect, host, port)
        said = await asyncio.to_thread(self._run, source, ["python3", "-c", _PROGRAM, host, str(port), str(_TIMEOUT_S)])
        try:
            address, error, took = json.loads(said or "")
        except ValueError:
            return None
        return Attempt(host, port, address, _ERRORS.get(error, error), took)

    async def last_words(self, pod: Object, container: str) -> str:
        """See `Eyes`."""
        return await asyncio.to_thread(self._last_words, pod, container)

    def free_port(self, wanted: int) -> int:
        """See `Eyes`."""
        return first_free_port(range(wanted + 1, _LAST_PORT + 1)) or 0

    def _containers(self, pod: Object, name: str) -> list[str]:
        """Ids of a pod's containers of a name, the newest first."""
        labels = [f"{LABEL_POD_UID}={pod['metadata']['uid']}", f"{LABEL_CONTAINER_NAME}={name}"]
        return [str(c["Id"]) for c in self._client.api.containers(all=True, filters={"label": labels})]

    def _run(self, pod: Object, command: list[str]) -> str | None:
        try:
            with engine.translated("looking into a pod"):
                sandbox = next(iter(self._containers(pod, SANDBOX)), None)
                if sandbox is None:
                    return None
                execution = self._client.api.exec_create(sandbox, command, stderr=False)
                answer: bytes = self._client.api.exec_start(execution["Id"])
        except LabctlError:
            return None
        return answer.decode(errors="replace")

    def _last_words(self, pod: Object, container: str) -> str:
        try:
            with engine.translated("reading a container's log"):
                for found in self._containers(pod, container):
                    text = self._client.api.logs(found, tail=1).decode(errors="replace").strip()
                    if text:
                        return str(text.splitlines()[-1])
        except LabctlError:
            pass
        return ""


def _connect(host: str, port: int) -> Attempt:
    start = time.monotonic()
    error = ""
    try:
        socket.create_connection((host, port), _TIMEOUT_S).close()
    except socket.gaierror:
        error = Attempt.UNRESOLVED
    except ConnectionRefusedError:
        error = Attempt.REFUSED
    except TimeoutError:
        error = Attempt.SILENT
    except OSError as failure:
        error = failure.strerror or str(failure)
    return Attempt(host, port, host, error, round((time.monotonic() - start) * 1000, 2))
