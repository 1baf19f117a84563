"""Which ReplicaSet belongs to which template of a Deployment, and what number it has. Pure.

Follows pkg/controller/deployment/util: a template that is wanted again gets the newest number, and its ReplicaSet remembers
the numbers it had before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import orjson

from labctl.api import kinds
from labctl.api.objects import Object, copy, key_of
from labctl.controllers.context import owner_reference
from labctl.controllers.rollout import DESIRED, MAXIMUM, limits, new_size, size

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
_ROLLBACK = "deprecated.deployment.rollback.to"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_NOT_INHERITED = (_APPLIED, REVISION, HISTORY, DESIRED, MAXIMUM, _ROLLBACK)
_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_LONGEST_HISTORY = 2000  # characters
_LONGEST_NAME = 253


def notes_of(obj: Object) -> dict[str, str]:
    """The annotations of an object."""
    return obj["metadata"].get("annotations") or {}


def revision_of(replica_set: Object) -> int:
    """The number of a ReplicaSet; 0 where it has none that can be read."""
    text = notes_of(replica_set).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def next_revision(old: Iterable[Object]) -> int:
    """The number that the newest template has."""
    return max(map(revision_of, old), default=0) + 1


def matching(deployment: Object, owned: Iterable[Object]) -> Object | None:
    """The oldest ReplicaSet with the Deployment's template."""
    wanted = _plain_template(deployment["spec"]["template"])
    found = [r for r in owned if _plain_template(r["spec"]["template"]) == wanted]
    return min(found, key=lambda r: (r["metadata"]["creationTimestamp"], r["metadata"]["name"]), default=None)


def renewed(deployment: Object, replica_set: Object, revision: int) -> dict[str, str]:
    """Annotations that the ReplicaSet of the present template lacks: the Deployment's own, and its number."""
    present, known = notes_of(replica_set), revision_of(replica_set)
    inherited = {k: v for k, v in notes_of(deployment).items() if k not in _NOT_INHERITED}
    changed = {k: v for k, v in inherited.items() if present.get(k) != v}
    if known < revision:
        changed[REVISION] = str(revision)
        if REVISION in present:
            changed[HISTORY] = _longer(present.get(HISTORY, ""), str(known))
    return changed


def _longer(history: str, number: str) -> str:
    numbers = [*filter(None, history.split(",")), number]
    while len(",".join(numbers)) > _LONGEST_HISTORY:
        del numbers[0]
    return ",".join(numbers)


def new_replica_set(deployment: Object, old: list[Object]) -> Object:
    """The ReplicaSet for the present template, as large as it may begin."""
    spec = deployment["spec"]
    surge, _ = limits(deployment)
    name = template_hash(spec["template"], (deployment.get("status") or {}).get("collisionCount", 0))
    template = copy(spec["template"])
    labels = {**((template.get("metadata") or {}).get("labels") or {}), HASH_LABEL: name}
    template["metadata"] = {**(template.get("metadata") or {}), "labels": labels}
    selector = copy(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: name}
    notes = {k: v for k, v in notes_of(deployment).items() if k not in _NOT_INHERITED}
    notes |= {REVISION: str(next_revision(old)), DESIRED: str(size(deployment)), MAXIMUM: str(size(deployment) + surge)}
    return {
        "metadata": {
            "name": f"{deployment['metadata']['name'][: _LONGEST_NAME - len(name) - 1]}-{name}",
            "namespace": key_of(deployment).namespace,
            "labels": labels,
            "annotations": notes,
            "ownerReferences": [owner_reference(kinds.DEPLOYMENT, deployment)],
        },
        "spec": {
            "replicas": new_size(deployment, 0, old),
            "selector": selector,
            "template": template,
            **({"minReadySeconds": spec["minReadySeconds"]} if spec.get("minReadySeconds") else {}),
        },
    }


def superfluous(deployment: Object, old: Iterable[Object]) -> list[Object]:
    """Empty ReplicaSets beyond revisionHistoryLimit, the oldest numbers first."""
    alive = sorted((r for r in old if not r["metadata"].get("deletionTimestamp")), key=revision_of)
    beyond = alive[: max(len(alive) - int(deployment["spec"].get("revisionHistoryLimit", 10)), 0)]
    return [r for r in beyond if _is_empty(r)]


def _is_empty(replica_set: Object) -> bool:
    status = replica_set.get("status") or {}
    observed = status.get("observedGeneration", 0) >= replica_set["metadata"].get("generation", 0)
    return observed and not size(replica_set) and not status.get("replicas")


def template_hash(template: Object, collisions: int = 0) -> str:
    """A short name for a template, of letters that are safe in names."""
    data = orjson.dumps(_plain_template(template), option=orjson.OPT_SORT_KEYS) + str(collisions).encode()
    number = int.from_bytes(hashlib.sha256(data).digest()[:8])
    text = ""
    for _ in range(10):
        number, rest = divmod(number, len(_SAFE))
        text += _SAFE[rest]
    return text


def _plain_template(template: Object) -> Object:
    result = copy(template)
    meta = result.get("metadata") or {}
    (meta.get("labels") or {}).pop(HASH_LABEL, None)
    meta.pop("creationTimestamp", None)
    return result
