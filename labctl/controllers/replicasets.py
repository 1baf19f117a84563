"""ReplicaSets and ReplicationControllers keep their number of pods.

As in Kubernetes (pkg/controller/replicaset and replication) both are one controller: they differ in how a selector is
written, and in names.
"""

from __future__ import annotations

import asyncio

from labctl.api import kinds, selectors
from labctl.api.objects import Object, ObjectKey, copy, key_of
from labctl.api.status import ApiError
from labctl.controllers import pod_ranks as ranks
from labctl.controllers import rollout
from labctl.controllers.context import Context, KeyController, controller_of, owner_reference, with_kind
from labctl.controllers.namespaces import is_terminating, suppress_gone

_FAILURE = "ReplicaFailure"
_EXPECT_S = 5.0


class ReplicaSets(KeyController):
    """Keys are ReplicaSets."""

    kind = kinds.REPLICA_SET
    component = "replicaset-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._recorder = context.recorder(self.component)
        # What we have asked for and not seen yet: the local copy lags a moment behind our own writes.
        self._expected: dict[ObjectKey, tuple[set[str], set[str], float]] = {}
        context.on_change(self.kind, self.enqueue)
        context.on_change(kinds.POD, self._pod_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old or {}
        owner = controller_of(pod)
        if owner is not None and owner["kind"] == self.kind.kind:
            key = ObjectKey(key_of(pod).namespace, owner["name"])
            self._seen(key, pod, gone=new is None or bool(new["metadata"].get("deletionTimestamp")))
            self.queue.add(key)
        elif new is not None and owner is None:
            for replica_set in self.context.all(self.kind, key_of(pod).namespace):
                if selector_of(replica_set).matches(pod["metadata"].get("labels")):
                    self.queue.add(key_of(replica_set))

    def _seen(self, key: ObjectKey, pod: Object, *, gone: bool) -> None:
        if key in self._expected:
            created, deleted, _ = self._expected[key]
            created.discard(pod["metadata"]["name"])
            if gone:
                deleted.discard(pod["metadata"]["name"])

    def _settled(self, key: ObjectKey) -> bool:
        created, deleted, since = self._expected.get(key, (set(), set(), 0.0))
        loop = asyncio.get_running_loop()
        return (not created and not deleted) or loop.time() - since > _EXPECT_S

    async def reconcile(self, key: ObjectKey) -> None:
        """Create or delete pods until the number is right, and say so in the status."""
        replica_set = self.context.get(self.kind, key)
        if replica_set is None:
            self._expected.pop(key, None)
            return
        pods = await self._claimed(replica_set)
        active = [p for p in pods if ranks.is_active(p)]
        failure: ApiError | None = None
        if not self._settled(key):
            self.queue.add_after(key, _EXPECT_S)
        elif not replica_set["metadata"].get("deletionTimestamp"):
            failure = await self._scale(key, replica_set, active)
        await self._update_status(replica_set, active, sum(map(ranks.is_terminating, pods)), failure)
        if failure is not None:
            raise failure  # comes back after a growing pause

    async def _claimed(self, replica_set: Object) -> list[Object]:
        """Pods that are ours; those that match and belong to nobody are adopted, those that no longer match let go."""
        selector = selector_of(replica_set)
        uid = replica_set["metadata"]["uid"]
        mine = []
        for pod in self.context.all(kinds.POD, key_of(replica_set).namespace):
            owner, fits = controller_of(pod), selector.matches(pod["metadata"].get("labels"))
            if owner is not None and owner["uid"] == uid:
                if fits:
                    mine.append(pod)
                elif not pod["metadata"].get("deletionTimestamp"):
                    await self._set_owner(pod, None)
            elif (
                owner is None and fits and ranks.is_active(pod) and not replica_set["metadata"].get("deletionTimestamp")
            ):
                await self._set_owner(pod, owner_reference(self.kind, replica_set))
                mine.append(pod)
        return mine

    async def _set_owner(self, pod: Object, reference: Object | None) -> None:
        key = key_of(pod)
        patch = {"metadata": {"ownerReferences": [reference] if reference else None}}
        with suppress_gone():
            await self.context.api.patch(kinds.POD, key.namespace, key.name, patch)

    async def _scale(self, key: ObjectKey, replica_set: Object, active: list[Object]) -> ApiError | None:
        missing = rollout.size(replica_set) - len(active)
        now = asyncio.get_running_loop().time()
        try:
            if missing > 0:
                created: set[str] = set()
                self._expected[key] = (created, set(), now)
                for _ in range(missing):
                    pod = await self._create(replica_set)
                    if self.context.get(kinds.POD, key_of(pod)) is None:
                        created.add(pod["metadata"]["name"])
            elif missing < 0:
                doomed = self._victims(replica_set, active, -missing)
                names = {p["metadata"]["name"] for p in doomed}
                self._expected[key] = (set(), names, now)
                for pod in doomed:
                    await self._delete(replica_set, pod, names)
        except ApiError as error:
            what, reason = ("creating", "FailedCreate") if missing > 0 else ("deleting", "FailedDelete")
            if is_terminating(error):
                return None
            about = with_kind(self.kind, replica_set)
            self._recorder.event(about, "Warning", reason, f"Error {what}: {error.message}")
            return error
        return None

    def _victims(self, replica_set: Object, active: list[Object], number: int) -> list[Object]:
        """The pods that go; all ReplicaSets of one Deployment count when nodes are compared."""
        namespace, owner = key_of(replica_set).namespace, controller_of(replica_set)
        family = {replica_set["metadata"]["uid"]}
        if owner is not None:
            siblings = self.context.all(self.kind, namespace)
            family |= {s["metadata"]["uid"] for s in siblings if (o := controller_of(s)) and o["uid"] == owner["uid"]}
        pods = self.context.all(kinds.POD, namespace)
        related = [p for p in pods if (o := controller_of(p)) and o["uid"] in family]
        return ranks.victims(active, number, related=related, now_s=self.context.clock())

    async def _create(self, replica_set: Object) -> Object:
        template = copy(replica_set["spec"]["template"])
        meta = {
            k: v for k, v in (template.get("metadata") or {}).items() if k in ("labels", "annotations", "finalizers")
        }
        meta |= {
            "generateName": f"{replica_set['metadata']['name']}-",
            "namespace": key_of(replica_set).namespace,
            "ownerReferences": [owner_reference(self.kind, replica_set)],
        }
        pod = await self.context.api.create(kinds.POD, {"metadata": meta, "spec": template["spec"]})
        name = pod["metadata"]["name"]
        self._recorder.event(with_kind(self.kind, replica_set), "Normal", "SuccessfulCreate", f"Created pod: {name}")
        return pod

    async def _delete(self, replica_set: Object, pod: Object, expected: set[str]) -> None:
        key = key_of(pod)
        try:
            await self.context.api.delete(kinds.POD, key.namespace, key.name, uid=pod["metadata"]["uid"])
        except ApiError as error:
            expected.discard(key.name)
            if error.code not in (404, 409):  # gone, or another pod of that name
                raise
            return
        about = with_kind(self.kind, replica_set)
        self._recorder.event(about, "Normal", "SuccessfulDelete", f"Deleted pod: {key.name}")

    async def _update_status(
        self, replica_set: Object, active: list[Object], terminating: int, failure: ApiError | None
    ) -> None:
        seconds = replica_set["spec"].get("minReadySeconds", 0)
        until = [u for p in active if (u := ranks.available_in_s(p, seconds, self.context.clock())) is not None]
        if waiting := [u for u in until if u > 0]:
            self.queue.add_after(key_of(replica_set), min(waiting))
        new = status_of(replica_set, active, available=len(until) - len(waiting))
        if self.kind is kinds.REPLICA_SET:
            new["terminatingReplicas"] = terminating
        new["conditions"] = _conditions(replica_set, len(active), failure, self.context.now())
        if not new["conditions"]:
            del new["conditions"]
        if new != replica_set.get("status"):
            with suppress_gone():
                body = {**replica_set, "status": new}
                await self.context.api.update(self.kind, body, subresource="status")


class ReplicationControllers(ReplicaSets):
    """Keys are ReplicationControllers."""

    kind = kinds.REPLICATION_CONTROLLER
    component = "replication-controller"


def selector_of(replica_set: Object) -> selectors.LabelSelector:
    """What a ReplicaSet or ReplicationController selects pods by; the latter says it as plain labels. Pure."""
    selector = replica_set["spec"]["selector"]
    is_plain = all(isinstance(value, str) for value in selector.values())
    return (selectors.from_labels if is_plain else selectors.from_object)(selector)


def status_of(replica_set: Object, active: list[Object], *, available: int) -> Object:
    """The counts that both kinds have. Pure."""
    labels = (replica_set["spec"]["template"].get("metadata") or {}).get("labels") or {}
    counts = {
        "fullyLabeledReplicas": sum(labels.items() <= (p["metadata"].get("labels") or {}).items() for p in active),
        "readyReplicas": sum(map(ranks.is_ready, active)),
        "availableReplicas": available,
        "observedGeneration": replica_set["metadata"].get("generation", 0),
    }
    given = {name: number for name, number in counts.items() if number}
    return {"replicas": len(active), **given}


def _conditions(replica_set: Object, active: int, failure: ApiError | None, now: str) -> list[Object]:
    """ReplicaFailure as long as pods cannot be made or deleted; it keeps the words of the first failure."""
    present: list[Object] = (replica_set.get("status") or {}).get("conditions") or []
    others = [c for c in present if c["type"] != _FAILURE]
    if failure is None:
        return others
    if len(others) < len(present):
        return present
    reason = "FailedCreate" if active < rollout.size(replica_set) else "FailedDelete"
    condition = {"type": _FAILURE, "status": "True", "reason": reason, "message": failure.message}
    return [*others, {**condition, "lastTransitionTime": now}]
