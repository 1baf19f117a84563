"""Server-side apply: the configuration of one manager against the live object and the fields of all others.

Follows structured-merge-diff's merge.Updater.Apply and what k8s.io/apimachinery wraps around it: conflicts, kubectl's
way from client-side to server-side apply, the entry for objects that nobody tracked before.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from labctl.api import status
from labctl.api.kinds import Kind
from labctl.api.managed_fields import checks, conflicts, managers, merging, sets, updates, walk
from labctl.api.managed_fields.conflicts import ApplyConflict
from labctl.api.managed_fields.managers import APPLY, Identity, Owner, Owners
from labctl.api.managed_fields.pruning import prune
from labctl.api.managed_fields.sets import FieldSet
from labctl.api.managed_fields.versions import SERVER_FIELDS, Changes, type_of
from labctl.api.objects import Object, split_api_version

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL = "kubectl"  # kubectl's manager for server-side apply, unless --field-manager says otherwise
_BEFORE = "before-first-apply"
_MAX_ANNOTATIONS_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Apply:
    """How to apply. `ignored` are the fields that a write to this (sub)resource resets; `time` is RFC 3339."""

    manager: str
    time: str
    force: bool = False
    subresource: str = ""
    ignored: FieldSet = field(default_factory=dict)


def apply(kind: Kind, live: Object, applied: Object, how: Apply, *, empty: Object) -> Object:
    """The live object with the configuration applied and metadata.managedFields up to date, not yet decoded.

    `empty` is the kind's empty object, which is also the live one of a creation. Neither argument is changed. Raises
    ApiError 400 for a configuration that is none of the kind, 409 for conflicts.
    """
    _check(kind, applied)
    owners = managers.read(live["metadata"].get("managedFields") or [])
    live = _without_entries(live)
    if not owners:
        owners = updates.changed(
            kind, empty, live, owners, manager=_BEFORE, time=how.time, subresource=how.subresource, ignored=how.ignored
        )
    try:
        result, owners = _apply_for(kind, live, applied, owners, how)
    except ApplyConflict as error:
        raise conflicts.error(error.conflicts) from None
    if how.manager == _KUBECTL and _last_applied(result):
        result = _with_last_applied(result, applied)
    return _with_entries(result, managers.write(owners))


def _apply_for(kind: Kind, live: Object, applied: Object, owners: Owners, how: Apply) -> tuple[Object, Owners]:
    """Apply, overruling kubectl's client-side self: what it applied there and is still so, it may change here."""
    try:
        return _apply(kind, live, applied, owners, how)
    except ApplyConflict as error:
        if how.manager != _KUBECTL:
            raise
        allowed = _applied_client_side(kind, live)
        if allowed is None:
            raise
        left = [c for c in error.conflicts if not sets.has(allowed, c.path)]
        if left:
            raise ApplyConflict(left) from None
        return _apply(kind, live, applied, owners, replace(how, force=True))


def _apply(kind: Kind, live: Object, applied: Object, owners: Owners, how: Apply) -> tuple[Object, Owners]:
    type_ = type_of(kind)
    who = managers.identity(how.manager, APPLY, kind.api_version, how.subresource)
    last = owners.get(who)
    fields = sets.without(walk.field_set(type_, applied), how.ignored)
    after = {**owners, who: Owner(fields, kind.api_version, last.time if last else "")}
    result = prune(kind, merging.merge(type_, live, applied), after, last)
    changes = Changes(kind, live, result, how.ignored)
    taken = _taken(changes, after, who)
    if taken and not how.force:
        raise ApplyConflict(conflicts.of(taken))
    time = how.time if result != live else after[who].time
    own = sets.difference(fields, SERVER_FIELDS)
    after[who] = _unless_same(last, Owner(own, kind.api_version, time))
    others = {w: _left(changes, owner) for w, owner in after.items() if w != who}
    kept = {w: owner for w, owner in {**others, who: after[who]}.items() if owner is not None and owner.fields}
    return result, kept


def _taken(changes: Changes, owners: Owners, who: Identity) -> dict[Identity, FieldSet]:
    """Fields of others that change."""
    found: dict[Identity, FieldSet] = {}
    for other, owner in owners.items():
        change = changes.of(owner.api_version)
        if other == who or change is None:
            continue
        fields = sets.intersection(owner.fields, sets.union(change.modified, change.added))
        if fields:
            found[other] = fields
    return found


def _left(changes: Changes, owner: Owner) -> Owner | None:
    change = changes.of(owner.api_version)
    return None if change is None else updates.left(owner, change)


def _unless_same(last: Owner | None, now: Owner) -> Owner:
    if last is not None and (last.fields, last.api_version, last.time) == (now.fields, now.api_version, now.time):
        return last
    return now


def _check(kind: Kind, applied: Object) -> None:
    api_version, name = (_text(applied.get(field)) for field in ("apiVersion", "kind"))
    if (api_version, name) != (kind.api_version, kind.kind):
        raise status.bad_request(f"invalid object type: {_gvk(api_version, name)}")
    metadata = applied.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise status.bad_request("metadata.managedFields must be nil")
    wrong = checks.check(type_of(kind), applied)
    if wrong:
        # kube-apiserver answers 500 without a reason here; what is wrong with a request is no failure of the server's
        raise status.ApiError(400, "", f"failed to create typed patch object ({_where(kind, applied)}): {wrong}")


def conversion_error(kind: Kind, obj: Object, cause: str) -> status.ApiError:
    """The error when what was applied has the form of its type but cannot be read: a quantity that is none, say."""
    type_name = _gvk(kind.api_version, kind.kind)
    message = (
        f"failed to convert new object ({_where(kind, obj)}) to proper version: unable to convert unstructured object"
    )
    return status.ApiError(400, "", f"{message} to {type_name}: {cause}")


def _where(kind: Kind, obj: Object) -> str:
    metadata = obj.get("metadata")
    found = metadata if isinstance(metadata, dict) else {}
    namespace, name = (_text(found.get(field)) for field in ("namespace", "name"))
    return f"{namespace}/{name}; {_gvk(kind.api_version, kind.kind)}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _gvk(api_version: str, kind: str) -> str:
    group, version = split_api_version(api_version)
    return f"{group}/{version}, Kind={kind}"


def _without_entries(obj: Object) -> Object:
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    return {**obj, "metadata": metadata}


def _with_entries(obj: Object, entries: list[dict[str, Any]]) -> Object:
    return {**obj, "metadata": {**(obj.get("metadata") or {}), "managedFields": entries}}


def _last_applied(obj: Object) -> str:
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    return annotations.get(LAST_APPLIED) or ""


def _applied_client_side(kind: Kind, live: Object) -> FieldSet | None:
    """The fields of the last client-side configuration that the live object still has; None without one."""
    text = _last_applied(live)
    try:
        last = orjson.loads(text) if text else None
    except ValueError:
        return None
    type_ = type_of(kind)
    if not isinstance(last, dict) or last.get("apiVersion") != kind.api_version or checks.check(type_, last):
        return None
    fields = walk.field_set(type_, last)
    for part in walk.compare(type_, last, live):
        fields = sets.difference(fields, part)
    return fields


def _with_last_applied(obj: Object, applied: Object) -> Object:
    """The annotation of client-side apply, kept in step with what kubectl applies server-side."""
    metadata = dict(applied.get("metadata") or {})
    metadata["annotations"] = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED}
    if not metadata["annotations"]:
        del metadata["annotations"]
    text = orjson.dumps({**applied, "metadata": metadata}, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    annotations = {**obj["metadata"]["annotations"], LAST_APPLIED: text}
    if sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > _MAX_ANNOTATIONS_BYTES:
        del annotations[LAST_APPLIED]
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
