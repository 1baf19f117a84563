"""ReplicaSets keep their number of pods (pkg/controller/replicaset)."""

from __future__ import annotations

import asyncio
from typing import Any

from labctl.api import kinds, selectors
from labctl.api.objects import Object, ObjectKey, copy, key_of
from labctl.api.status import ApiError
from labctl.api.times import to_unix
from labctl.controllers.context import Context, KeyController, controller_of, owner_reference, with_kind
from labctl.controllers.namespaces import suppress_gone

_COMPONENT = "replicaset-controller"
_EXPECT_S = 5.0


class ReplicaSets(KeyController):
    """Keys are ReplicaSets."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._recorder = context.recorder(_COMPONENT)
        # What we have asked for and not seen yet: the local copy lags a moment behind our own writes.
        self._expected: dict[ObjectKey, tuple[set[str], set[str], float]] = {}
        context.on_change(kinds.REPLICA_SET, self.enqueue)
        context.on_change(kinds.POD, self._pod_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old or {}
        owner = controller_of(pod)
        if owner is not None and owner["kind"] == "ReplicaSet":
            key = ObjectKey(key_of(pod).namespace, owner["name"])
            self._seen(key, pod, gone=new is None or bool(new["metadata"].get("deletionTimestamp")))
            self.queue.add(key)
        elif new is not None and owner is None:
            for replica_set in self.context.all(kinds.REPLICA_SET, key_of(pod).namespace):
                if selectors.from_object(replica_set["spec"]["selector"]).matches(pod["metadata"].get("labels")):
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
        replica_set = self.context.get(kinds.REPLICA_SET, key)
        if replica_set is None:
            self._expected.pop(key, None)
            return
        pods = await self._claimed(replica_set)
        active = [p for p in pods if _is_active(p)]
        failure = ""
        if self._settled(key) and not replica_set["metadata"].get("deletionTimestamp"):
            failure = await self._scale(key, replica_set, active)
        elif not self._settled(key):
            self.queue.add_after(key, _EXPECT_S)
        await self._update_status(replica_set, active, failure)

    async def _claimed(self, replica_set: Object) -> list[Object]:
        """Pods that are ours; those that match and belong to nobody are adopted, those that no longer match let go."""
        selector = selectors.from_object(replica_set["spec"]["selector"])
        uid = replica_set["metadata"]["uid"]
        mine = []
        for pod in self.context.all(kinds.POD, key_of(replica_set).namespace):
            owner, fits = controller_of(pod), selector.matches(pod["metadata"].get("labels"))
            if owner is not None and owner["uid"] == uid:
                if fits:
                    mine.append(pod)
                elif not pod["metadata"].get("deletionTimestamp"):
                    await self._set_owner(pod, None)
            elif owner is None and fits and _is_active(pod) and not replica_set["metadata"].get("deletionTimestamp"):
                await self._set_owner(pod, owner_reference(kinds.REPLICA_SET, replica_set))
                mine.append(pod)
        return mine

    async def _set_owner(self, pod: Object, reference: Object | None) -> None:
        key = key_of(pod)
        patch = {"metadata": {"ownerReferences": [reference] if reference else None}}
        with suppress_gone():
            await self.context.api.patch(kinds.POD, key.namespace, key.name, patch)

    async def _scale(self, key: ObjectKey, replica_set: Object, active: list[Object]) -> str:
        missing = replica_set["spec"].get("replicas", 1) - len(active)
        loop = asyncio.get_running_loop()
        if missing > 0:
            created: set[str] = set()
            self._expected[key] = (created, set(), loop.time())
            for _ in range(missing):
                try:
                    pod = await self._create(replica_set)
                except ApiError as error:
                    self._recorder.event(
                        with_kind(kinds.REPLICA_SET, replica_set),
                        "Warning",
                        "FailedCreate",
                        f"Error creating: {error.message}",
                    )
                    self.queue.add_after(key, 1.0)
                    return error.message
                name = pod["metadata"]["name"]
                if self.context.get(kinds.POD, key_of(pod)) is None:
                    created.add(name)
        elif missing < 0:
            victims = sorted(active, key=_deletion_rank)[:-missing]
            names = {v["metadata"]["name"] for v in victims}
            self._expected[key] = (set(), names, loop.time())
            for victim in victims:
                await self._delete(replica_set, victim)
        return ""

    async def _create(self, replica_set: Object) -> Object:
        template = copy(replica_set["spec"]["template"])
        meta = {
            k: v for k, v in (template.get("metadata") or {}).items() if k in ("labels", "annotations", "finalizers")
        }
        meta |= {
            "generateName": f"{replica_set['metadata']['name']}-",
            "namespace": key_of(replica_set).namespace,
            "ownerReferences": [owner_reference(kinds.REPLICA_SET, replica_set)],
        }
        pod = await self.context.api.create(kinds.POD, {"metadata": meta, "spec": template["spec"]})
        name = pod["metadata"]["name"]
        self._recorder.event(
            with_kind(kinds.REPLICA_SET, replica_set), "Normal", "SuccessfulCreate", f"Created pod: {name}"
        )
        return pod

    async def _delete(self, replica_set: Object, pod: Object) -> None:
        key = key_of(pod)
        with suppress_gone():
            await self.context.api.delete(kinds.POD, key.namespace, key.name, uid=pod["metadata"]["uid"])
        self._recorder.event(
            with_kind(kinds.REPLICA_SET, replica_set), "Normal", "SuccessfulDelete", f"Deleted pod: {key.name}"
        )

    async def _update_status(self, replica_set: Object, active: list[Object], failure: str) -> None:
        now = self.context.clock()
        ready = [p for p in active if condition_of(p, "Ready").get("status") == "True"]
        available = [p for p in ready if _available(p, replica_set["spec"].get("minReadySeconds", 0), now)]
        labels = (replica_set["spec"]["template"].get("metadata") or {}).get("labels") or {}
        full = [p for p in active if labels.items() <= (p["metadata"].get("labels") or {}).items()]
        old = replica_set.get("status") or {}
        status: Object = {"replicas": len(active), "observedGeneration": replica_set["metadata"].get("generation", 0)}
        counts = {
            "fullyLabeledReplicas": len(full),
            "readyReplicas": len(ready),
            "availableReplicas": len(available),
        }
        status |= {name: count for name, count in counts.items() if count}
        if failure:
            status["conditions"] = [_failure(failure, self.context.now())]
        if len(ready) > len(available):
            self.queue.add_after(key_of(replica_set), float(replica_set["spec"].get("minReadySeconds", 0)))
        if status != {k: v for k, v in old.items() if v not in (None, 0, []) or k == "replicas"}:
            with suppress_gone():
                await self.context.api.update(
                    kinds.REPLICA_SET, {**replica_set, "status": status}, subresource="status"
                )


def _failure(message: str, now: str) -> Object:
    return {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": message,
        "lastTransitionTime": now,
    }


def condition_of(obj: Object, kind: str) -> dict[str, Any]:
    """A status condition, or an empty dict."""
    return next((c for c in (obj.get("status") or {}).get("conditions") or () if c["type"] == kind), {})


def _is_active(pod: Object) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    return phase not in ("Succeeded", "Failed") and not pod["metadata"].get("deletionTimestamp")


def _available(pod: Object, min_ready_s: int, now_s: float) -> bool:
    since = condition_of(pod, "Ready").get("lastTransitionTime")
    return not min_ready_s or (since is not None and now_s - to_unix(since) >= min_ready_s)


def _deletion_rank(pod: Object) -> tuple[Any, ...]:
    """Pods that go first: unassigned, pending, not ready, then the youngest (ActivePodsWithRanks)."""
    status = pod.get("status") or {}
    phases = {"Pending": 0, "Unknown": 1, "Running": 2}
    ready = condition_of(pod, "Ready")
    restarts = max((c.get("restartCount", 0) for c in status.get("containerStatuses") or ()), default=0)
    return (
        bool(pod["spec"].get("nodeName")),
        phases.get(status.get("phase", ""), 1),
        ready.get("status") == "True",
        -restarts,
        _reversed(pod["metadata"].get("creationTimestamp", "")),
        pod["metadata"]["name"],
    )


def _reversed(text: str) -> tuple[int, ...]:
    return tuple(-ord(c) for c in text)
