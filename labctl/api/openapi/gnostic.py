"""The version 2 document in protobuf, the only form client-go takes it in (gnostic's openapi.v2 messages)."""

from __future__ import annotations

from typing import Any

import orjson

from labctl.api.objects import Object
from labctl.api.protobuf import wire

_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}


def _text(number: int, value: str | None) -> bytes:
    return wire.bytes_field(number, value.encode()) if value else b""


def _extensions(number: int, source: Object) -> bytes:
    """NamedAny messages; the value is YAML text."""
    found = b""
    for name, value in source.items():
        if name.startswith("x-"):
            found += wire.bytes_field(number, _text(1, name) + wire.bytes_field(2, _any(value)))
    return found


def _any(value: Any) -> bytes:
    return wire.bytes_field(2, orjson.dumps(value))  # JSON is YAML


def document(source: Object) -> bytes:
    """Encode a version 2 document."""
    info = _text(1, source["info"]["title"]) + _text(2, source["info"]["version"])
    definitions = b"".join(_named_schema(1, name, schema) for name, schema in source["definitions"].items())
    paths = b"".join(
        wire.bytes_field(2, _text(1, path) + wire.bytes_field(2, _path_item(item)))
        for path, item in source["paths"].items()
    )
    return (
        _text(1, source["swagger"])
        + wire.bytes_field(2, info)
        + wire.bytes_field(8, paths)
        + wire.bytes_field(9, definitions)
    )


def _named_schema(number: int, name: str, schema: Object) -> bytes:
    return wire.bytes_field(number, _text(1, name) + wire.bytes_field(2, _schema(schema)))


def _schema(schema: Object) -> bytes:
    found = _text(1, schema.get("$ref")) + _text(2, schema.get("format")) + _text(4, schema.get("description"))
    if "default" in schema:
        found += wire.bytes_field(5, _any(schema["default"]))
    found += b"".join(_text(19, name) for name in schema.get("required", ()))
    found += b"".join(wire.bytes_field(20, _any(value)) for value in schema.get("enum", ()))
    if "additionalProperties" in schema:
        found += wire.bytes_field(21, wire.bytes_field(1, _schema(schema["additionalProperties"])))
    if "type" in schema:
        found += wire.bytes_field(22, _text(1, schema["type"]))
    if "items" in schema:
        found += wire.bytes_field(23, wire.bytes_field(1, _schema(schema["items"])))
    if "properties" in schema:
        fields = b"".join(_named_schema(1, name, field) for name, field in schema["properties"].items())
        found += wire.bytes_field(25, fields)
    return found + _extensions(31, schema)


def _path_item(item: Object) -> bytes:
    found = b""
    for method, number in _METHODS.items():
        if method in item:
            found += wire.bytes_field(number, _operation(item[method]))
    return found + b"".join(wire.bytes_field(9, _parameter(p)) for p in item.get("parameters", ()))


def _operation(operation: Object) -> bytes:
    parameters = b"".join(wire.bytes_field(8, _parameter(p)) for p in operation["parameters"])
    answer = wire.bytes_field(1, _text(1, "200") + wire.bytes_field(2, wire.bytes_field(1, _text(1, "OK"))))
    return parameters + wire.bytes_field(9, answer) + _extensions(13, operation)


def _parameter(parameter: Object) -> bytes:
    """ParametersItem > Parameter > NonBodyParameter > query (3) or path (4), or BodyParameter."""
    if parameter["in"] == "body":
        body = _text(2, parameter["name"]) + _text(3, "body") + wire.bytes_field(5, _schema(parameter["schema"]))
        return wire.bytes_field(1, wire.bytes_field(1, body))
    if parameter["in"] == "path":
        sub = wire.number_field(1, 1) + _text(2, "path") + _text(4, parameter["name"]) + _text(5, parameter["type"])
        kind = 4
    else:
        sub = _text(2, "query") + _text(4, parameter["name"]) + _text(6, parameter["type"])
        kind = 3
    return wire.bytes_field(1, wire.bytes_field(2, wire.bytes_field(kind, sub)))
