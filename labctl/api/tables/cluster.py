"""Nodes, Namespaces, Events, Leases."""

from __future__ import annotations

from typing import Any

from labctl.api.objects import Object
from labctl.api.tables.columns import AGE, NAME, NONE, UNKNOWN, Column, Printer, age, age_of, columns

_ROLE_PREFIX = "node-role.kubernetes.io/"


def _node(node: Object, now_s: float) -> list[Any]:
    status = node.get("status") or {}
    info = status.get("nodeInfo") or {}
    addresses = {a["type"]: a["address"] for a in reversed(status.get("addresses") or ())}
    return [
        node["metadata"]["name"],
        _node_status(node),
        ",".join(
            sorted(k[len(_ROLE_PREFIX) :] for k in node["metadata"].get("labels") or {} if k.startswith(_ROLE_PREFIX))
        )
        or NONE,
        age_of(node, now_s),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _node_status(node: Object) -> str:
    ready = next((c for c in (node.get("status") or {}).get("conditions") or () if c["type"] == "Ready"), None)
    words = ["Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"]
    if node["spec"].get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _namespace(namespace: Object, now_s: float) -> list[Any]:
    phase = (namespace.get("status") or {}).get("phase", "")
    return [namespace["metadata"]["name"], phase, age_of(namespace, now_s)]


def _event(event: Object, now_s: float) -> list[Any]:
    about = event.get("involvedObject") or {}
    series, source = event.get("series") or {}, event.get("source") or {}
    first = event.get("firstTimestamp") or event.get("eventTime")
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    count = series.get("count") or event.get("count") or 1
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host") or ""
    return [
        age(last, now_s),
        event.get("type", ""),
        event.get("reason", ""),
        f"{about.get('kind', '').lower()}/{about.get('name', '')}",
        about.get("fieldPath", ""),
        ", ".join(p for p in (component, host) if p),
        (event.get("message") or "").strip(),
        age(first, now_s),
        count,
        event["metadata"]["name"],
    ]


def _lease(lease: Object, now_s: float) -> list[Any]:
    return [lease["metadata"]["name"], (lease.get("spec") or {}).get("holderIdentity", ""), age_of(lease, now_s)]


NODES = Printer(
    columns(
        "Status",
        "Roles",
        "Age",
        "Version",
        wide=("Internal-IP", "External-IP", "OS-Image", "Kernel-Version", "Container-Runtime"),
    ),
    _node,
)
NAMESPACES = Printer(columns("Status", "Age"), _namespace)
EVENTS = Printer(
    (
        Column("Last Seen"),
        Column("Type"),
        Column("Reason"),
        Column("Object"),
        Column("Subobject", 1),
        Column("Source", 1),
        Column("Message"),
        Column("First Seen", 1),
        Column("Count", 1),
        Column("Name", 1, format="name"),
    ),
    _event,
)
LEASES = Printer((NAME, Column("Holder"), AGE), _lease)
