"""Whether an applied configuration has the form of its type, in the words of structured-merge-diff.

Other writes are decoded as Go's structs are, with messages of their own; an applied configuration is checked first, because
what is merged has to be known field by field and without duplicates.
"""

from __future__ import annotations

from typing import Any

from labctl.api.managed_fields import elements
from labctl.api.managed_fields.types import Type
from labctl.api.managed_fields.walk import element_of


def check(type_: Type, obj: dict[str, Any]) -> str:
    """What is wrong with a configuration, empty when nothing is."""
    errors = _fields(type_, obj, "")
    if len(errors) < 2:
        return "".join(errors)
    return "\n".join(["errors:", *(f"  {error}" for error in errors)])


def _value(type_: Type, value: Any, path: str) -> list[str]:
    if value is None:
        return []
    if type_.form == "scalar":
        return _scalar(type_, value, path)
    if type_.form == "list":
        if not isinstance(value, list):
            return [f"{path}: expected list, got &{{{go_text(value)}}}"]
        return _items(type_, value, path)
    if not isinstance(value, dict):
        return [f"{path}: expected map, got &{{{go_text(value)}}}"]
    return _fields(type_, value, path)


def _fields(type_: Type, obj: dict[str, Any], path: str) -> list[str]:
    errors: list[str] = []
    for name, value in obj.items():
        child = type_.child(name)
        if child is None:
            return [*errors, f"{path}.{name}: field not declared in schema"]
        errors += _value(child, value, f"{path}.{name}")
    return errors


def _items(type_: Type, items: list[Any], path: str) -> list[str]:
    assert type_.element is not None  # lists have elements
    errors: list[str] = []
    seen: set[str] = set()
    for index, item in enumerate(items):
        shown = f"[{index}]"
        if not type_.atomic:
            problem = _no_element(type_, item)
            if problem:
                return [*errors, f"{path}: element {index}: {problem}"]
            element = element_of(type_, item)
            shown = elements.show(element)
            if element in seen:
                errors.append(f"{path}: duplicate entries for key {shown}")
            seen.add(element)
        errors += _value(type_.element, item, path + shown)
    return errors


def _no_element(type_: Type, item: Any) -> str:
    """Why an item cannot be told from the others."""
    if not type_.keys:
        if item is None:
            return "associative list without keys has an element that's an explicit null"
        if isinstance(item, dict):
            return "associative list without keys has an element that's a map type"
        return "not supported: associative list with lists as elements" if isinstance(item, list) else ""
    if item is None:
        return "associative list with keys may not have a null element"
    if not isinstance(item, dict):
        return "associative list with keys may not have non-map elements"
    if all(name not in item and default is None for name, default in type_.keys):
        names = " ".join(f'"{name}"' for name, _ in type_.keys)
        return (
            f"associative list with keys has an element that omits all key fields [{names}] "
            "(and doesn't have default values for any key fields)"
        )
    return ""


def _scalar(type_: Type, value: Any, path: str) -> list[str]:
    is_bool, is_number = isinstance(value, bool), isinstance(value, int | float) and not isinstance(value, bool)
    if type_.scalar == "numeric" and not is_number:
        return [f"{path}: expected numeric (int or float), got {_go_type(value)}"]
    if type_.scalar == "string" and not isinstance(value, str):
        return [f"{path}: expected string, got &value.valueUnstructured{{Value:{go_text(value)}}}"]
    if type_.scalar == "boolean" and not is_bool:
        return [f"{path}: expected boolean, got &{{{go_text(value)}}}"]
    if type_.scalar == "untyped" and isinstance(value, dict | list):
        return [f"{path}: expected any scalar, got &{{{go_text(value)}}}"]
    return []


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    return "[]interface {}" if isinstance(value, list) else "map[string]interface {}"


def go_text(value: Any) -> str:
    """A value as Go's %v prints it."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{name}:{go_text(value[name])}" for name in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_text, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)
