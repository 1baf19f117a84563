"""JSON data -> protobuf messages, written as Kubernetes' generated code does: fields by number, zero values too."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from labctl.api import times
from labctl.api.objects import Object
from labctl.api.protobuf import wire
from labctl.api.schema import Field, TypeRef, struct


def write_struct(name: str, obj: Object) -> bytes:
    """The message of a struct."""
    return _write_fields(list(struct(name).fields.values()), obj, 0)


def _write_fields(fields: list[Field], obj: Object, depth: int) -> bytes:
    """Write fields that are all inlined `depth` levels deep; deeper ones become a message of their own."""
    parts: dict[int, bytes] = {}
    inlined: dict[int, list[Field]] = {}
    for known in fields:
        path = [i.number for i in known.inlined if i.number]
        if len(path) > depth:
            inlined.setdefault(path[depth], []).append(known)
        elif known.number:
            parts[known.number] = _write_field(known, obj.get(known.name))
    for number, inner in inlined.items():
        parts[number] = wire.bytes_field(number, _write_fields(inner, obj, depth + 1))
    return b"".join(parts[number] for number in sorted(parts))


def _write_field(known: Field, value: Any) -> bytes:
    type_, number = known.type, known.number
    if type_.shape == "map":
        assert type_.element is not None  # maps have values
        return b"".join(
            wire.bytes_field(number, wire.bytes_field(1, key.encode()) + _write(type_.element, 2, item))
            for key, item in sorted((value or {}).items())
        )
    if type_.shape == "list":
        assert type_.element is not None  # lists have elements
        if type_.name:
            return _write(type_, number, value) if value is not None else b""
        return b"".join(_write(type_.element, number, item) for item in value or ())
    if value is None and (type_.pointer or type_.shape == "bytes"):
        return b""
    return _write(type_, number, value)


def _write(type_: TypeRef, number: int, value: Any) -> bytes:
    match type_.shape:
        case "bool" | "int32" | "int64":
            return wire.number_field(number, int(value or 0))
        case "float64":
            return wire.double_field(number, float(value or 0))
        case "string":
            content = (value or "").encode()
        case "bytes":
            content = base64.b64decode(value or "")
        case "struct":
            content = write_struct(type_.name, value or {})
        case "list":  # a named list type, a message around its items
            assert type_.element is not None  # lists have elements
            content = b"".join(_write(type_.element, 1, item) for item in value or ())
        case _:
            content = _special(type_, value)
    return wire.bytes_field(number, content)


def _special(type_: TypeRef, value: Any) -> bytes:
    match type_.shape:
        case "Quantity":
            return wire.bytes_field(1, str(value if value is not None else 0).encode())
        case "IntOrString":
            text = value if isinstance(value, str) else ""
            kind = wire.number_field(1, int(isinstance(value, str)))
            whole = 0 if isinstance(value, str) else int(value or 0)
            return kind + wire.number_field(2, whole) + wire.bytes_field(3, text.encode())
        case "Time" | "MicroTime":
            if value is None:
                return b""
            moment = times.parse(value)
            seconds = int((moment.replace(microsecond=0)).timestamp())
            return wire.number_field(1, seconds) + wire.number_field(2, moment.microsecond * 1000)
    return wire.bytes_field(1, orjson.dumps(value)) if value is not None else b""
