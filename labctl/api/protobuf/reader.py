"""Protobuf messages -> JSON data, by the same facts that JSON bodies are decoded with."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from labctl.api import times
from labctl.api.objects import Object
from labctl.api.protobuf import wire
from labctl.api.schema import Field, StructSchema, TypeRef, parse_value, struct

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_struct(name: str, data: bytes) -> Object:
    """The fields of a message that are set; decoding as JSON afterwards makes it a complete object."""
    obj: Object = {}
    _read_into(obj, _layout(name), data)
    return obj


# Number -> a field, or the numbers of a struct that JSON inlines into its parent.
_Layout = dict[int, "Field | dict[int, Any]"]


@cache
def _layout(name: str) -> _Layout:
    return _layout_of(struct(name))


def _layout_of(schema: StructSchema) -> _Layout:
    layout: _Layout = {}
    for known in schema.fields.values():
        target = layout
        for inlined in known.inlined:
            if inlined.number:
                target = target.setdefault(inlined.number, {})  # type: ignore[assignment]  # inlined, hence a dict
        if known.number:
            target[known.number] = known
    return layout


def _read_into(obj: Object, layout: _Layout, data: bytes) -> None:
    for number, wire_type, value in wire.read(data):
        known = layout.get(number)
        if known is None:
            continue
        if isinstance(known, dict):
            _read_into(obj, known, _bytes(value))
            continue
        type_ = known.type
        if type_.shape == "map":
            _read_entry(obj.setdefault(known.name, {}), type_, _bytes(value))
        elif type_.shape == "list":
            _read_item(obj.setdefault(known.name, []), type_, wire_type, value)
        else:
            obj[known.name] = _read(type_, value)


def _bytes(value: wire.Value) -> bytes:
    if isinstance(value, bytes):
        return value
    raise wire.WireError("proto: wrong wireType")


def _read_entry(found: Object, type_: TypeRef, data: bytes) -> None:
    assert type_.element is not None  # maps have values
    key = ""
    value: Any = "" if type_.element.shape == "bytes" else None
    for number, _, part in wire.read(data):
        if number == 1:
            key = _text(part)
        elif number == 2:
            value = _read(type_.element, part)
    found[key] = value


def _read_item(found: list[Any], type_: TypeRef, wire_type: int, value: wire.Value) -> None:
    assert type_.element is not None  # lists have elements
    if type_.name:  # a named list type is a message around its items
        found += [_read(type_.element, part) for number, _, part in wire.read(_bytes(value)) if number == 1]
    elif wire_type == wire.BYTES and type_.element.shape in ("int32", "int64", "bool"):
        packed, position = _bytes(value), 0
        while position < len(packed):
            item, position = wire.read_varint(packed, position)
            found.append(_read(type_.element, item))
    else:
        found.append(_read(type_.element, value))


def _text(value: wire.Value) -> str:
    return _bytes(value).decode(errors="replace")


def _read(type_: TypeRef, value: wire.Value) -> Any:
    match type_.shape:
        case "string":
            return _text(value)
        case "struct":
            return read_struct(type_.name, _bytes(value))
        case "bool":
            return bool(_number(value))
        case "int32":
            return wire.signed(_number(value), 32)
        case "int64":
            return wire.signed(_number(value), 64)
        case "float64":
            return wire.double(_bytes(value))
        case "bytes":
            return base64.b64encode(_bytes(value)).decode()
        case "list":  # a named list type, a message around its items
            found: list[Any] = []
            _read_item(found, type_, wire.BYTES, value)
            return found
    return _read_special(type_, _bytes(value))


def _number(value: wire.Value) -> int:
    if isinstance(value, int):
        return value
    raise wire.WireError("proto: wrong wireType")


def _read_special(type_: TypeRef, data: bytes) -> Any:
    fields = {number: value for number, _, value in wire.read(data)}
    match type_.shape:
        case "Quantity":
            return _text(fields.get(1, b"")) or "0"
        case "IntOrString":
            if fields.get(1):
                return _text(fields.get(3, b""))
            return wire.signed(_number(fields.get(2, 0)), 32)
        case "Time" | "MicroTime":
            return _time(type_, fields) if data else None
    raw = _bytes(fields.get(1, b""))
    return parse_value(raw) if raw else None


def _time(type_: TypeRef, fields: dict[int, wire.Value]) -> str:
    seconds = wire.signed(_number(fields.get(1, 0)), 64)
    nanos = wire.signed(_number(fields.get(2, 0)), 32)
    try:
        moment = _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError as error:
        raise wire.WireError("proto: time out of range") from error
    if type_.shape == "Time":
        return times.format_time(moment.timestamp())
    return times.iso(moment, "microseconds")
