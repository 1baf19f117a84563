"""What controllers, the kubelet and the node agent may ask of an API server.

Two implementations: `labctl.client.http.HttpApi` (TLS, any Kubernetes API server) and
`labctl.apiserver.local.LocalApi` (same process, same admission and validation, no socket).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

from labctl.api.kinds import Kind
from labctl.api.objects import Object

PatchType = Literal[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
]

WatchEventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch; `object` is a Status when `type` is ERROR."""

    type: WatchEventType
    object: Object


@dataclass(frozen=True, slots=True)
class ObjectList:
    """A list answer: items and the revision at which they were read."""

    items: list[Object] = field(default_factory=list)
    resource_version: str = ""
    continue_token: str = ""


class Api(Protocol):
    """The verbs of the Kubernetes API. All raise `labctl.api.status.ApiError`; objects returned are shared: do not mutate."""

    async def get(self, kind: Kind, namespace: str, name: str, *, subresource: str = "") -> Object:
        """Read one object."""
        ...

    async def list(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> ObjectList:
        """Read many objects; an empty namespace means all namespaces."""
        ...

    async def create(
        self, kind: Kind, obj: Object, *, namespace: str = "", subresource: str = "", name: str = ""
    ) -> Object:
        """Create an object; `subresource` and `name` serve binding, eviction and token."""
        ...

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        """Replace an object; a resourceVersion in it makes the write conditional (409)."""
        ...

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: object,
        *,
        patch_type: PatchType = "application/merge-patch+json",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        """Patch an object; `patch` is JSON data."""
        ...

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        grace_period_s: int | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] | None = None,
        uid: str = "",
        resource_version: str = "",
    ) -> Object:
        """Delete an object; `uid` and `resource_version` are preconditions. Returns the object or a Status."""
        ...

    def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        send_initial_events: bool = False,
        timeout_s: float | None = None,
    ) -> AsyncIterator[WatchEvent]:
        """Follow changes. With `send_initial_events` the present state comes first as ADDED events, closed by a
        BOOKMARK annotated `k8s.io/initial-events-end: "true"`. Ends when the server ends it; raises ApiError 410
        when the revision is compacted."""
        ...
