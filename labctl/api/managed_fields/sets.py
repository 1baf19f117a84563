"""Field sets in the very form of fieldsV1: nested dicts, so that what is stored needs no decoding to be worked with.

    {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:replicas": {}}}

A dict below the root stands for a field: when it is empty, or has `.`, the field itself is a member; other keys are what
is inside it. The empty root is the empty set. Sets are values: no function changes one it is given, results share parts,
and where nothing changes the argument itself comes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labctl.api.managed_fields.elements import SELF, ElementError, canonical, order

FieldSet = dict[str, Any]
Path = tuple[str, ...]

LEAF: FieldSet = {}
"""A member with nothing inside. Shared by all sets."""


def of(*paths: Path) -> FieldSet:
    """The set of these paths."""
    found: FieldSet = {}
    for path in paths:
        single: FieldSet = LEAF
        for element in reversed(path):
            single = {element: single}
        found = union(found, single)
    return found


def is_member(node: FieldSet) -> bool:
    """Whether the field a dict below the root stands for belongs to the set itself."""
    return not node or SELF in node


def has(fields: FieldSet, path: Path) -> bool:
    """Whether a path is a member."""
    node: FieldSet | None = fields
    for element in path:
        node = node.get(element) if node else None
        if node is None:
            return False
    return node is not None and bool(path) and is_member(node)


def paths(fields: FieldSet, prefix: Path = ()) -> Iterator[Path]:
    """All members in order: those of one level first, then those inside them."""
    children = sorted((item for item in fields.items() if item[0] != SELF), key=lambda item: order(item[0]))
    for element, node in children:
        if is_member(node):
            yield (*prefix, element)
    for element, node in children:
        if node:
            yield from paths(node, (*prefix, element))


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """What belongs to either."""
    if not other or one is other:
        return one
    if not one:
        return other
    result = dict(one)
    for element, node in other.items():
        present = result.get(element)
        result[element] = node if present is None else _join(present, node)
    return result


def _join(one: FieldSet, other: FieldSet) -> FieldSet:
    if one and other:
        return union(one, other)
    filled = one or other
    return filled if not filled or SELF in filled else {SELF: LEAF, **filled}


def intersection(one: FieldSet, other: FieldSet) -> FieldSet:
    """What belongs to both."""
    result: FieldSet = {}
    for element, node in one.items():
        if element == SELF or element not in other:
            continue
        facing = other[element]
        inside = intersection(node, facing)
        if is_member(node) and is_member(facing):
            result[element] = {SELF: LEAF, **inside} if inside else LEAF
        elif inside:
            result[element] = inside
    return result


def difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """What belongs to the first and not to the second. A field does not take along what is inside it."""
    result = one
    for element, facing in other.items():
        node = one.get(element)
        if node is None or element == SELF:
            continue
        left = _subtract(node, facing)
        if left is node:
            continue
        if result is one:
            result = dict(one)
        if left is None:
            del result[element]
        else:
            result[element] = left
    return result


def _subtract(node: FieldSet, facing: FieldSet) -> FieldSet | None:
    """What is left of a field; None when nothing is."""
    member = is_member(node)
    stays = member and not is_member(facing)
    inside = difference(node, facing) if node and facing else node
    if inside is node and stays == member:
        return node
    inside = {e: n for e, n in inside.items() if e != SELF}
    if stays:
        return {SELF: LEAF, **inside} if inside else LEAF
    return inside or None


def without(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is left of the first when all members of the second go, with everything inside them."""
    result = one
    for element, facing in other.items():
        node = one.get(element)
        if node is None or element == SELF:
            continue
        left = None if is_member(facing) else without(node, facing)
        if left is node:
            continue
        if result is one:
            result = dict(one)
        if left:
            result[element] = left
        else:
            del result[element]
    return result


def ordered(fields: FieldSet) -> FieldSet:
    """The same set with its elements in the order in which Kubernetes writes them."""
    if len(fields) < 2:
        return {e: ordered(n) if n else LEAF for e, n in fields.items()}
    return {e: ordered(n) if (n := fields[e]) else LEAF for e in sorted(fields, key=_sort_key)}


def _sort_key(element: str) -> Any:
    # Fields, nearly all there is, sort as their texts do; `.` sorts before letters.
    return (0, element) if element[0] in ".f" else (1, order(element))


def decode(data: Any) -> FieldSet:
    """A set that somebody else wrote, in canonical form. Raises ElementError."""
    if not isinstance(data, dict):
        raise ElementError("a set of fields must be an object")
    result: FieldSet = {}
    for text, inside in data.items():
        if text == SELF:
            result[SELF] = LEAF
            continue
        element = canonical(text)
        if element is None:
            continue
        node = decode(inside)
        result[element] = _join(result[element], node) if element in result else node
    return result
