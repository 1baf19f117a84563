"""Everything a diagnosis looks at, read once through the API.

Diagnoses are pure functions of a `Facts` value, so each can be tested with objects written by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labctl.api import kinds
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.client.protocol import Api

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to connect. `address` is what the name resolved to; `error` is empty when it was answered."""

    host: str
    port: int
    address: str = ""
    error: str = ""
    took_ms: float = 0

    UNRESOLVED = "the name does not resolve"
    REFUSED = "refused"
    SILENT = "no answer"

    @property
    def is_answered(self) -> bool:
        """Whether something was there."""
        return not self.error


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the running cluster beside its API; empty where nobody could look."""

    listening: Mapping[ObjectKey, frozenset[int]] = field(default_factory=dict)
    """Pod -> TCP ports something listens on inside it, for the pods that could be asked."""
    source: Object | None = None
    """The pod that tried; None stands for the host of the lab."""
    attempts: Mapping[tuple[str, int], Attempt] = field(default_factory=dict)
    """(host, port) -> what came of it; port 0 only looks the name up."""
    last_words: Mapping[tuple[ObjectKey, str], str] = field(default_factory=dict)
    """(pod, container) -> the last line that an ended container wrote."""
    free_port: int = 0
    """A port of the host that nobody holds."""


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
    replica_sets: Sequence[Object] = ()
    seen: Seen = field(default_factory=Seen)

    def service(self, namespace: str, name: str) -> Object | None:
        """One Service."""
        return _find(self.services, namespace, name)

    def pod(self, namespace: str, name: str) -> Object | None:
        """One Pod."""
        return _find(self.pods, namespace, name)

    def selected(self, service: Object) -> list[Object]:
        """The pods that a Service's selector selects, without those that are going."""
        pods = self.in_namespace(self.pods, key_of(service).namespace)
        chosen = (p for p in pods if matches(service["spec"].get("selector"), labels_of(p)))
        return [p for p in chosen if "deletionTimestamp" not in p["metadata"]]

    def ready_addresses(self, service: Object) -> list[str]:
        """Addresses of a Service's ready endpoints, in the first of its families: the other has the same pods once more."""
        families = service["spec"].get("ipFamilies") or ["IPv4"]
        return sorted(
            address
            for s in self.slices_of(service)
            if s.get("addressType", families[0]) == families[0]
            for e in s.get("endpoints") or ()
            if (e.get("conditions") or {}).get("ready", True)
            for address in e["addresses"]
        )

    def pod_at(self, address: str) -> Object | None:
        """The pod with an address of its own."""
        own = (p for p in self.pods if not p["spec"].get("hostNetwork"))
        return next((p for p in own if address in addresses_of(p)), None)

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


def addresses_of(pod: Object) -> list[str]:
    """A pod's addresses, one of each family it has."""
    status = pod.get("status") or {}
    listed = [i["ip"] for i in status.get("podIPs") or ()]
    return listed or [a for a in (status.get("podIP"),) if a]


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


async def gather(api: Api) -> Facts:
    """Read all facts of the API at once."""
    wanted = {
        "services": kinds.SERVICE,
        "pods": kinds.POD,
        "slices": kinds.ENDPOINT_SLICE,
        "endpoints": kinds.ENDPOINTS,
        "deployments": kinds.DEPLOYMENT,
        "replica_sets": kinds.REPLICA_SET,
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
    return Facts(**found)  # type: ignore[arg-type]  # the names above are fields of lists of objects
