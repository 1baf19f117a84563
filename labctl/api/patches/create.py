"""Making strategic merge patches: the difference of two objects, and the three-way patch of `kubectl apply`.

Three-way (strategicpatch.CreateThreeWayMergePatch): what `modified` adds or changes against `current`, and what it
no longer has against `original`, the last applied configuration; fields that others have set are left alone.
"""

from __future__ import annotations

from typing import Any

from labctl.api import schema
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.patches.strategic import (
    DELETE_FROM_PRIMITIVE_LIST,
    PATCH,
    RETAIN_KEYS,
    SET_ELEMENT_ORDER,
    element_of,
    field_of,
    struct_in,
)
from labctl.api.schema import Field, StructSchema


def create_two_way_merge_patch(kind: Kind, original: Object, modified: Object) -> Object:
    """The patch that turns `original` into `modified`."""
    return _diff(schema.lookup(kind), original, modified, adds=True, deletes=True)


def create_three_way_merge_patch(kind: Kind, original: Object | None, modified: Object, current: Object) -> Object:
    """The patch `apply` sends; empty when there is nothing to do."""
    struct = schema.lookup(kind)
    delta = _diff(struct, current, modified, adds=True, deletes=False)
    removed = _diff(struct, original or {}, modified, adds=False, deletes=True)
    patch: Object = _merged(removed, delta)
    return patch


def _diff(struct: StructSchema | None, old: Object, new: Object, *, adds: bool, deletes: bool) -> Object:
    patch: Object = {}
    for name in new:
        field = field_of(struct, name)
        if name not in old:
            if adds and new[name] is not None:
                patch[name] = new[name]
        elif old[name] != new[name]:
            _changed(patch, field, name, old[name], new[name], adds=adds, deletes=deletes)
    if deletes:
        patch |= {name: None for name in old if name not in new}
    return patch


def _changed(patch: Object, field: Field | None, name: str, old: Any, new: Any, *, adds: bool, deletes: bool) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        inner = _diff(struct_in(field.type) if field else None, old, new, adds=adds, deletes=deletes)
        if inner and field is not None and "retainKeys" in field.patch_strategy:
            inner[RETAIN_KEYS] = sorted(new)
        if inner:
            patch[name] = inner
    elif isinstance(old, list) and isinstance(new, list) and field is not None and "merge" in field.patch_strategy:
        if field.patch_merge_key:
            _map_lists(patch, field, name, old, new, adds=adds, deletes=deletes)
        else:
            _primitive_lists(patch, name, old, new, adds=adds, deletes=deletes)
    elif adds:
        patch[name] = new


def _map_lists(
    patch: Object, field: Field, name: str, old: list[Any], new: list[Any], *, adds: bool, deletes: bool
) -> None:
    key = field.patch_merge_key
    struct = struct_in(element_of(field))
    before = {item.get(key): item for item in old}
    items: list[Object] = []
    for item in new:
        known = before.get(item.get(key))
        if known is None:
            if adds:
                items.append(item)
        elif inner := _diff(struct, known, item, adds=adds, deletes=deletes):
            items.append(inner | {key: item[key]})
    if deletes:
        kept = {item.get(key) for item in new}
        items += [{PATCH: "delete", key: k} for k in before if k not in kept]
    if items:
        patch[name] = items
    if items or (adds and [i.get(key) for i in old] != [i.get(key) for i in new]):
        patch[SET_ELEMENT_ORDER + name] = [{key: item[key]} for item in new if key in item]


def _primitive_lists(patch: Object, name: str, old: list[Any], new: list[Any], *, adds: bool, deletes: bool) -> None:
    added = [v for v in new if v not in old] if adds else []
    removed = [v for v in old if v not in new] if deletes else []
    if added:
        patch[name] = added
    if removed:
        patch[DELETE_FROM_PRIMITIVE_LIST + name] = removed
    if added or removed or (adds and old != new):
        patch[SET_ELEMENT_ORDER + name] = new


def _merged(first: Any, second: Any) -> Any:
    """Two patches as one; where both say something of a list, their elements stand side by side."""
    if not isinstance(first, dict) or not isinstance(second, dict):
        return second
    result = dict(first)
    for name, value in second.items():
        present = result.get(name)
        if isinstance(present, dict) and isinstance(value, dict):
            result[name] = _merged(present, value)
        elif isinstance(present, list) and isinstance(value, list) and not name.startswith("$"):
            result[name] = [*value, *(p for p in present if p not in value)]
        else:
            result[name] = value
    return result
