"""Deployments: one ReplicaSet per template, moved from the old to the new within maxSurge and maxUnavailable.

Follows pkg/controller/deployment (rolling.go, recreate.go, progress.go). Paused deployments scale but do not roll.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import orjson

from labctl.api import kinds, selectors
from labctl.api.objects import Object, ObjectKey, copy, key_of
from labctl.api.status import ApiError
from labctl.api.times import to_unix
from labctl.controllers.context import Context, KeyController, controller_of, owner_reference, with_kind
from labctl.controllers.deployment_status import deployment_status
from labctl.controllers.namespaces import suppress_gone

_COMPONENT = "deployment-controller"
HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
_NOT_INHERITED = ("kubectl.kubernetes.io/last-applied-configuration", REVISION, DESIRED, MAXIMUM)
_SAFE = "bcdfghjklmnpqrstvwxz2456789"


class Deployments(KeyController):
    """Keys are Deployments."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._recorder = context.recorder(_COMPONENT)
        context.on_change(kinds.DEPLOYMENT, self.enqueue)
        context.on_change(kinds.REPLICA_SET, self._owned_changed)
        context.on_change(kinds.POD, self._pod_gone)

    def _owned_changed(self, old: Object | None, new: Object | None) -> None:
        obj = new or old or {}
        owner = controller_of(obj)
        if owner is not None and owner["kind"] == "Deployment":
            self.queue.add(ObjectKey(key_of(obj).namespace, owner["name"]))

    def _pod_gone(self, old: Object | None, new: Object | None) -> None:
        """Recreate waits until the old pods are gone."""
        if new is None and old is not None and (owner := controller_of(old)) is not None:
            replica_set = self.context.get(kinds.REPLICA_SET, ObjectKey(key_of(old).namespace, owner["name"]))
            if replica_set is not None:
                self._owned_changed(replica_set, replica_set)

    async def reconcile(self, key: ObjectKey) -> None:
        """Make the ReplicaSets what the Deployment asks for."""
        deployment = self.context.get(kinds.DEPLOYMENT, key)
        if deployment is None or deployment["metadata"].get("deletionTimestamp"):
            return
        owned = self._replica_sets(deployment)
        new = _matching(deployment, owned)
        old = [r for r in owned if r is not new]
        if not deployment["spec"].get("paused"):
            recreate = deployment["spec"]["strategy"]["type"] == "Recreate"
            if recreate and new is None and await self._stop_old(deployment, old):
                await self._write_status(deployment, new, old)
                return
            new = await self._ensure_new(deployment, new, old)
            if not recreate:
                await self._roll(deployment, new, old)
            elif not await self._stop_old(deployment, old):
                await self._scale(deployment, new, deployment["spec"].get("replicas", 1))
            await self._clean_up(deployment, old)
        else:
            await self._scale_paused(deployment, new, old)
        await self._write_status(deployment, new, old)

    def _replica_sets(self, deployment: Object) -> list[Object]:
        uid = deployment["metadata"]["uid"]
        found = self.context.all(kinds.REPLICA_SET, key_of(deployment).namespace)
        return [r for r in found if (o := controller_of(r)) is not None and o["uid"] == uid]

    async def _ensure_new(self, deployment: Object, new: Object | None, old: list[Object]) -> Object:
        """The ReplicaSet of the present template, with its revision."""
        revision = str(max([_revision(r) for r in old], default=0) + 1)
        if new is not None:
            if _revision(new) < int(revision):  # an old template is wanted again: it becomes the newest revision
                new = await self._annotate(new, {REVISION: revision})
            await self._note_revision(deployment, _annotations(new)[REVISION])
            return new
        replicas = deployment["spec"].get("replicas", 1)
        surge, _ = _limits(deployment)
        total = sum(r["spec"].get("replicas", 0) for r in old)
        first = (
            replicas
            if deployment["spec"]["strategy"]["type"] == "Recreate"
            else max(0, min(replicas, replicas + surge - total))
        )
        wanted = _new_replica_set(deployment, revision, first, replicas + surge)
        try:
            created = await self.context.api.create(kinds.REPLICA_SET, wanted)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            created = await self.context.api.get(kinds.REPLICA_SET, key_of(wanted).namespace, key_of(wanted).name)
        else:
            self._scaled(deployment, created, 0, first)
        await self._note_revision(deployment, revision)
        return created

    async def _roll(self, deployment: Object, new: Object, old: list[Object]) -> None:
        """One step: as many new pods as the surge allows, as few old ones as availability allows."""
        replicas = deployment["spec"].get("replicas", 1)
        surge, unavailable = _limits(deployment)
        old_total = sum(r["spec"].get("replicas", 0) for r in old)
        present = new["spec"].get("replicas", 0)
        target = min(replicas, max(present, replicas + surge - old_total)) if present < replicas else replicas
        if target != present:
            new = await self._scale(deployment, new, target)
        if not old_total:
            return
        available_new = (new.get("status") or {}).get("availableReplicas", 0)
        minimum = replicas - unavailable
        available_old = sum((r.get("status") or {}).get("availableReplicas", 0) for r in old)
        may_go = old_total + new["spec"].get("replicas", 0) - minimum - (new["spec"].get("replicas", 0) - available_new)
        if may_go <= 0:
            return
        may_go -= await self._drop_unhealthy(deployment, old, may_go)
        spare = available_old + available_new - minimum
        for replica_set in sorted(old, key=lambda r: r["metadata"]["creationTimestamp"]):
            present = replica_set["spec"].get("replicas", 0)
            healthy = (replica_set.get("status") or {}).get("availableReplicas", 0)
            drop = min(present, healthy, spare)
            if drop > 0:
                await self._scale(deployment, replica_set, present - drop)
                spare -= drop

    async def _drop_unhealthy(self, deployment: Object, old: list[Object], limit: int) -> int:
        dropped = 0
        for replica_set in old:
            present = replica_set["spec"].get("replicas", 0)
            broken = present - (replica_set.get("status") or {}).get("availableReplicas", 0)
            drop = min(broken, limit - dropped)
            if present and drop > 0:
                await self._scale(deployment, replica_set, present - drop)
                dropped += drop
        return dropped

    async def _stop_old(self, deployment: Object, old: list[Object]) -> bool:
        """Recreate: scale the old ReplicaSets down; True while any of their pods is left."""
        uids = {r["metadata"]["uid"] for r in old}
        for replica_set in old:
            if replica_set["spec"].get("replicas", 0):
                await self._scale(deployment, replica_set, 0)
        pods = self.context.all(kinds.POD, key_of(deployment).namespace)
        return any((o := controller_of(p)) is not None and o["uid"] in uids for p in pods)

    async def _scale_paused(self, deployment: Object, new: Object | None, old: list[Object]) -> None:
        active = [r for r in ([new] if new else []) + old if r["spec"].get("replicas", 0)]
        if len(active) == 1:
            await self._scale(deployment, active[0], deployment["spec"].get("replicas", 1))

    async def _scale(self, deployment: Object, replica_set: Object, replicas: int) -> Object:
        before = replica_set["spec"].get("replicas", 0)
        surge, _ = _limits(deployment)
        desired = deployment["spec"].get("replicas", 1)
        notes = {DESIRED: str(desired), MAXIMUM: str(desired + surge)}
        if before == replicas and all(_annotations(replica_set).get(k) == v for k, v in notes.items()):
            return replica_set
        key = key_of(replica_set)
        patch = {"metadata": {"annotations": notes}, "spec": {"replicas": replicas}}
        changed = await self.context.api.patch(kinds.REPLICA_SET, key.namespace, key.name, patch)
        if before != replicas:
            self._scaled(deployment, replica_set, before, replicas)
        return changed

    def _scaled(self, deployment: Object, replica_set: Object, before: int, after: int) -> None:
        if before == after:
            return
        way = "up" if after > before else "down"
        message = f"Scaled {way} replica set {replica_set['metadata']['name']} from {before} to {after}"
        self._recorder.event(with_kind(kinds.DEPLOYMENT, deployment), "Normal", "ScalingReplicaSet", message)

    async def _annotate(self, obj: Object, notes: dict[str, str]) -> Object:
        key = key_of(obj)
        return await self.context.api.patch(
            kinds.REPLICA_SET, key.namespace, key.name, {"metadata": {"annotations": notes}}
        )

    async def _note_revision(self, deployment: Object, revision: str) -> None:
        if _annotations(deployment).get(REVISION) != revision:
            key = key_of(deployment)
            with suppress_gone():
                # as part of the status, like kube-controller-manager: an annotation of the object would count as a generation
                await self.context.api.patch(
                    kinds.DEPLOYMENT,
                    key.namespace,
                    key.name,
                    {"metadata": {"annotations": {REVISION: revision}}},
                    subresource="status",
                )

    async def _clean_up(self, deployment: Object, old: list[Object]) -> None:
        """Forget the oldest empty ReplicaSets beyond revisionHistoryLimit."""
        limit = deployment["spec"].get("revisionHistoryLimit", 10)
        empty = [
            r
            for r in sorted(old, key=_revision)
            if not r["spec"].get("replicas")
            and not (r.get("status") or {}).get("replicas")
            and not r["metadata"].get("deletionTimestamp")
        ]
        for replica_set in empty[: max(len(old) - limit, 0)]:
            key = key_of(replica_set)
            with suppress_gone():
                await self.context.api.delete(kinds.REPLICA_SET, key.namespace, key.name)

    async def _write_status(self, deployment: Object, new: Object | None, old: list[Object]) -> None:
        present = self.context.get(kinds.DEPLOYMENT, key_of(deployment)) or deployment
        status = deployment_status(present, new, old, now=self.context.now())
        if status != present.get("status"):
            with suppress_gone():
                key = key_of(present)
                await self.context.api.patch(
                    kinds.DEPLOYMENT,
                    key.namespace,
                    key.name,
                    {"status": _replacing(present.get("status"), status)},
                    subresource="status",
                )
        deadline = present["spec"].get("progressDeadlineSeconds")
        progressing = next((c for c in status.get("conditions") or () if c["type"] == "Progressing"), None)
        if (
            deadline
            and progressing
            and progressing.get("reason") not in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded")
        ):
            late = to_unix(progressing["lastUpdateTime"]) + deadline - self.context.clock()
            self.queue.add_after(key_of(deployment), max(late, 0) + 1)


def _replacing(old: Object | None, new: Object) -> Object:
    """A merge patch that also drops fields that are gone."""
    return {**{k: None for k in old or {} if k not in new}, **new}


def _annotations(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def _revision(replica_set: Object) -> int:
    text = _annotations(replica_set).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def _matching(deployment: Object, owned: list[Object]) -> Object | None:
    """The oldest ReplicaSet with the Deployment's template."""
    wanted = _plain_template(deployment["spec"]["template"])
    found = [r for r in owned if _plain_template(r["spec"]["template"]) == wanted]
    return min(found, key=lambda r: (r["metadata"]["creationTimestamp"], r["metadata"]["name"]), default=None)


def _plain_template(template: Object) -> Object:
    result = copy(template)
    meta = result.get("metadata") or {}
    (meta.get("labels") or {}).pop(HASH_LABEL, None)
    meta.pop("creationTimestamp", None)
    return result


def template_hash(template: Object, collisions: int = 0) -> str:
    """A short name for a template, of letters that are safe in names."""
    data = orjson.dumps(_plain_template(template), option=orjson.OPT_SORT_KEYS) + str(collisions).encode()
    number = int.from_bytes(hashlib.sha256(data).digest()[:8])
    text = ""
    for _ in range(10):
        number, rest = divmod(number, len(_SAFE))
        text += _SAFE[rest]
    return text


def _new_replica_set(deployment: Object, revision: str, replicas: int, maximum: int) -> Object:
    spec = deployment["spec"]
    name = template_hash(spec["template"], (deployment.get("status") or {}).get("collisionCount", 0))
    template = copy(spec["template"])
    labels = {**((template.get("metadata") or {}).get("labels") or {}), HASH_LABEL: name}
    template["metadata"] = {**(template.get("metadata") or {}), "labels": labels}
    selector = copy(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: name}
    notes = {k: v for k, v in _annotations(deployment).items() if k not in _NOT_INHERITED}
    notes |= {REVISION: revision, DESIRED: str(spec.get("replicas", 1)), MAXIMUM: str(maximum)}
    return {
        "metadata": {
            "name": f"{deployment['metadata']['name']}-{name}",
            "namespace": key_of(deployment).namespace,
            "labels": labels,
            "annotations": notes,
            "ownerReferences": [owner_reference(kinds.DEPLOYMENT, deployment)],
        },
        "spec": {
            "replicas": replicas,
            "selector": selector,
            "template": template,
            **({"minReadySeconds": spec["minReadySeconds"]} if spec.get("minReadySeconds") else {}),
        },
    }


def _limits(deployment: Object) -> tuple[int, int]:
    """maxSurge (rounded up) and maxUnavailable (rounded down) as numbers; both zero would never move."""
    replicas = deployment["spec"].get("replicas", 1)
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return 0, replicas
    surge = _amount(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = _amount(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    if not surge and not unavailable:
        unavailable = 1
    return surge, min(unavailable, replicas)


def _amount(value: Any, total: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    share = int(str(value).rstrip("%")) * total / 100
    return math.ceil(share) if up else math.floor(share)


def selects(deployment: Object, labels: dict[str, str]) -> bool:
    """Whether a Deployment's selector matches labels."""
    return selectors.from_object(deployment["spec"]["selector"]).matches(labels)
