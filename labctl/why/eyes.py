"""What a diagnosis may look at beside the API: sockets, logs and real connections of a running cluster."""

from __future__ import annotations

from typing import Protocol

from labctl.api.objects import Object
from labctl.why.facts import Attempt


class Eyes(Protocol):
    """Looks into the pods of a lab. Every method answers with nothing where it cannot look; none raises LabctlError."""

    async def listening(self, pod: Object) -> frozenset[int] | None:
        """TCP ports that something in the pod listens on, but for loopback; None when that is not known."""

    async def connect(self, source: Object | None, host: str, port: int) -> Attempt | None:
        """Open a TCP connection from a pod (None: from this machine); port 0 only looks the name up."""

    async def last_words(self, pod: Object, container: str) -> str:
        """The last line that a container wrote, empty when it wrote none."""

    def free_port(self, wanted: int) -> int:
        """A port of this machine that nobody holds, above the wanted one."""
