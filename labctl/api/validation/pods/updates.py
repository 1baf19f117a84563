"""What may change of a pod that is there (ValidatePodUpdate, ValidatePodEphemeralContainersUpdate)."""

from __future__ import annotations

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, forbidden, invalid, required
from labctl.api.validation.pods import containers, pod_annotations, tolerations

_CHANGEABLE = ("activeDeadlineSeconds", "schedulingGates", "tolerations")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_ADDITIONS = "only additions are allowed (no mutations or deletions)"
_MAX_DEADLINE = 2**31 - 1
_ONLY = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def validate(new: Object, old: Object) -> list[Cause]:
    """An update of a pod."""
    causes = _annotations(new, old)
    after, before = new["spec"], old["spec"]
    for group in ("containers", "initContainers"):
        wrong, stop = _images(f"spec.{group}", after.get(group) or [], before.get(group) or [])
        causes += wrong
        if stop:
            return causes
    wrong, stop = _deadline(after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"))
    causes += wrong
    if stop:
        return causes
    causes += tolerations.only_added("spec.tolerations", *(s.get("tolerations") or [] for s in (after, before)))
    causes += _gates("spec.schedulingGates", *(s.get("schedulingGates") or [] for s in (after, before)))
    return causes + _frozen(after, before)


def _annotations(new: Object, old: Object) -> list[Cause]:
    after, before = (o["metadata"].get("annotations") or {} for o in (new, old))
    return pod_annotations.kept("metadata.annotations", after, before)


def _images(path: str, new: list[Object], old: list[Object]) -> tuple[list[Cause], bool]:
    if len(new) != len(old):
        return [forbidden(path, "pod updates may not add or remove containers")], True
    causes: list[Cause] = []
    for index, container in enumerate(new):
        here = f"{path}[{index}]"
        causes += [] if container.get("image") else [required(f"{here}.image")]
        causes += containers.image_padding(here, container)
    return causes, False


def _deadline(new: int | None, old: int | None) -> tuple[list[Cause], bool]:
    """It can be set, and become shorter."""
    path = "spec.activeDeadlineSeconds"
    if new is None:
        detail = "must not update from a positive integer to nil value"
        return ([] if old is None else [invalid(path, None, detail)]), False
    wrong = names.number_in_range(new, 0, _MAX_DEADLINE)
    if not wrong and old is not None and old < new:
        wrong = ["must be less than or equal to previous value"]
    return all_invalid(path, new, wrong), bool(wrong)


def _gates(path: str, new: list[Object], old: list[Object]) -> list[Cause]:
    known = {gate["name"] for gate in old}
    text = "only deletion is allowed, but found new scheduling gate"
    added = {gate["name"]: index for index, gate in enumerate(new) if gate["name"] not in known}
    return [forbidden(f"{path}[{index}].name", f"{text} '{name}'") for name, index in added.items()]


def _frozen(new: Object, old: Object) -> list[Cause]:
    after, before, causes = _kept(new), _kept(old), list[Cause]()
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and after.get("terminationGracePeriodSeconds") == 1:
        after["terminationGracePeriodSeconds"] = grace
    if old.get("schedulingGates"):
        causes += _selector(after.get("nodeSelector") or {}, before.get("nodeSelector") or {})
        causes += _affinity(after, before)
        after, before = ({k: v for k, v in s.items() if k != "nodeSelector"} for s in (after, before))
        after, before = (_without_node_affinity(s) for s in (after, before))
    return causes if after == before else [*causes, forbidden("spec", _ONLY)]


def _kept(spec: Object) -> Object:
    kept = {k: v for k, v in spec.items() if k not in _CHANGEABLE}
    for field in ("containers", "initContainers"):
        if kept.get(field):
            kept[field] = [{k: v for k, v in c.items() if k != "image"} for c in kept[field]]
    return kept


def _without_node_affinity(spec: Object) -> Object:
    affinity = {k: v for k, v in (spec.get("affinity") or {}).items() if k != "nodeAffinity"}
    rest = {k: v for k, v in spec.items() if k != "affinity"}
    return rest | ({"affinity": affinity} if affinity else {})


def _selector(new: dict[str, str], old: dict[str, str]) -> list[Cause]:
    if old.items() <= new.items():
        return []
    detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
    return [invalid("spec.nodeSelector", new or None, detail)]


def _affinity(new: Object, old: Object) -> list[Cause]:
    """A pod that waits for its gates may be held to narrower terms, never to wider ones (validateNodeAffinityMutation)."""
    after, before = (_terms(spec) for spec in (new, old))
    path = f"spec.affinity.nodeAffinity.{_REQUIRED}.nodeSelectorTerms"
    if before and len(before) != len(after):
        shown = [_shown(term) for term in after] or None
        return [invalid(path, shown, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")]
    return [
        invalid(f"{path}[{index}]", _shown(term), _ADDITIONS)
        for index, (term, known) in enumerate(zip(after, before, strict=False))
        if not _only_adds(term, known)
    ]


def _terms(spec: Object) -> list[Object]:
    rules = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED) or {}
    return list(rules.get("nodeSelectorTerms") or ())


def _only_adds(new: Object, old: Object) -> bool:
    lists = [(new.get(f) or [], old.get(f) or []) for f in ("matchExpressions", "matchFields")]
    if not any(before for _, before in lists):
        return not any(after for after, _ in lists)
    return all(after[: len(before)] == before for after, before in lists)


def _shown(term: Object) -> Object:
    """A term as Kubernetes shows it: its internal type."""

    def expressions(wanted: list[Object] | None) -> list[Object] | None:
        fields = ("key", "operator", "values")
        return [{f.capitalize(): e.get(f) for f in fields} for e in wanted] if wanted else None

    return {
        "MatchExpressions": expressions(term.get("matchExpressions")),
        "MatchFields": expressions(term.get("matchFields")),
    }


def validate_ephemeral(new: Object, old: Object) -> list[Cause]:
    """Ephemeral containers are only ever added."""
    path, causes = "spec.ephemeralContainers", _annotations(new, old)
    if pod_annotations.MIRROR in (old["metadata"].get("annotations") or {}):
        return [forbidden("[]", "static pods do not support ephemeral containers")]
    present = {c.get("name"): c for c in new["spec"].get("ephemeralContainers") or ()}
    for known in old["spec"].get("ephemeralContainers") or ():
        name = known["name"]
        if name not in present:
            causes.append(forbidden(path, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif present[name] != known:
            causes.append(forbidden(path, f'existing ephemeral containers "{name}" may not be changed\n'))
    return causes
