"""Taking out of an object what its manager applied before and does not apply any more, unless somebody else owns it.

Follows merge.Updater.prune: remove all that was applied last, put back what anybody owns now, then put back what
nobody owned in the first place but lay inside a removed part.
"""

from __future__ import annotations

from labctl.api.kinds import Kind
from labctl.api.managed_fields import merging, sets, walk
from labctl.api.managed_fields.managers import Owner, Owners
from labctl.api.managed_fields.sets import FieldSet
from labctl.api.managed_fields.versions import convert, kind_in, type_of
from labctl.api.objects import Object


def prune(kind: Kind, merged: Object, owners: Owners, last: Owner | None) -> Object:
    """The merged object without what only `last` stands for; `owners` holds the new fields of its manager."""
    if last is None or not last.fields:
        return merged
    then = kind_in(kind, last.api_version)
    if then is None:
        return merged
    full = convert(kind, then, merged)
    type_ = type_of(then)
    before = walk.with_named_fields(type_, last.fields)
    pruned = merging.remove(type_, full, before)
    pruned = _with_owned(then, full, pruned, owners)
    gone = sets.difference(_named_fields(then, full), _named_fields(then, pruned))
    return convert(then, kind, merging.remove(type_, full, sets.intersection(gone, before)))


def _with_owned(kind: Kind, merged: Object, pruned: Object, owners: Owners) -> Object:
    """The pruned object with all that somebody owns, version by version, beginning with its own."""
    owned: dict[str, FieldSet] = {kind.api_version: {}}
    for owner in owners.values():
        owned[owner.api_version] = sets.union(owned.get(owner.api_version, {}), owner.fields)
    for api_version, fields in owned.items():
        other = kind_in(kind, api_version)
        if other is None or not fields:
            continue
        there, left = convert(kind, other, merged), convert(kind, other, pruned)
        keep = sets.union(_named_fields(other, left), walk.with_named_fields(type_of(other), fields))
        drop = sets.difference(_named_fields(other, there), keep)
        pruned = convert(other, kind, merging.remove(type_of(other), there, drop))
    return pruned


def _named_fields(kind: Kind, obj: Object) -> FieldSet:
    type_ = type_of(kind)
    return walk.with_named_fields(type_, walk.field_set(type_, obj))
