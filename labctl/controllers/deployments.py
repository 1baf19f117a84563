"""Deployments: one ReplicaSet per template, moved from the old to the new within maxSurge and maxUnavailable.

Drives `rollout`, `revisions` and `deployment_status` in the order of pkg/controller/deployment: pausing and scaling come before
rolling. Writes carry the revision they are based on; a ReplicaSet that changed meanwhile is looked at again.
"""

from __future__ import annotations

from labctl.api import kinds, selectors
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.api.status import ApiError
from labctl.controllers import deployment_status as statuses
from labctl.controllers import revisions, rollout
from labctl.controllers.context import Context, KeyController, controller_of, owner_reference, with_kind
from labctl.controllers.deployment_status import Conditions, with_condition
from labctl.controllers.namespaces import suppress_gone

_COMPONENT = "deployment-controller"


class Deployments(KeyController):
    """Keys are Deployments."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._recorder = context.recorder(_COMPONENT)
        context.on_change(kinds.DEPLOYMENT, self.enqueue)
        context.on_change(kinds.REPLICA_SET, self._replica_set_changed)
        context.on_change(kinds.POD, self._pod_changed)

    def _replica_set_changed(self, old: Object | None, new: Object | None) -> None:
        obj = new or old or {}
        owner = controller_of(obj)
        if owner is not None and owner["kind"] == "Deployment":
            self.queue.add(ObjectKey(key_of(obj).namespace, owner["name"]))
        elif owner is None and new is not None:
            for deployment in self.context.all(kinds.DEPLOYMENT, key_of(obj).namespace):
                if _selects(deployment, obj):
                    self.queue.add(key_of(deployment))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """Recreate waits until the old pods have ended."""
        owner = controller_of(old) if old is not None and (new is None or _has_ended(new)) else None
        if old is not None and owner is not None:
            replica_set = self.context.get(kinds.REPLICA_SET, ObjectKey(key_of(old).namespace, owner["name"]))
            if replica_set is not None:
                self._replica_set_changed(replica_set, replica_set)

    async def reconcile(self, key: ObjectKey) -> None:
        """Make the ReplicaSets what the Deployment asks for."""
        deployment = self.context.get(kinds.DEPLOYMENT, key)
        if deployment is None:
            return
        owned = await self._claimed(deployment)
        new = revisions.matching(deployment, owned)
        old = [r for r in owned if r is not new]
        now = self.context.now()
        conditions = statuses.conditions_of(deployment)
        if deployment["metadata"].get("deletionTimestamp"):
            status = statuses.counted(deployment, new, old, conditions, now=now)
            await self._write(deployment, status)
            return
        conditions = statuses.pause_noted(deployment, conditions, now=now)
        if new is not None:
            new = await self._renew(deployment, new, old)
        is_paused = bool(deployment["spec"].get("paused"))
        if is_paused or rollout.is_scaled(deployment, owned):
            await self._take(deployment, rollout.scaling_steps(deployment, new, old))
            if is_paused:
                await self._clean_up(deployment, old)
            status = statuses.counted(deployment, new, old, conditions, now=now)
            await self._write(deployment, status, new)
            return
        if deployment["spec"]["strategy"]["type"] == "Recreate":
            new, conditions = await self._recreate(deployment, new, old, conditions)
        else:
            new, conditions = await self._roll(deployment, new, old, conditions)
        if statuses.is_complete(deployment, deployment.get("status") or {}):
            await self._clean_up(deployment, old)
        status = statuses.counted(deployment, new, old, conditions, now=now)
        status = statuses.with_progress(deployment, new, old, status, now=now)
        await self._write(deployment, status, new)
        if (seconds := statuses.check_after_s(deployment, status, self.context.clock())) is not None:
            self.queue.add_after(key, seconds)

    async def _claimed(self, deployment: Object) -> list[Object]:
        """ReplicaSets that are ours; those that match and belong to nobody are adopted, those that no longer match let go."""
        uid, mine = deployment["metadata"]["uid"], []
        is_going = bool(deployment["metadata"].get("deletionTimestamp"))
        for replica_set in self.context.all(kinds.REPLICA_SET, key_of(deployment).namespace):
            owner, fits = controller_of(replica_set), _selects(deployment, replica_set)
            if owner is not None and owner["uid"] == uid:
                if fits:
                    mine.append(replica_set)
                elif not is_going:
                    await self._patch(replica_set, {"metadata": {"ownerReferences": None}})
            elif owner is None and fits and not is_going and not replica_set["metadata"].get("deletionTimestamp"):
                reference = owner_reference(kinds.DEPLOYMENT, deployment)
                mine.append(await self._patch(replica_set, {"metadata": {"ownerReferences": [reference]}}))
        return mine

    async def _roll(
        self, deployment: Object, new: Object | None, old: list[Object], conditions: Conditions
    ) -> tuple[Object, Conditions]:
        """One step: as many new pods as the surge allows, as few old ones as availability allows."""
        new, conditions = await self._ensure(deployment, new, old, conditions)
        if (target := rollout.new_size(deployment, rollout.size(new), old)) != rollout.size(new):
            new = await self._scale(deployment, new, target)
        await self._take(deployment, rollout.old_steps(deployment, new, old))
        return new, conditions

    async def _recreate(
        self, deployment: Object, new: Object | None, old: list[Object], conditions: Conditions
    ) -> tuple[Object | None, Conditions]:
        """All old pods end before the first new one begins."""
        active = [r for r in old if rollout.size(r)]
        await self._take(deployment, [rollout.Step(r, 0) for r in active])
        if active or self._still_run(old):
            return new, conditions
        new, conditions = await self._ensure(deployment, new, old, conditions)
        if rollout.size(new) != rollout.size(deployment):
            new = await self._scale(deployment, new, rollout.size(deployment))
        return new, conditions

    def _still_run(self, old: list[Object]) -> bool:
        if any(rollout.count(r, "replicas") for r in old):
            return True
        uids = {r["metadata"]["uid"] for r in old}
        namespace = key_of(old[0]).namespace if old else ""
        pods = (p for p in self.context.all(kinds.POD, namespace) if old and not _has_ended(p))
        return any((o := controller_of(p)) is not None and o["uid"] in uids for p in pods)

    async def _ensure(
        self, deployment: Object, new: Object | None, old: list[Object], conditions: Conditions
    ) -> tuple[Object, Conditions]:
        """The ReplicaSet of the present template, made where there is none."""
        now = self.context.now()
        has_deadline = statuses.deadline_of(deployment) is not None
        if new is not None:
            if has_deadline and statuses.find(conditions, "Progressing") is None:
                words = ("True", "FoundNewReplicaSet", f'Found new replica set "{new["metadata"]["name"]}"')
                conditions = with_condition(conditions, "Progressing", *words, now=now)
            return new, conditions
        new = await self._create(deployment, old)
        if has_deadline:
            words = ("True", "NewReplicaSetCreated", f'Created new replica set "{new["metadata"]["name"]}"')
            conditions = with_condition(conditions, "Progressing", *words, now=now)
        return new, conditions

    async def _create(self, deployment: Object, old: list[Object]) -> Object:
        wanted = revisions.new_replica_set(deployment, old)
        key = key_of(wanted)
        try:
            created = await self.context.api.create(kinds.REPLICA_SET, wanted)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                self._not_created(deployment, key.name, error)
                raise
            present = await self.context.api.get(kinds.REPLICA_SET, key.namespace, key.name)
            owner = controller_of(present)
            if owner and owner["uid"] == deployment["metadata"]["uid"] and revisions.matching(deployment, [present]):
                return present  # our own copy lags behind
            await self._note_collision(deployment)
            raise
        self._told(deployment, created, 0)
        return created

    def _not_created(self, deployment: Object, name: str, error: ApiError) -> None:
        text = f'Failed to create new replica set "{name}": {error.message}'
        self._recorder.event(with_kind(kinds.DEPLOYMENT, deployment), "Warning", "ReplicaSetCreateError", text)

    async def _note_collision(self, deployment: Object) -> None:
        """Another ReplicaSet has the name: the next one is made with a higher count."""
        collisions = rollout.count(deployment, "collisionCount") + 1
        key = key_of(deployment)
        patch = {"status": {"collisionCount": collisions}}
        await self.context.api.patch(kinds.DEPLOYMENT, key.namespace, key.name, patch, subresource="status")

    async def _renew(self, deployment: Object, new: Object, old: list[Object]) -> Object:
        """The Deployment's annotations, the newest number and minReadySeconds for the ReplicaSet of the present template."""
        notes = revisions.renewed(deployment, new, revisions.next_revision(old))
        seconds = deployment["spec"].get("minReadySeconds", 0)
        if not notes and new["spec"].get("minReadySeconds", 0) == seconds:
            return new
        return await self._patch(
            new, {"metadata": {"annotations": notes}, "spec": {"minReadySeconds": seconds or None}}
        )

    async def _take(self, deployment: Object, steps: list[rollout.Step]) -> None:
        present: dict[str, Object] = {}
        for step in steps:
            name = step.replica_set["metadata"]["name"]
            present[name] = await self._scale(deployment, present.get(name, step.replica_set), step.replicas)

    async def _scale(self, deployment: Object, replica_set: Object, replicas: int) -> Object:
        before = rollout.size(replica_set)
        surge, _ = rollout.limits(deployment)
        desired = rollout.size(deployment)
        notes = {rollout.DESIRED: str(desired), rollout.MAXIMUM: str(desired + surge)}
        if before == replicas and notes.items() <= revisions.notes_of(replica_set).items():
            return replica_set
        changed = await self._patch(replica_set, {"metadata": {"annotations": notes}, "spec": {"replicas": replicas}})
        self._told(deployment, changed, before)
        return changed

    def _told(self, deployment: Object, replica_set: Object, before: int) -> None:
        after, name = rollout.size(replica_set), replica_set["metadata"]["name"]
        if before != after:
            way = "up" if after > before else "down"
            text = f"Scaled {way} replica set {name} from {before} to {after}"
            self._recorder.event(with_kind(kinds.DEPLOYMENT, deployment), "Normal", "ScalingReplicaSet", text)

    async def _patch(self, replica_set: Object, patch: Object) -> Object:
        """Change a ReplicaSet as we know it; 409 when it is another by now, and the change will bring us back."""
        key = key_of(replica_set)
        metadata = {**patch["metadata"], "resourceVersion": replica_set["metadata"]["resourceVersion"]}
        return await self.context.api.patch(kinds.REPLICA_SET, key.namespace, key.name, {**patch, "metadata": metadata})

    async def _clean_up(self, deployment: Object, old: list[Object]) -> None:
        """Forget the oldest empty ReplicaSets beyond revisionHistoryLimit."""
        for replica_set in revisions.superfluous(deployment, old):
            key = key_of(replica_set)
            with suppress_gone():
                await self.context.api.delete(kinds.REPLICA_SET, key.namespace, key.name)

    async def _write(self, deployment: Object, status: Object, new: Object | None = None) -> None:
        """Write status and revision where they differ.

        The revision goes with the status, as kube-controller-manager writes it: a change of the object would be a generation.
        """
        patch: Object = {}
        before = deployment.get("status") or {}
        if status != before:
            patch["status"] = {**{k: None for k in before if k not in status}, **status}
        number = revisions.notes_of(new).get(revisions.REVISION) if new else None
        if number and revisions.notes_of(deployment).get(revisions.REVISION) != number:
            patch["metadata"] = {"annotations": {revisions.REVISION: number}}
        if patch:
            key = key_of(deployment)
            with suppress_gone():
                await self.context.api.patch(kinds.DEPLOYMENT, key.namespace, key.name, patch, subresource="status")


def _selects(deployment: Object, obj: Object) -> bool:
    return selectors.from_object(deployment["spec"]["selector"]).matches(obj["metadata"].get("labels"))


def _has_ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
