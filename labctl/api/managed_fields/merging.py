"""Merging an applied configuration into the live object, and taking fields out of an object.

Results share the parts that did not change with the arguments, which are not changed.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from labctl.api.managed_fields.sets import FieldSet, is_member
from labctl.api.managed_fields.types import Type
from labctl.api.managed_fields.walk import element_of, items_of

_ABSENT: Any = object()


def merge(type_: Type, live: dict[str, Any], applied: dict[str, Any]) -> dict[str, Any]:
    """The live object with everything the configuration says, which may hold no duplicates."""
    result = dict(live)
    for name, value in applied.items():
        child = type_.child(name)
        result[name] = value if child is None else _merge_values(child, live.get(name, _ABSENT), value)
    return result


def _merge_values(type_: Type, live: Any, applied: Any) -> Any:
    if type_.atomic or live is _ABSENT or not live:
        return applied
    if not applied:
        return live  # an empty configuration says nothing about what is inside
    if type_.form == "list":
        return _merge_items(type_, live, applied)
    return merge(type_, live, applied)


def _merge_items(type_: Type, live: list[Any], applied: list[Any]) -> list[Any]:
    """Items in the order of the configuration; live ones it does not name come as early as that order allows."""
    assert type_.element is not None  # lists have elements
    before = items_of(type_, live)
    wanted = {element_of(type_, item): item for item in applied}
    result: list[Any] = []
    for element, item in _merged_order([element_of(type_, item) for item in live], list(wanted)):
        if item is not None:
            result.append(live[item])
            continue
        present = before.get(element, [])
        alone = present[0] if len(present) == 1 else _ABSENT  # duplicates are replaced
        result.append(_merge_values(type_.element, alone, wanted[element]))
    return result


def _merged_order(left: list[str], right: list[str]) -> list[tuple[str, int | None]]:
    """The elements of a merged list; an element only the live list has comes with its index there."""
    live = set(left)
    shared = deque(element for element in right if element in live)
    names, rest = set(right), deque(right)
    found: list[tuple[str, int | None]] = []
    index = 0
    while index < len(left) or rest:
        if index < len(left):
            element = left[index]
            if element not in names:
                found.append((element, index))
                index += 1
                continue
            if not rest or element == rest[0] or element not in rest:
                index += 1  # it comes now, or has come already
            elif element != shared[0]:
                index += 1  # the configuration puts it elsewhere
                continue
        if rest:
            element = rest.popleft()
            found.append((element, None))
            if shared and shared[0] == element:
                shared.popleft()
    return found


def remove(type_: Type, obj: dict[str, Any], fields: FieldSet) -> dict[str, Any]:
    """The object without the members of a set; what is left empty stays, as null."""
    result: dict[str, Any] = {}
    for name, value in obj.items():
        node = fields.get("f:" + name)
        if node is None:
            result[name] = value
        elif not is_member(node):
            child = type_.child(name)
            result[name] = value if child is None else _remove_inside(child, value, node)
    return result


def _remove_inside(type_: Type, value: Any, fields: FieldSet) -> Any:
    if type_.form == "scalar":
        return value
    if type_.atomic or not value:
        return None
    if type_.form != "list":
        return remove(type_, value, fields) or None
    assert type_.element is not None  # lists have elements
    result = []
    for item in value:
        node = fields.get(element_of(type_, item))
        if node is None:
            result.append(item)
        elif not is_member(node) and (left := _remove_inside(type_.element, item, node)):
            result.append(left)  # without its key fields nothing could be an item any more
    return result or None
