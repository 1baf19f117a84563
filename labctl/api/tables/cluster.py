"""Nodes, Namespaces, Events, Leases."""

from __future__ import annotations

from typing import Any

from labctl.api.objects import Object
from labctl.api.tables.columns import AGE, NAME, NONE, UNKNOWN, WIDE, Column, Printer, age, age_of, name_of

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def _node(node: Object, now_s: float) -> list[Any]:
    status = node.get("status") or {}
    info = status.get("nodeInfo") or {}
    addresses = {a["type"]: a["address"] for a in reversed(status.get("addresses") or ())}
    architecture = f" ({info['architecture']})" if info.get("architecture") else ""
    return [
        name_of(node),
        _node_status(node),
        ",".join(node_roles(node)) or NONE,
        age_of(node, now_s),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info.get("osImage") or UNKNOWN,
        (info.get("kernelVersion") or UNKNOWN) + architecture,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _node_status(node: Object) -> str:
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = next((c["status"] for c in conditions if c["type"] == "Ready"), None)
    words = ["Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"]
    if (node.get("spec") or {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def node_roles(node: Object) -> list[str]:
    """Roles of a node, from its labels."""
    labels = node["metadata"].get("labels") or {}
    roles = {k[len(_ROLE_PREFIX) :] for k in labels if k.startswith(_ROLE_PREFIX)} | {labels.get(_ROLE_LABEL, "")}
    return sorted(roles - {""})


def _namespace(namespace: Object, now_s: float) -> list[Any]:
    phase = (namespace.get("status") or {}).get("phase", "")
    return [name_of(namespace), phase, age_of(namespace, now_s)]


def _event(event: Object, now_s: float) -> list[Any]:
    about, series = event.get("involvedObject") or {}, event.get("series")
    first = event.get("firstTimestamp") or event.get("eventTime")
    last = event.get("lastTimestamp") or first
    count = event.get("count") or 1
    if series is not None:
        last, count = series.get("lastObservedTime"), series.get("count", 0)
    return [
        age(last, now_s),
        event.get("type", ""),
        event.get("reason", ""),
        "/".join(p for p in (about.get("kind", "").lower(), about.get("name")) if p),
        about.get("fieldPath", ""),
        source(event),
        (event.get("message") or "").strip(),
        age(first, now_s),
        count,
        name_of(event),
    ]


def source(event: Object) -> str:
    """Who reported an Event: component, and the instance after a comma."""
    given = event.get("source") or {}
    component = given.get("component") or event.get("reportingComponent") or ""
    instance = given.get("host") or event.get("reportingInstance") or ""
    return f"{component}, {instance}" if instance else component


def _lease(lease: Object, now_s: float) -> list[Any]:
    return [name_of(lease), (lease.get("spec") or {}).get("holderIdentity", ""), age_of(lease, now_s)]


NODES = Printer(
    (
        NAME,
        Column("Status", "Whether the node is ready, and whether new pods are kept off it."),
        Column("Roles", "Roles that the node's labels give it."),
        AGE,
        Column("Version", "The version of the node's kubelet."),
        Column("Internal-IP", "The node's address inside the cluster's network.", WIDE),
        Column("External-IP", "The node's address outside of it.", WIDE),
        Column("OS-Image", "The operating system of the node.", WIDE),
        Column("Kernel-Version", "The node's kernel and architecture.", WIDE),
        Column("Container-Runtime", "What runs the node's containers.", WIDE),
    ),
    _node,
)
NAMESPACES = Printer((NAME, Column("Status", "Active, or Terminating while its objects are removed."), AGE), _namespace)
EVENTS = Printer(
    (
        Column("Last Seen", "How long ago the event last occurred."),
        Column("Type", "Normal, or Warning when something needs attention."),
        Column("Reason", "What happened, in one word for programs."),
        Column("Object", "The object that the event is about."),
        Column("Subobject", "The part of the object that the event is about.", WIDE),
        Column("Source", "The component that reported the event.", WIDE),
        Column("Message", "What happened, in words."),
        Column("First Seen", "How long ago the event first occurred.", WIDE),
        Column("Count", "How often the event occurred.", WIDE),
        Column("Name", NAME.description, WIDE, format="name"),
    ),
    _event,
)
LEASES = Printer((NAME, Column("Holder", "Who holds the lease."), AGE), _lease)
