"""What is wrong in a node's network namespace, told as Events of the Node when it begins and when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from labctl.api.objects import Object

LOOK_S = 5.0
FULL = 0.95  # of the kernel's limit; it drops packets of new connections from there on to the limit and beyond
_CONNTRACK = Path("/proc/sys/net/netfilter")


class Recorder(Protocol):
    """Takes Events."""

    def event(self, obj: Object, kind: str, reason: str, message: str, *, host: str = "") -> None:
        """Record one."""
        ...


class Troubles:
    """`sources` are asked again and again: reason -> what is wrong, or nothing."""

    def __init__(self, recorder: Recorder, node: str, sources: Mapping[str, Callable[[], str]]) -> None:
        self._recorder = recorder
        self._node = node
        self._sources = sources
        self._present: set[str] = set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Tell what has begun or ended since the last look."""
        for reason, source in self._sources.items():
            wrong = source()
            if wrong and reason not in self._present:
                self._present.add(reason)
                self._tell("Warning", reason, wrong)
            elif not wrong and reason in self._present:
                self._present.remove(reason)
                self._tell("Normal", f"{reason}Over", f"{reason} is over on node {self._node}")

    def _tell(self, kind: str, reason: str, message: str) -> None:
        about = {"kind": "Node", "metadata": {"name": self._node, "uid": self._node}}
        self._recorder.event(about, kind, reason, message, host=self._node)


def conntrack(folder: Path = _CONNTRACK) -> str:
    """Whether the table of connections is full, or nearly."""
    try:
        count, limit = (int((folder / f"nf_conntrack_{name}").read_text()) for name in ("count", "max"))
    except (OSError, ValueError):
        return ""  # no connection was tracked yet
    if count < limit * FULL:
        return ""
    return (
        f"the kernel tracks {count} connections of at most {limit}: packets of new ones are dropped "
        "(raise net.netfilter.nf_conntrack_max on the host, or find who opens so many: conntrack -L)"
    )
