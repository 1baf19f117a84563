"""Deployments, ReplicaSets, ReplicationControllers: pkg/apis/{apps,core}/validation."""

from __future__ import annotations

from typing import Any

from labctl.api import names, selectors
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation import meta, pods
from labctl.api.validation.causes import all_invalid, forbidden, invalid, not_negative, required, unsupported

_STRATEGIES = ("Recreate", "RollingUpdate")
_WHOLE = 100


def validate_deployment(deployment: Object) -> list[Cause]:
    """A Deployment."""
    spec = deployment["spec"]
    causes = not_negative("spec.replicas", spec.get("replicas", 0)) + _pods(spec)
    causes += _strategy(spec.get("strategy") or {})
    for name in ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        causes += not_negative(f"spec.{name}", spec.get(name) or 0)
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        causes.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
    return causes


def validate_replica_set(replica_set: Object) -> list[Cause]:
    """A ReplicaSet."""
    spec = replica_set["spec"]
    causes = not_negative("spec.replicas", spec.get("replicas", 0))
    return causes + not_negative("spec.minReadySeconds", spec.get("minReadySeconds", 0)) + _pods(spec)


def validate_replication_controller(controller: Object) -> list[Cause]:
    """A ReplicationController: its selector is plain labels and may change."""
    spec = controller["spec"]
    selector, template = spec.get("selector") or {}, spec.get("template")
    causes = not_negative("spec.minReadySeconds", spec.get("minReadySeconds", 0))
    if not selector:
        causes.append(required("spec.selector"))
    causes += not_negative("spec.replicas", spec.get("replicas", 0))
    if template is None:
        return [*causes, required("spec.template")]
    if not selector.items() <= _labels(template).items():
        causes.append(_mismatch(template))
    return causes + _template(template, "ReplicationController")


def validate_pod_template(template: Object) -> list[Cause]:
    """A PodTemplate, which nobody makes pods of."""
    return pods.template("template", template.get("template") or {})


def validate_update(new: Object, old: Object) -> list[Cause]:
    """The selector of a workload never changes."""
    after, before = (o["spec"].get("selector") for o in (new, old))
    return [] if after == before else [invalid("spec.selector", meta.shown_selector(after), "field is immutable")]


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


def _pods(spec: Object) -> list[Cause]:
    """The selector, and the template of what it selects. A selector that says nothing hides what the template says."""
    selector, template = spec.get("selector"), spec.get("template") or {}
    if selector is None:
        return [required("spec.selector"), _mismatch(template), *_template(template, "ReplicaSet")]
    shown = meta.shown_selector(selector)
    if wrong := meta.label_selector("spec.selector", selector):
        return [*wrong, invalid("spec.selector", shown, "invalid label selector")]
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        empty = invalid("spec.selector", shown, "empty selector is invalid for deployment")
        return [empty, *_template(template, "ReplicaSet")]
    matches = selectors.from_object(selector).matches(_labels(template))
    return ([] if matches else [_mismatch(template)]) + _template(template, "ReplicaSet")


def _labels(template: Object) -> dict[str, str]:
    return (template.get("metadata") or {}).get("labels") or {}


def _mismatch(template: Object) -> Cause:
    shown = dict(sorted(_labels(template).items())) or None
    return invalid("spec.template.metadata.labels", shown, "`selector` does not match template `labels`")


def _template(template: Object, kind: str) -> list[Cause]:
    causes, spec = pods.template("spec.template", template), template.get("spec") or {}
    if spec.get("restartPolicy") != "Always":
        causes.append(unsupported("spec.template.spec.restartPolicy", spec.get("restartPolicy", ""), ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        detail = f"activeDeadlineSeconds in {kind} is not Supported"
        causes.append(forbidden("spec.template.spec.activeDeadlineSeconds", detail))
    return causes


def _strategy(strategy: Object) -> list[Cause]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind not in _STRATEGIES:
        return [unsupported("spec.strategy", _shown_strategy(strategy), _STRATEGIES)]
    if kind == "Recreate":
        detail = "may not be specified when strategy `type` is 'Recreate'"
        return [forbidden("spec.strategy.rollingUpdate", detail)] if rolling is not None else []
    if rolling is None:
        return [required("spec.strategy.rollingUpdate", "this should be defaulted and never be nil")]
    causes = []
    for name in ("maxUnavailable", "maxSurge"):
        causes += _amount(f"spec.strategy.rollingUpdate.{name}", rolling.get(name))
    unavailable, path = rolling.get("maxUnavailable"), "spec.strategy.rollingUpdate.maxUnavailable"
    if _zero(unavailable) and _zero(rolling.get("maxSurge")):
        causes.append(invalid(path, unavailable, "may not be 0 when `maxSurge` is 0"))
    if _percent(unavailable) > _WHOLE:
        causes.append(invalid(path, unavailable, "must not be greater than 100%"))
    return causes


def _shown_strategy(strategy: Object) -> Object:
    """A strategy as Kubernetes shows it: its internal type."""
    rolling = strategy.get("rollingUpdate")
    amounts = rolling and {"MaxUnavailable": rolling.get("maxUnavailable", 0), "MaxSurge": rolling.get("maxSurge", 0)}
    return {"Type": strategy.get("type", ""), "RollingUpdate": amounts}


def _amount(path: str, value: Any) -> list[Cause]:
    if isinstance(value, str):
        return all_invalid(path, value, names.percent(value))
    return not_negative(path, value or 0)


def _percent(value: Any) -> int:
    """The number before the `%`; 0 of anything else."""
    return int(value[:-1]) if isinstance(value, str) and not names.percent(value) else 0


def _zero(value: Any) -> bool:
    return value == 0 or (isinstance(value, str) and _percent(value) == 0)
