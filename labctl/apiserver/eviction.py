"""POST pods/NAME/eviction: a deletion that a PodDisruptionBudget may hold back.

Follows pkg/registry/core/pod/storage/eviction.go. No other write comes in between, so nothing is ever retried.
"""

from __future__ import annotations

from typing import Any

from labctl.api import kinds, selectors, status
from labctl.api.objects import Object
from labctl.api.times import format_time
from labctl.apiserver import deletion
from labctl.apiserver.authentication import Authenticator
from labctl.apiserver.options import DeleteOptions, WriteOptions
from labctl.apiserver.registry import Registry

_MAX_DISRUPTED = 2000
_UNGUARDED_PHASES = ("Succeeded", "Failed", "Pending")
_CAUSE = "DisruptionBudget"
_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


def evict(registry: Registry, _: Authenticator, namespace: str, name: str, eviction: Object) -> Object:
    """Evict a pod; the answer is a Status. Raises ApiError 400, 403, 404, 409, 429."""
    if (eviction.get("metadata") or {}).get("name") != name:
        raise status.bad_request("name in URL does not match name in Eviction object")
    options = _options(eviction)
    pod = registry.get(kinds.POD, namespace, name)
    guarding = _budgets_of(registry, pod) if _is_guarded(pod) else []
    if len(guarding) > 1:
        text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": text, "code": 500}
    if guarding and not _is_free(pod, guarding[0]):
        _take(registry, guarding[0], name, dry_run=options.dry_run)
    if not options.dry_run:
        _mark(registry, namespace, name)
    deletion.delete(registry, kinds.POD, namespace, name, options)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _options(eviction: Object) -> DeleteOptions:
    body: dict[str, Any] = eviction.get("deleteOptions") or {}
    conditions = body.get("preconditions") or {}
    return DeleteOptions(
        body.get("gracePeriodSeconds"),
        body.get("propagationPolicy"),
        conditions.get("uid") or "",
        conditions.get("resourceVersion") or "",
        dry_run=bool(body.get("dryRun")),
    )


def _is_guarded(pod: Object) -> bool:
    """Whether evicting the pod disrupts anything: one that ended, is ending or never ran is gone already."""
    ended = (pod.get("status") or {}).get("phase") in _UNGUARDED_PHASES
    return not ended and not pod["metadata"].get("deletionTimestamp")


def _budgets_of(registry: Registry, pod: Object) -> list[Object]:
    labels, namespace = pod["metadata"].get("labels"), pod["metadata"]["namespace"]
    return [
        budget
        for budget in registry.store.items(kinds.POD_DISRUPTION_BUDGET.group_resource)
        if budget["metadata"]["namespace"] == namespace
        and selectors.from_object(budget["spec"].get("selector")).matches(labels)
    ]


def _is_free(pod: Object, budget: Object) -> bool:
    """Whether an unhealthy pod may go without being counted."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    state = budget.get("status") or {}
    return bool(state.get("currentHealthy", 0) >= state.get("desiredHealthy", 0) > 0)


def _take(registry: Registry, budget: Object, pod: str, *, dry_run: bool) -> None:
    """Use up one of the disruptions that the budget allows. Raises ApiError 403, 429."""
    name, state = budget["metadata"]["name"], budget.get("status") or {}
    if state.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise _too_many(f"The disruption budget {name} is still being processed by the server.", retry_s=10)
    if len(state.get("disruptedPods") or {}) > _MAX_DISRUPTED:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise status.forbidden(kinds.POD_DISRUPTION_BUDGET, name, why)
    if state.get("disruptionsAllowed", 0) <= 0:
        raise _too_many(_why_none(name, state))
    if dry_run:
        return
    at = format_time(registry.clock())

    def taken(present: Object) -> Object:
        after = {**present["status"], "disruptionsAllowed": state["disruptionsAllowed"] - 1}
        after["disruptedPods"] = {**(state.get("disruptedPods") or {}), pod: at}
        return {**present, "status": after}

    namespace = budget["metadata"]["namespace"]
    registry.update(kinds.POD_DISRUPTION_BUDGET, namespace, name, taken, WriteOptions(), subresource="status")


def _why_none(name: str, state: Object) -> str:
    said: Object = next((c for c in state.get("conditions") or () if c["type"] == "DisruptionAllowed"), {})
    if said.get("reason") == "SyncFailed" and said.get("message"):
        refused = f"The disruption budget {name} does not allow evicting pods currently because it failed sync"
        return f"{refused}: {said['message']}"
    needed, present = state.get("desiredHealthy", 0), state.get("currentHealthy", 0)
    if present <= needed:
        return f"The disruption budget {name} needs {needed} healthy pods and has {present} currently"
    return f"The disruption budget {name} does not allow evicting pods currently"


def _too_many(why: str, *, retry_s: int = 0) -> status.ApiError:
    details: dict[str, Any] = {"causes": [{"reason": _CAUSE, "message": why}]}
    if retry_s:
        details["retryAfterSeconds"] = retry_s
    return status.ApiError(429, "TooManyRequests", _REFUSED, details)


def _mark(registry: Registry, namespace: str, name: str) -> None:
    """Say on the pod why it ends."""
    now = format_time(registry.clock())

    def marked(pod: Object) -> Object:
        state = pod.get("status") or {}
        others = [c for c in state.get("conditions") or () if c["type"] != "DisruptionTarget"]
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": now,
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
        return {**pod, "status": {**state, "conditions": [*others, condition]}}

    registry.update(kinds.POD, namespace, name, marked, WriteOptions(), subresource="status")
