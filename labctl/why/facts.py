"""Everything a diagnosis looks at, read once through the API.

Diagnoses are pure functions of a `Facts` value, so each can be tested with objects written by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from labctl.api import kinds
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.client.protocol import Api

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Facts:
    """The objects of a cluster that Services depend on."""

    services: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    slices: Sequence[Object] = ()
    endpoints: Sequence[Object] = ()
    deployments: Sequence[Object] = ()
    nodes: Sequence[Object] = ()
    policies: Sequence[Object] = ()
    events: Sequence[Object] = ()
    namespaces: Sequence[Object] = ()
    listening: dict[ObjectKey, frozenset[int]] = field(default_factory=dict)
    """Pod -> TCP ports something listens on inside it, for the pods that could be asked."""

    def service(self, namespace: str, name: str) -> Object | None:
        """One Service."""
        return _find(self.services, namespace, name)

    def pod(self, namespace: str, name: str) -> Object | None:
        """One Pod."""
        return _find(self.pods, namespace, name)

    def slices_of(self, service: Object) -> list[Object]:
        """The EndpointSlices of a Service."""
        namespace, name = key_of(service)
        return [
            s
            for s in self.slices
            if key_of(s).namespace == namespace and (s["metadata"].get("labels") or {}).get(SERVICE_NAME_LABEL) == name
        ]

    def events_of(self, obj: Object) -> list[Object]:
        """Events about an object, newest first."""
        namespace, name = key_of(obj)
        about = [
            e
            for e in self.events
            if (r := e.get("involvedObject") or {}).get("name") == name
            and (r.get("namespace") or "") == namespace
            and r.get("kind") == obj.get("kind")
        ]
        return sorted(about, key=_event_time, reverse=True)

    def in_namespace(self, objects: Sequence[Object], namespace: str) -> list[Object]:
        """Those of `objects` that live in a namespace."""
        return [o for o in objects if key_of(o).namespace == namespace]


def _find(objects: Sequence[Object], namespace: str, name: str) -> Object | None:
    return next((o for o in objects if key_of(o) == (namespace, name)), None)


def _event_time(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def matches(selector: dict[str, str] | None, labels: dict[str, str] | None) -> bool:
    """True when every pair of a Service's selector is among the labels; an empty selector matches nothing."""
    return bool(selector) and all((labels or {}).get(k) == v for k, v in (selector or {}).items())


def labels_of(obj: Object) -> dict[str, str]:
    """An object's labels."""
    return obj["metadata"].get("labels") or {}


def is_ready(pod: Object) -> bool:
    """The Ready condition of a pod."""
    return condition(pod, "Ready").get("status") == "True"


def condition(obj: Object, kind: str) -> dict[str, Any]:
    """A status condition, or an empty dict."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == kind), {})


async def gather(api: Api, *, listening: Callable[[Object], Any] | None = None) -> Facts:
    """Read all facts at once. `listening` is awaited per running pod for the ports it listens on (None: unknown)."""
    wanted = {
        "services": kinds.SERVICE,
        "pods": kinds.POD,
        "slices": kinds.ENDPOINT_SLICE,
        "endpoints": kinds.ENDPOINTS,
        "deployments": kinds.DEPLOYMENT,
        "nodes": kinds.NODE,
        "policies": kinds.NETWORK_POLICY,
        "events": kinds.EVENT,
        "namespaces": kinds.NAMESPACE,
    }
    lists = await asyncio.gather(*(api.list(kind) for kind in wanted.values()))
    # Items of a list carry no kind of their own, as Kubernetes answers; events are matched by it.
    found: dict[str, list[Object]] = {
        name: [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in answer.items]
        for (name, kind), answer in zip(wanted.items(), lists, strict=True)
    }
    ports: dict[ObjectKey, frozenset[int]] = {}
    if listening is not None:
        running = [p for p in found["pods"] if (p.get("status") or {}).get("phase") == "Running"]
        answers = await asyncio.gather(*(listening(p) for p in running))
        ports = {key_of(p): a for p, a in zip(running, answers, strict=True) if a is not None}
    return Facts(**found, listening=ports)
