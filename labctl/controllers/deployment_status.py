"""The status of a Deployment: counts, and the conditions Available and Progressing in Kubernetes' words. Pure."""

from __future__ import annotations

import math
from typing import Any

from labctl.api.objects import Object
from labctl.api.times import to_unix


def deployment_status(deployment: Object, new: Object | None, old: list[Object], *, now: str) -> Object:
    """The status that the ReplicaSets add up to."""
    every = ([new] if new else []) + old
    total = sum(_count(r, "replicas") for r in every)
    available = sum(_count(r, "availableReplicas") for r in every)
    wanted = deployment["spec"].get("replicas", 1)
    counts = {
        "replicas": total,
        "updatedReplicas": _count(new, "replicas") if new else 0,
        "readyReplicas": sum(_count(r, "readyReplicas") for r in every),
        "availableReplicas": available,
        "unavailableReplicas": max(wanted - available, 0) if wanted > available else 0,
    }
    status: Object = {"observedGeneration": deployment["metadata"].get("generation", 0)}
    status |= {name: count for name, count in counts.items() if count}
    known = (deployment.get("status") or {}).get("conditions") or []
    conditions = [_available(deployment, available, known, now)]
    progressing = _progressing(deployment, new, counts, known, now)
    if progressing is not None:
        conditions.append(progressing)
    # Kubernetes appends a condition when it changes, so the order tells which changed last; ours is the usual one.
    first_time = not known
    status["conditions"] = list(reversed(conditions)) if first_time and progressing else conditions
    if known:
        order = {c["type"]: i for i, c in enumerate(known)}
        status["conditions"] = sorted(conditions, key=lambda c: order.get(c["type"], len(order)))
    return status


def _count(replica_set: Object | None, name: str) -> int:
    return int(((replica_set or {}).get("status") or {}).get(name) or 0)


def _condition(known: list[Any], kind: str, status: str, reason: str, message: str, now: str) -> Object:
    before = next((c for c in known if c["type"] == kind), None)
    if before and (before["status"], before["reason"], before["message"]) == (status, reason, message):
        return dict(before)
    same_status = before is not None and before["status"] == status
    changed = before["lastTransitionTime"] if before is not None and same_status else now
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": changed,
        "reason": reason,
        "message": message,
    }


def _available(deployment: Object, available: int, known: list[Any], now: str) -> Object:
    replicas = deployment["spec"].get("replicas", 1)
    if available >= replicas - _max_unavailable(deployment):
        text = "Deployment has minimum availability."
        return _condition(known, "Available", "True", "MinimumReplicasAvailable", text, now)
    text = "Deployment does not have minimum availability."
    return _condition(known, "Available", "False", "MinimumReplicasUnavailable", text, now)


def _max_unavailable(deployment: Object) -> int:
    strategy = deployment["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return 0
    value = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", "25%")
    replicas: int = deployment["spec"].get("replicas", 1)
    if isinstance(value, int):
        return min(value, replicas)
    return math.floor(int(str(value).rstrip("%")) * replicas / 100)


def _progressing(
    deployment: Object, new: Object | None, counts: dict[str, int], known: list[Any], now: str
) -> Object | None:
    before = next((c for c in known if c["type"] == "Progressing"), None)
    if deployment["spec"].get("paused"):
        text = "Deployment is paused"
        return _condition(known, "Progressing", "Unknown", "DeploymentPaused", text, now)
    if new is None:
        return before
    name, replicas = new["metadata"]["name"], deployment["spec"].get("replicas", 1)
    complete = counts["updatedReplicas"] == counts["replicas"] == counts["availableReplicas"] == replicas
    if complete:
        text = f'ReplicaSet "{name}" has successfully progressed.'
        return _condition(known, "Progressing", "True", "NewReplicaSetAvailable", text, now)
    if before is None:
        text = f'Created new replica set "{name}"'
        return _condition(known, "Progressing", "True", "NewReplicaSetCreated", text, now)
    status = deployment.get("status") or {}
    moved = any(counts[k] > (status.get(k) or 0) for k in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    if moved or before["reason"] in ("NewReplicaSetAvailable", "DeploymentPaused"):
        text = f'ReplicaSet "{name}" is progressing.'
        refreshed = _condition(known, "Progressing", "True", "ReplicaSetUpdated", text, now)
        return {**refreshed, "lastUpdateTime": now}
    deadline = deployment["spec"].get("progressDeadlineSeconds")
    if deadline and to_unix(now) - to_unix(before["lastUpdateTime"]) > deadline:
        text = f'ReplicaSet "{name}" has timed out progressing.'
        return _condition(known, "Progressing", "False", "ProgressDeadlineExceeded", text, now)
    return dict(before)
