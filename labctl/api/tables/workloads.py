"""Deployments, ReplicaSets, ReplicationControllers, and the Scale of either."""

from __future__ import annotations

from typing import Any

from labctl.api import selectors
from labctl.api.objects import Object
from labctl.api.tables.columns import (
    AGE,
    CONTAINERS,
    NAME,
    SELECTOR,
    Column,
    Printer,
    age_of,
    containers,
    label_selector,
    labels,
    name_of,
)


def _deployment(deployment: Object, now_s: float) -> list[Any]:
    spec, status = deployment["spec"], deployment.get("status") or {}
    return [
        name_of(deployment),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age_of(deployment, now_s),
        *containers(spec["template"]["spec"]),
        str(selectors.from_object(spec.get("selector"))),
    ]


def _replica_set(replica_set: Object, now_s: float) -> list[Any]:
    spec, status = replica_set["spec"], replica_set.get("status") or {}
    return [
        name_of(replica_set),
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age_of(replica_set, now_s),
        *containers(spec["template"]["spec"]),
        label_selector(spec.get("selector")),
    ]


def _replication_controller(controller: Object, now_s: float) -> list[Any]:
    selector = labels(controller["spec"].get("selector"))
    return [*_replica_set({**controller, "spec": {**controller["spec"], "selector": None}}, now_s)[:-1], selector]


def _pod_template(template: Object, _: float) -> list[Any]:
    wanted = template["template"]
    shown = labels((wanted.get("metadata") or {}).get("labels"))
    return [name_of(template), *containers(wanted["spec"]), shown]


def _scale(scale: Object, now_s: float) -> list[Any]:
    wanted, present = (scale.get(part, {}).get("replicas", 0) for part in ("spec", "status"))
    return [name_of(scale), wanted, present, age_of(scale, now_s)]


DEPLOYMENTS = Printer(
    (
        NAME,
        Column("Ready", "How many pods are ready, of how many that are wanted."),
        Column("Up-to-date", "How many pods are of the present template."),
        Column("Available", "How many pods have been ready for minReadySeconds."),
        AGE,
        *CONTAINERS,
        SELECTOR,
    ),
    _deployment,
)
REPLICA_SETS = Printer(
    (
        NAME,
        Column("Desired", "How many pods there are to be.", type="integer"),
        Column("Current", "How many pods there are.", type="integer"),
        Column("Ready", "How many pods are ready.", type="integer"),
        AGE,
        *CONTAINERS,
        SELECTOR,
    ),
    _replica_set,
)
REPLICATION_CONTROLLERS = Printer(REPLICA_SETS.columns, _replication_controller)
POD_TEMPLATES = Printer(
    (
        NAME,
        Column("Containers", "Names of the containers of its pods."),
        Column("Images", "Images of the containers of its pods."),
        Column("Pod Labels", "Labels of its pods."),
    ),
    _pod_template,
)
SCALES = Printer(
    (
        Column("Name", NAME.description),
        Column("Desired", "How many pods there are to be.", type="integer"),
        Column("Available", "How many pods there are.", type="integer"),
        AGE,
    ),
    _scale,
)
