"""The Priority admission plugin: pods get their number from a PriorityClass, and only one class is everybody's.

plugin/pkg/admission/priority in Kubernetes; the classes of the system are made at bootstrap.
"""

from __future__ import annotations

from labctl.api import kinds, status
from labctl.api.objects import Object, ObjectKey
from labctl.store.store import Store

_PREEMPTS = "PreemptLowerPriority"


def admit_pod(store: Store, pod: Object) -> None:
    """Give a new pod its priority, in place. Raises ApiError 403."""
    spec, name = pod["spec"], pod["metadata"].get("name", "")
    found = _class_of(store, spec.get("priorityClassName", ""), name) or {}
    if found:
        spec["priorityClassName"] = found["metadata"]["name"]
    value, policy = found.get("value", 0), found.get("preemptionPolicy", _PREEMPTS)
    where = "must not be provided in pod spec; priority admission controller computed"
    if spec.get("priority") not in (None, value):
        why = f"the integer value of priority ({spec['priority']}) {where} {value} from the given PriorityClass name"
        raise status.forbidden(kinds.POD, name, why)
    if spec.get("preemptionPolicy") not in (None, policy):
        why = f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) {where} {policy} from the given "
        raise status.forbidden(kinds.POD, name, f"{why}PriorityClass name")
    spec["priority"], spec["preemptionPolicy"] = value, policy


def _class_of(store: Store, name: str, pod: str) -> Object | None:
    if not name:
        return _default(store)
    found = store.get(kinds.PRIORITY_CLASS.group_resource, ObjectKey("", name))
    if found is None:
        raise status.forbidden(kinds.POD, pod, f"no PriorityClass with name {name} was found")
    return found


def _default(store: Store) -> Object | None:
    """The class of pods that name none; the lowest one where several slipped in."""
    found = [c for c in store.items(kinds.PRIORITY_CLASS.group_resource) if c.get("globalDefault")]
    return min(found, key=lambda c: int(c.get("value", 0)), default=None)


def check_class(store: Store, new: Object) -> None:
    """Refuse a second class that is everybody's. Raises ApiError 403."""
    name, default = new["metadata"]["name"], _default(store)
    if not new.get("globalDefault") or default is None or default["metadata"]["name"] == name:
        return
    why = f"PriorityClass {default['metadata']['name']} is already marked as default. Only one default can exist"
    raise status.forbidden(kinds.PRIORITY_CLASS, name, why)
