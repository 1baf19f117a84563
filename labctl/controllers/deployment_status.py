"""The status of a Deployment: counts and conditions in Kubernetes' words. Pure.

Follows sync.go (calculateStatus) and progress.go of pkg/controller/deployment. A condition that changes moves to the end of
the list, as there: the order tells which changed last.
"""

from __future__ import annotations

from collections.abc import Sequence

from labctl.api.objects import Object
from labctl.api.times import to_unix
from labctl.controllers.rollout import count, limits, size

Conditions = list[Object]

AVAILABLE_NOW, PAUSED, TIMED_OUT = "NewReplicaSetAvailable", "DeploymentPaused", "ProgressDeadlineExceeded"
_NEVER = 2**31 - 1  # a deadline of this means none


def conditions_of(deployment: Object) -> Conditions:
    """The present conditions, as a list that may be changed."""
    return list((deployment.get("status") or {}).get("conditions") or ())


def find(conditions: Sequence[Object], kind: str) -> Object | None:
    """A condition by its type."""
    return next((c for c in conditions if c["type"] == kind), None)


def with_condition(
    conditions: Conditions, kind: str, status: str, reason: str, message: str, *, now: str
) -> Conditions:
    """The conditions with one set; the very same list when its status and reason are the same already."""
    present = find(conditions, kind)
    if present is not None and (present["status"], present.get("reason")) == (status, reason):
        return conditions
    changed = present["lastTransitionTime"] if present is not None and present["status"] == status else now
    condition = {
        "type": kind,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": changed,
        "reason": reason,
        "message": message,
    }
    return [*without(conditions, kind), condition]


def without(conditions: Conditions, kind: str) -> Conditions:
    """The conditions but one."""
    return [c for c in conditions if c["type"] != kind]


def deadline_of(deployment: Object) -> int | None:
    """progressDeadlineSeconds, None where progress is not judged."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds == _NEVER else int(seconds)


def pause_noted(deployment: Object, conditions: Conditions, *, now: str) -> Conditions:
    """Progressing is Unknown from the moment a Deployment is paused or resumed, so that the pause does not count."""
    present = find(conditions, "Progressing")
    reason = present["reason"] if present else ""
    if deadline_of(deployment) is None or reason == TIMED_OUT:
        return conditions
    if deployment["spec"].get("paused"):
        return with_condition(conditions, "Progressing", "Unknown", PAUSED, "Deployment is paused", now=now)
    if reason == PAUSED:
        text = "Deployment is resumed"
        return with_condition(conditions, "Progressing", "Unknown", "DeploymentResumed", text, now=now)
    return conditions


def counted(
    deployment: Object, new: Object | None, old: Sequence[Object], conditions: Conditions, *, now: str
) -> Object:
    """What the ReplicaSets add up to, with the condition Available."""
    every = [*old, *([new] if new else [])]
    available = sum(count(r, "availableReplicas") for r in every)
    counts = {
        "replicas": sum(count(r, "replicas") for r in every),
        "updatedReplicas": count(new, "replicas"),
        "readyReplicas": sum(count(r, "readyReplicas") for r in every),
        "availableReplicas": available,
        "unavailableReplicas": max(sum(map(size, every)) - available, 0),
        "collisionCount": count(deployment, "collisionCount"),
    }
    status: Object = {"observedGeneration": deployment["metadata"].get("generation", 0)}
    status |= {name: number for name, number in counts.items() if number}
    synced = [r for r in every if count(r, "observedGeneration")]
    if all("terminatingReplicas" in r["status"] for r in synced):
        status["terminatingReplicas"] = sum(count(r, "terminatingReplicas") for r in synced)
    _, unavailable = limits(deployment)
    if available >= size(deployment) - unavailable:
        words = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        words = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    return {**status, "conditions": with_condition(conditions, "Available", *words, now=now)}


def with_progress(deployment: Object, new: Object | None, old: Sequence[Object], status: Object, *, now: str) -> Object:
    """The status of a rollout: also Progressing, and what keeps ReplicaSets from making pods."""
    conditions = status["conditions"]
    if deadline_of(deployment) is None:
        conditions = without(conditions, "Progressing")
    elif not _is_settled(status):
        conditions = _progressing(deployment, new, status, now)
    failure = next((c for r in (new, *old) if r and (c := _failure(r))), None)
    if failure is None:
        conditions = without(conditions, "ReplicaFailure")
    else:
        words = (failure["status"], failure.get("reason", ""), failure.get("message", ""))
        conditions = with_condition(conditions, "ReplicaFailure", *words, now=now)
    return {**status, "conditions": conditions}


def is_complete(deployment: Object, status: Object) -> bool:
    """Whether the rollout has arrived: all replicas are new and available."""
    counts = (status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas"))
    observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return observed and set(counts) == {size(deployment)}


def check_after_s(deployment: Object, status: Object, now_s: float) -> float | None:
    """In how many seconds a stuck rollout will have passed its deadline; None when there is nothing to wait for."""
    deadline, progressing = deadline_of(deployment), find(status["conditions"], "Progressing")
    if deadline is None or progressing is None or progressing["reason"] == TIMED_OUT or is_complete(deployment, status):
        return None
    return max(to_unix(progressing["lastUpdateTime"]) + deadline - now_s, 0) + 1


def _is_settled(status: Object) -> bool:
    """A rollout that is over is not judged again."""
    present = find(status["conditions"], "Progressing")
    all_new = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    return all_new and present is not None and present["reason"] == AVAILABLE_NOW


def _progressing(deployment: Object, new: Object | None, status: Object, now: str) -> Conditions:
    conditions: Conditions = status["conditions"]
    name = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'
    if is_complete(deployment, status):
        text = f"{name} has successfully progressed."
        return with_condition(conditions, "Progressing", "True", AVAILABLE_NOW, text, now=now)
    if _has_moved(deployment.get("status") or {}, status):
        present = find(conditions, "Progressing")
        text = f"{name} is progressing."
        renewed = with_condition([], "Progressing", "True", "ReplicaSetUpdated", text, now=now)
        if present is not None and present["status"] == "True":
            renewed[0]["lastTransitionTime"] = present["lastTransitionTime"]
        return [*without(conditions, "Progressing"), *renewed]
    if _is_late(deployment, conditions, now):
        text = f"{name} has timed out progressing."
        return with_condition(conditions, "Progressing", "False", TIMED_OUT, text, now=now)
    return conditions


def _has_moved(before: Object, after: Object) -> bool:
    def grew(name: str) -> bool:
        return bool(after.get(name, 0) > (before.get(name) or 0))

    def outdated(status: Object) -> int:
        return (status.get("replicas") or 0) - (status.get("updatedReplicas") or 0)

    return any(map(grew, ("updatedReplicas", "readyReplicas", "availableReplicas"))) or outdated(after) < outdated(
        before
    )


def _is_late(deployment: Object, conditions: Conditions, now: str) -> bool:
    present, deadline = find(conditions, "Progressing"), deadline_of(deployment)
    if present is None or deadline is None or present["reason"] == AVAILABLE_NOW:
        return False
    return present["reason"] == TIMED_OUT or to_unix(present["lastUpdateTime"]) + deadline < to_unix(now)


def _failure(replica_set: Object) -> Object | None:
    return find((replica_set.get("status") or {}).get("conditions") or (), "ReplicaFailure")
