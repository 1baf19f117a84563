"""Deployments, ReplicaSets, ReplicationControllers: pkg/apis/{apps,core}/validation."""

from __future__ import annotations

import re
from typing import Any

from labctl.api import names, selectors
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation import meta, pods
from labctl.api.validation.causes import all_invalid, forbidden, invalid, required, unsupported

_STRATEGIES = ("Recreate", "RollingUpdate")


def validate_deployment(deployment: Object) -> list[Cause]:
    """A Deployment."""
    spec = deployment["spec"]
    causes = _replicas(spec) + _selector("spec.selector", spec.get("selector")) + _template(spec)
    causes += _strategy(spec.get("strategy") or {})
    if spec.get("minReadySeconds", 0) < 0:
        causes.append(invalid("spec.minReadySeconds", spec["minReadySeconds"], "must be greater than or equal to 0"))
    if spec.get("revisionHistoryLimit", 0) < 0:
        limit = spec["revisionHistoryLimit"]
        causes.append(invalid("spec.revisionHistoryLimit", limit, "must be greater than or equal to 0"))
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        causes.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
    return causes


def validate_replica_set(replica_set: Object) -> list[Cause]:
    """A ReplicaSet."""
    spec = replica_set["spec"]
    return _replicas(spec) + _selector("spec.selector", spec.get("selector")) + _template(spec)


def validate_replication_controller(controller: Object) -> list[Cause]:
    """A ReplicationController: its selector is plain labels and may change."""
    spec = controller["spec"]
    causes = []
    if spec.get("minReadySeconds", 0) < 0:
        causes.append(invalid("spec.minReadySeconds", spec["minReadySeconds"], "must be greater than or equal to 0"))
    if not spec.get("selector"):
        causes.append(required("spec.selector"))
    causes += _replicas(spec)
    if spec.get("template") is None:
        return [*causes, required("spec.template")]
    selector = {"matchLabels": spec["selector"]} if spec.get("selector") else None
    causes += _template({**spec, "selector": selector})
    if spec["template"].get("spec", {}).get("activeDeadlineSeconds") is not None:
        detail = "activeDeadlineSeconds in ReplicationController is not Supported"
        causes.append(forbidden("spec.template.spec.activeDeadlineSeconds", detail))
    return causes


def validate_pod_template(template: Object) -> list[Cause]:
    """A PodTemplate, which nobody makes pods of."""
    wanted = template.get("template") or {}
    shown = (wanted.get("metadata") or {}).get("labels") or {}
    return meta.labels("template.labels", shown) + pods.spec("template.spec", wanted.get("spec") or {})


def validate_update(new: Object, old: Object) -> list[Cause]:
    """The selector of a workload never changes."""
    if new["spec"].get("selector") != old["spec"].get("selector"):
        return [invalid("spec.selector", new["spec"].get("selector"), "field is immutable")]
    return []


_COUNTS = (
    "observedGeneration",
    "replicas",
    "fullyLabeledReplicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
    "collisionCount",
)


def validate_status_update(new: Object, old: Object) -> list[Cause]:
    """The counts of a Deployment's or ReplicaSet's status must make sense together."""
    after, before = new.get("status") or {}, old.get("status") or {}
    causes = [
        invalid(f"status.{name}", after[name], "must be greater than or equal to 0")
        for name in _COUNTS
        if after.get(name, 0) < 0
    ]
    for name in ("fullyLabeledReplicas", "updatedReplicas", "readyReplicas", "availableReplicas"):
        of_kind = name != ("fullyLabeledReplicas" if new["kind"] == "Deployment" else "updatedReplicas")
        if of_kind and after.get(name, 0) > after.get("replicas", 0):
            causes.append(invalid(f"status.{name}", after.get(name, 0), "cannot be greater than status.replicas"))
    available = after.get("availableReplicas", 0)
    if available > after.get("readyReplicas", 0):
        causes.append(invalid("status.availableReplicas", available, "cannot be greater than readyReplicas"))
    collisions = after.get("collisionCount", 0)
    if before.get("collisionCount", 0) > collisions:
        causes.append(invalid("status.collisionCount", collisions, "cannot be decremented"))
    return causes


def _replicas(spec: Object) -> list[Cause]:
    replicas = spec.get("replicas", 0)
    return [invalid("spec.replicas", replicas, "must be greater than or equal to 0")] if replicas < 0 else []


def _selector(path: str, selector: Object | None) -> list[Cause]:
    if selector is None:
        return [required(path)]
    causes = meta.label_selector(path, selector)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        causes.append(invalid(path, selector, "empty selector is invalid for deployment"))
    return causes


def _template(spec: Object) -> list[Cause]:
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    causes: list[Cause] = []
    selector = spec.get("selector")
    if selector and not _selector("", selector) and not selectors.from_object(selector).matches(labels):
        causes.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    causes += meta.labels("spec.template.labels", labels)
    pod = template.get("spec") or {}
    causes += pods.spec("spec.template.spec", pod)
    if pod.get("restartPolicy") not in ("Always", None):
        causes.append(unsupported("spec.template.spec.restartPolicy", pod["restartPolicy"], ("Always",)))
    return causes


def _strategy(strategy: Object) -> list[Cause]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind not in _STRATEGIES:
        return [unsupported("spec.strategy.type", kind, _STRATEGIES)]
    if kind == "Recreate":
        detail = "may not be specified when strategy `type` is 'Recreate'"
        return [forbidden("spec.strategy.rollingUpdate", detail)] if rolling is not None else []
    if rolling is None:
        return [required("spec.strategy.rollingUpdate", "this should be defaulted and never be nil")]
    causes = []
    for name in ("maxUnavailable", "maxSurge"):
        causes += _amount(f"spec.strategy.rollingUpdate.{name}", rolling.get(name))
    if not causes and _zero(rolling.get("maxUnavailable")) and _zero(rolling.get("maxSurge")):
        detail = "may not be 0 when `maxSurge` is 0"
        causes.append(invalid("spec.strategy.rollingUpdate.maxUnavailable", rolling["maxUnavailable"], detail))
    return causes


def _amount(path: str, value: Any) -> list[Cause]:
    if isinstance(value, str):
        return all_invalid(path, value, names.percent(value))
    if isinstance(value, int) and value < 0:
        return [invalid(path, value, "must be greater than or equal to 0")]
    return []


def _zero(value: Any) -> bool:
    return value == 0 or (isinstance(value, str) and re.fullmatch(r"0+%", value) is not None)
