"""Deployments and ReplicaSets."""

from __future__ import annotations

from typing import Any

from labctl.api import selectors
from labctl.api.objects import Object
from labctl.api.tables.columns import Printer, age_of, columns, containers


def _deployment(deployment: Object, now_s: float) -> list[Any]:
    spec, status = deployment["spec"], deployment.get("status") or {}
    return [
        deployment["metadata"]["name"],
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
        replica_set["metadata"]["name"],
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age_of(replica_set, now_s),
        *containers(spec["template"]["spec"]),
        str(selectors.from_object(spec.get("selector"))),
    ]


_WIDE = ("Containers", "Images", "Selector")
DEPLOYMENTS = Printer(columns("Ready", "Up-to-date#", "Available#", "Age", wide=_WIDE), _deployment)
REPLICA_SETS = Printer(columns("Desired#", "Current#", "Ready#", "Age", wide=_WIDE), _replica_set)
