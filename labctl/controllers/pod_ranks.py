"""Which pods of a ReplicaSet go first when it shrinks. Pure.

The order of pkg/controller's ActivePodsWithRanks: first what helps nobody (on no node, not running, not ready), then by
`controller.kubernetes.io/pod-deletion-cost`, then from crowded nodes, then the youngest. Ages are compared by their magnitude,
so that it is not always the newest node or zone that loses its pods.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from labctl.api.objects import Object
from labctl.api.times import to_unix

_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def condition_of(obj: Object, kind: str) -> dict[str, Any]:
    """A status condition, or an empty dict."""
    return next((c for c in (obj.get("status") or {}).get("conditions") or () if c["type"] == kind), {})


def is_ready(pod: Object) -> bool:
    """The condition Ready."""
    return bool(condition_of(pod, "Ready").get("status") == "True")


def is_active(pod: Object) -> bool:
    """Whether a pod counts as a replica: it has not ended and is not ending."""
    return not has_ended(pod) and not pod["metadata"].get("deletionTimestamp")


def is_terminating(pod: Object) -> bool:
    """Whether a pod is on its way out."""
    return not has_ended(pod) and bool(pod["metadata"].get("deletionTimestamp"))


def has_ended(pod: Object) -> bool:
    """Whether nothing of a pod runs any more."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def available_in_s(pod: Object, min_ready_s: int, now_s: float) -> float | None:
    """Seconds until a ready pod counts as available, 0 when it does; None for one that is not ready."""
    if not is_ready(pod):
        return None
    since = condition_of(pod, "Ready").get("lastTransitionTime")
    if not min_ready_s:
        return 0.0
    return float(min_ready_s) if since is None else max(to_unix(since) + min_ready_s - now_s, 0.0)


def victims(pods: Sequence[Object], number: int, *, related: Sequence[Object], now_s: float) -> list[Object]:
    """The pods to delete; `related` are all pods that share their nodes with replicas of the same owner."""
    crowd = Counter(p["spec"].get("nodeName") for p in related if is_active(p))
    return sorted(pods, key=lambda p: _rank(p, crowd, now_s))[:number]


def _rank(pod: Object, crowd: Counter[Any], now_s: float) -> tuple[Any, ...]:
    status, ready = pod.get("status") or {}, is_ready(pod)
    since = condition_of(pod, "Ready").get("lastTransitionTime") if ready else None
    return (
        bool(pod["spec"].get("nodeName")),
        _PHASES.get(status.get("phase", ""), 0),
        ready,
        _cost(pod),
        -crowd[pod["spec"].get("nodeName")],
        _magnitude(since, now_s) if ready else 0,
        *(-n for n in _restarts(pod)),
        _magnitude(pod["metadata"].get("creationTimestamp"), now_s),
        pod["metadata"].get("uid", ""),
    )


def _cost(pod: Object) -> int:
    text = (pod["metadata"].get("annotations") or {}).get(_COST, "0")
    return int(text) if text.removeprefix("-").isdigit() else 0


def _magnitude(timestamp: str | None, now_s: float) -> int:
    """The age as a power of two; what has no time is youngest."""
    if timestamp is None:
        return -2
    age_ns = max(now_s - to_unix(timestamp), 0.0) * 1e9
    return math.floor(math.log2(age_ns)) if age_ns >= 1 else -1


def _restarts(pod: Object) -> tuple[int, int]:
    """The most restarts of any container, then of any sidecar."""
    status = pod.get("status") or {}
    sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"}
    regular = (c.get("restartCount", 0) for c in status.get("containerStatuses") or ())
    beside = (c.get("restartCount", 0) for c in status.get("initContainerStatuses") or () if c.get("name") in sidecars)
    return max(regular, default=0), max(beside, default=0)
