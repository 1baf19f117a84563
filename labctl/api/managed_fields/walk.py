"""Which fields an object has, and in which two objects differ.

Two rules that look alike and are not. What a manager *applies* is the set of its leaves: values, list items, keys of maps,
and structs only where they are empty. What a manager *changes* by other writes includes the structs and lists that
came into being with it; that is why `.` turns up under `f:labels` there and seldom under what was applied.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from labctl.api.managed_fields import elements
from labctl.api.managed_fields.elements import SELF
from labctl.api.managed_fields.sets import LEAF, FieldSet
from labctl.api.managed_fields.types import Type


class Comparison(NamedTuple):
    """The fields that differ between an old object and a new one, each in one of the three sets."""

    removed: FieldSet
    modified: FieldSet
    added: FieldSet


def element_of(type_: Type, item: Any) -> str:
    """The path element of an item of a list that is merged item by item."""
    if not type_.keys:
        return elements.value(item)
    found = {}
    for name, default in type_.keys:
        value = item.get(name, default)
        if value is not None:
            found[name] = value
    return elements.key(found)


def items_of(type_: Type, items: list[Any]) -> dict[str, list[Any]]:
    """The items of a list by path element, in order. More than one under an element are duplicates."""
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(element_of(type_, item), []).append(item)
    return found


def field_set(type_: Type, obj: dict[str, Any]) -> FieldSet:
    """The fields an applied configuration stands for."""
    result: FieldSet = {}
    for name, value in obj.items():
        child = type_.child(name)
        if child is None:
            continue
        node = _applied(child, value)
        if type_.form == "map":
            node = {SELF: LEAF, **node} if node else LEAF
        if node is not None:
            result["f:" + name] = node
    return result


def _applied(type_: Type, value: Any) -> FieldSet | None:
    if type_.atomic or value is None or value == {}:
        return LEAF
    if type_.form != "list":
        return field_set(type_, value) or None
    return {element: _applied_items(type_, items) for element, items in items_of(type_, value).items()} or None


def _applied_items(type_: Type, items: list[Any]) -> FieldSet:
    assert type_.element is not None  # lists have elements
    if len(items) > 1:
        return LEAF
    inside = _applied(type_.element, items[0])
    return {SELF: LEAF, **inside} if inside else LEAF


def whole(type_: Type, value: Any) -> FieldSet:
    """Everything in a value that came or went as a whole, the value itself included."""
    if type_.atomic or not value:
        return LEAF
    node: FieldSet = {SELF: LEAF}
    if type_.form == "list":
        assert type_.element is not None  # lists have elements
        for element, items in items_of(type_, value).items():
            node[element] = whole(type_.element, items[0]) if len(items) == 1 else LEAF
        return node
    for name, item in value.items():
        child = type_.child(name)
        if child is not None:
            node["f:" + name] = whole(child, item)
    return node


def compare(type_: Type, old: dict[str, Any], new: dict[str, Any], *, skip: frozenset[str] = frozenset()) -> Comparison:
    """What became of an object. Fields named in `skip` are not looked at; they are fields of the object itself."""
    found = Comparison({}, {}, {})
    if skip:
        old = {name: value for name, value in old.items() if name not in skip}
        new = {name: value for name, value in new.items() if name not in skip}
    _compare_fields(type_, old, new, found)
    return found


def _compare_fields(type_: Type, old: dict[str, Any], new: dict[str, Any], found: Comparison) -> None:
    for name, value in new.items():
        child = type_.child(name)
        if child is None:
            continue
        if name not in old:
            found.added["f:" + name] = whole(child, value)
        elif old[name] != value:  # one comparison at C speed spares most of the walk
            _compare_values(child, "f:" + name, old[name], value, found)
    for name, value in old.items():
        if name not in new and (child := type_.child(name)) is not None:
            found.removed["f:" + name] = whole(child, value)


def _compare_values(type_: Type, element: str, old: Any, new: Any, found: Comparison) -> None:
    """Two values that differ."""
    if type_.atomic or not (old or new):
        found.modified[element] = LEAF
        return
    inside = Comparison({}, {}, {})
    if type_.form == "list":
        _compare_items(type_, old or [], new or [], inside)
    else:
        _compare_fields(type_, old or {}, new or {}, inside)
    for part, target in zip(inside, found, strict=True):
        if part:
            target[element] = part


def _compare_items(type_: Type, old: list[Any], new: list[Any], found: Comparison) -> None:
    assert type_.element is not None  # lists have elements
    before, after = items_of(type_, old), items_of(type_, new)
    for element in before | after:
        left, right = before.get(element, []), after.get(element, [])
        if left == right:
            continue
        if len(left) <= 1 and len(right) <= 1:
            if not left:
                found.added[element] = whole(type_.element, right[0])
            elif not right:
                found.removed[element] = whole(type_.element, left[0])
            else:
                _compare_values(type_.element, element, left[0], right[0], found)
        else:
            _compare_duplicates(type_.element, element, left, right, found)


def _compare_duplicates(type_: Type, element: str, left: list[Any], right: list[Any], found: Comparison) -> None:
    """Items that share an element are one value together; an item that is alone is looked into."""
    if len(left) > 1 and len(right) > 1:
        found.modified[element] = LEAF
    elif len(left) > 1:
        found.removed[element] = LEAF
        if right:
            found.added[element] = whole(type_, right[0])
    else:
        found.added[element] = LEAF
        if left:
            found.removed[element] = whole(type_, left[0])


def with_named_fields(type_: Type | None, fields: FieldSet) -> FieldSet:
    """The set with every field of a struct on the way to a member as a member too (not the keys of maps)."""
    if type_ is None:
        return fields
    result: FieldSet = {}
    for element, node in fields.items():
        if not node:
            result[element] = node
            continue
        if element[0] == "f":
            child = type_.child(element[2:]) if type_.form != "list" else None
            inside = with_named_fields(child, node)
            is_named = type_.form == "struct" and child is not None
            result[element] = {SELF: LEAF, **inside} if is_named else inside
        else:
            result[element] = with_named_fields(type_.element if type_.form == "list" else None, node)
    return result
