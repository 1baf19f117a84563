"""PodDisruptionBudgets say how many evictions they allow (pkg/controller/disruption); see budgets.

Evictions themselves are held back by the API server, which reads the status that is written here.
"""

from __future__ import annotations

from labctl.api import kinds, selectors
from labctl.api.kinds import Kind
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.api.status import ApiError
from labctl.controllers import budgets
from labctl.controllers.context import Context, KeyController, controller_of, with_kind
from labctl.controllers.namespaces import suppress_gone

_COMPONENT = "controllermanager"
_SCALED: dict[str, Kind] = {k.kind: k for k in (kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.REPLICATION_CONTROLLER)}


class UnknownControllerError(Exception):
    """A pod belongs to a controller that is not there, so that nobody knows how many pods there should be."""


class Disruptions(KeyController):
    """Keys are PodDisruptionBudgets."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._recorder = context.recorder(_COMPONENT)
        context.on_change(kinds.POD_DISRUPTION_BUDGET, self.enqueue)
        context.on_change(kinds.POD, self._pod_changed)
        for kind in _SCALED.values():
            context.on_change(kind, self._owner_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        for pod in (old, new):
            if pod is not None:
                self._enqueue_matching(pod)

    def _owner_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is None or old["spec"].get("replicas") != new["spec"].get("replicas"):
            for budget in self.context.all(kinds.POD_DISRUPTION_BUDGET, key_of(new or old or {}).namespace):
                self.queue.add(key_of(budget))

    def _enqueue_matching(self, pod: Object) -> None:
        for budget in self.context.all(kinds.POD_DISRUPTION_BUDGET, key_of(pod).namespace):
            if _selector(budget).matches(pod["metadata"].get("labels")):
                self.queue.add(key_of(budget))

    async def reconcile(self, key: ObjectKey) -> None:
        """Bring the status of one budget up to date."""
        budget = self.context.get(kinds.POD_DISRUPTION_BUDGET, key)
        if budget is None:
            return
        now_s = self.context.clock()
        selector = _selector(budget)
        pods = [p for p in self.context.all(kinds.POD, key.namespace) if selector.matches(p["metadata"].get("labels"))]
        try:
            wanted = budgets.expected(budget, len(pods), self._scale(budget, pods))
            status = budgets.status(budget, pods, wanted, now_s=now_s)
        except UnknownControllerError as error:
            text = f"Failed to calculate the number of expected pods: {error}"
            self._recorder.event(_about(budget), "Warning", "CalculateExpectedPodCountFailed", text)
            status = budgets.failed(budget, str(error), now_s=now_s)
        if not pods and not (budget.get("status") or {}).get("conditions"):
            self._recorder.event(_about(budget), "Normal", "NoPods", "No matching pods found")
        await self._write(budget, status)
        if status.get("disruptedPods"):
            self.queue.add_after(key, budgets.DELETION_S)

    def _scale(self, budget: Object, pods: list[Object]) -> int:
        """The replicas that the pods' controllers ask for, together. Raises UnknownControllerError."""
        if not budgets.counts_controllers(budget):
            return 0
        found: dict[str, int] = {}
        for pod in pods:
            reference = controller_of(pod)
            if reference is None:
                continue  # it belongs to nobody, and so counts for nothing
            owner = self._owner(key_of(pod).namespace, reference)
            if owner is None:
                raise UnknownControllerError(f'found no controllers for pod "{pod["metadata"]["name"]}"')
            found[owner["metadata"]["uid"]] = int(owner["spec"].get("replicas", 1))
        return sum(found.values())

    def _owner(self, namespace: str, reference: Object) -> Object | None:
        """The topmost controller: a ReplicaSet's Deployment rather than the ReplicaSet."""
        kind = _SCALED.get(reference["kind"])
        owner = self.context.get(kind, ObjectKey(namespace, reference["name"])) if kind else None
        if owner is None or owner["metadata"]["uid"] != reference["uid"]:
            return None
        above = controller_of(owner)
        return self._owner(namespace, above) or owner if above is not None else owner

    async def _write(self, budget: Object, status: Object) -> None:
        if status == {k: v for k, v in (budget.get("status") or {}).items() if v or k != "disruptedPods"}:
            return
        try:
            with suppress_gone():
                changed = {**budget, "status": status}
                await self.context.api.update(kinds.POD_DISRUPTION_BUDGET, changed, subresource="status")
        except ApiError as error:
            if error.code != 409:  # an eviction was faster; its write wakes us again
                raise


def _selector(budget: Object) -> selectors.LabelSelector:
    return selectors.from_object(budget["spec"].get("selector"))


def _about(budget: Object) -> Object:
    return with_kind(kinds.POD_DISRUPTION_BUDGET, budget)
