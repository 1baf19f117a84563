"""Events about pods and nodes, in the kubelet's words; written in the background so that nothing waits for them."""

from __future__ import annotations

from typing import Protocol

from labctl.api.objects import Object


class Recorder(Protocol):
    """Where Events go; repeated ones are counted by whoever implements this."""

    def event(self, obj: Object, kind: str, reason: str, message: str, *, host: str = "", field_path: str = "") -> None:
        """Record an Event about `obj`; `kind` is Normal or Warning."""
        ...


class PodEvents:
    """Events about one pod from its node's kubelet."""

    def __init__(self, recorder: Recorder, pod: Object, node: str) -> None:
        self._recorder = recorder
        self._pod = pod
        self._node = node

    def normal(self, reason: str, message: str, *, container: str = "") -> None:
        """Something went as it should."""
        self._record("Normal", reason, message, container)

    def warning(self, reason: str, message: str, *, container: str = "") -> None:
        """Something needs attention."""
        self._record("Warning", reason, message, container)

    def _record(self, kind: str, reason: str, message: str, container: str) -> None:
        path = f"spec.{self._list_of(container)}{{{container}}}" if container else ""
        self._recorder.event(self._pod, kind, reason, message, host=self._node, field_path=path)

    def _list_of(self, container: str) -> str:
        lists = ("initContainers", "ephemeralContainers")
        return next(
            (k for k in lists if any(c["name"] == container for c in self._pod["spec"].get(k) or ())), "containers"
        )
