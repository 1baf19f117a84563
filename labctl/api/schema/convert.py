"""Why patched data is no object of its kind, in the words of Kubernetes' converter.

kube-apiserver holds the result of a strategic merge patch as maps and fills Go structs from it
(k8s.io/apimachinery's pkg/runtime/converter.go) instead of decoding JSON again. The converter follows the order of the
struct, not of the document, stops at the first wrong type and does not say where it was. Types that read themselves
(quantities, times, ports) are read from JSON there, too.
"""

from __future__ import annotations

from typing import Any

from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.schema.decode import DecodeError, read_alone
from labctl.api.schema.types import StructSchema, TypeRef, lookup

_CONTAINERS = {"struct": "struct from:", "map": "map from", "list": "slice from", "bytes": "slice from"}
_READ_THEMSELVES = ("IntOrString", "Quantity", "Time", "MicroTime")
_OPAQUE = ("RawExtension", "FieldsV1")
# Go's name of what a value is held in, and what may be turned into it: Go turns integers into strings (of one
# character), so they are "convertible", and refused later, with other words than what is not.
_GO_KINDS: dict[type, str] = {dict: "map", list: "slice", str: "string", bool: "bool", int: "int64", float: "float64"}
_CONVERTIBLE = {
    "string": ("string", "int64"),
    "bool": ("bool",),
    "int32": ("int64", "float64"),
    "int64": ("int64", "float64"),
    "float64": ("int64", "float64"),
}


def convert_error(kind: Kind, data: Object) -> str | None:
    """The first reason why the data cannot be held as an object of the kind; None if it can. Pure."""
    return _struct(lookup(kind), data)


def _struct(schema: StructSchema, data: Object) -> str | None:
    errors = (_value(field.type, data.get(name)) for name, field in schema.fields.items())
    return next(filter(None, errors), None)


def _value(type_: TypeRef, value: Any) -> str | None:
    if value is None or type_.shape in _OPAQUE:
        return None
    if type_.shape in _READ_THEMSELVES:
        return _own(type_, value)
    found = _GO_KINDS[bool if isinstance(value, bool) else next(t for t in _GO_KINDS if isinstance(value, t))]
    if type_.shape not in _CONTAINERS:
        return _simple(type_, value, found)
    if type_.shape == "bytes" and found == "string":
        error = _own(type_, value)
        return f"error decoding from json: {error}" if error else None
    if found != {"struct": "map", "map": "map"}.get(type_.shape, "slice"):
        return f"cannot restore {_CONTAINERS[type_.shape]} {found}"
    if type_.shape == "struct":
        return _struct(type_.struct(), value)
    element = type_.element or TypeRef("int32", "uint8")  # bytes as a list of numbers
    return next(filter(None, (_value(element, e) for e in (value.values() if found == "map" else value))), None)


def _simple(type_: TypeRef, value: Any, found: str) -> str | None:
    if found not in _CONVERTIBLE[type_.shape]:
        return f"unrecognized type: {type_.shape}"
    is_same = found == type_.shape or type_.shape == "float64"
    is_whole = type_.shape in ("int32", "int64") and (found == "int64" or value.is_integer())
    return None if is_same or is_whole else f"cannot convert {found} to {type_.go}"


def _own(type_: TypeRef, value: Any) -> str | None:
    try:
        read_alone(type_, value)
    except DecodeError as error:
        return str(error)
    return None
