"""Types -> OpenAPI schemas, as kube-openapi generates them for Kubernetes (version 3 and version 2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from labctl.api.objects import Object
from labctl.api.openapi import descriptions
from labctl.api.schema import Field, StructSchema, TypeRef, openapi_name, struct

Version = Literal[2, 3]

_PREFIX = {2: "#/definitions/", 3: "#/components/schemas/"}
_SIMPLE: dict[str, Object] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "float64": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
}
_ZERO: dict[str, Any] = {"string": "", "bool": False, "int32": 0, "int64": 0, "float64": 0}
# Types with a form of their own are schemas of their own; where version 2 has another form it is the second.
_DATE_TIME: Object = {"type": "string", "format": "date-time"}
_OBJECT: Object = {"type": "object"}
_SPECIAL: dict[str, tuple[Object, Object]] = {
    "Time": (_DATE_TIME, _DATE_TIME),
    "MicroTime": (_DATE_TIME, _DATE_TIME),
    "Quantity": ({"oneOf": [{"type": "string"}, {"type": "number"}]}, {"type": "string"}),
    "IntOrString": (
        {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
        {"type": "string", "format": "int-or-string"},
    ),
    "RawExtension": (_OBJECT, _OBJECT),
    "FieldsV1": (_OBJECT, _OBJECT),
}


class Schemas:
    """The schemas of some types and of everything they refer to."""

    def __init__(self, version: Version, texts: descriptions.Descriptions) -> None:
        self._version: Version = version
        self._texts = texts
        self.found: dict[str, Object] = {}

    def add(self, names: Iterable[str]) -> None:
        """Add types by the names their facts have, with the types they use."""
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            full = openapi_name(name)
            if full in self.found:
                continue
            if name in _SPECIAL:
                self.found[full] = self._described(dict(_SPECIAL[name][self._version == 2]), full)
                continue
            schema = struct(name)
            self.found[full] = self._struct(schema, full)
            waiting += filter(None, (_target(known.type) for known in schema.fields.values()))

    def ref(self, name: str) -> Object:
        """A reference to a type."""
        return {"$ref": _PREFIX[self._version] + openapi_name(name)}

    def _described(self, schema: Object, full: str) -> Object:
        if text := descriptions.of_type(self._texts, full):
            schema["description"] = text
        return schema

    def _struct(self, schema: StructSchema, full: str) -> Object:
        found: Object = {"type": "object"}
        if schema.fields:
            found["properties"] = {known.name: self._field(known, full) for known in schema.fields.values()}
        if required := [known.name for known in schema.fields.values() if known.required]:
            found["required"] = required
        if schema.atomic:
            found["x-kubernetes-map-type"] = "atomic"
        return self._described(found, full)

    def _field(self, known: Field, parent: str) -> Object:
        text = descriptions.of_field(self._texts, parent, known.name)
        default = known.default
        if default is None and not known.type.pointer:
            default = {} if known.type.shape == "struct" else None
            if not (known.omit_empty or known.omit_zero):
                default = _ZERO.get(known.type.shape, default)
        schema = self._value(known.type, text=text, default=default)
        if "$ref" in schema and self._version == 3:
            schema = {"allOf": [schema]}  # what stands beside a $ref would be ignored
        if known.list_type:
            schema["x-kubernetes-list-type"] = known.list_type
        if known.list_map_keys:
            schema["x-kubernetes-list-map-keys"] = list(known.list_map_keys)
        if known.map_type or known.struct_type:
            schema["x-kubernetes-map-type"] = known.map_type or known.struct_type
        if known.patch_merge_key:
            schema["x-kubernetes-patch-merge-key"] = known.patch_merge_key
        if known.patch_strategy:
            schema["x-kubernetes-patch-strategy"] = ",".join(known.patch_strategy)
        return schema

    def _value(self, type_: TypeRef, *, text: str = "", default: Any = None) -> Object:
        if (target := _referred(type_)) is not None:
            return self._reference(target, text, default)
        schema: Object
        if type_.shape in ("list", "map"):
            assert type_.element is not None  # lists and maps have elements
            inner = type_.element
            zero = {} if inner.shape == "struct" else _ZERO.get(inner.shape)
            element = self._value(inner, default=None if inner.pointer else zero)
            schema = {"type": "array", "items": element}
            if type_.shape == "map":
                schema = {"type": "object", "additionalProperties": element}
        else:
            schema = dict(_SIMPLE[type_.shape])
            if type_.enum:
                schema["enum"] = list(type_.enum)
        if default is not None:
            schema["default"] = default
        if text:
            schema["description"] = text
        return schema

    def _reference(self, target: str, text: str, default: Any) -> Object:
        ref = self.ref(target)
        beside: Object = {"description": text} if text else {}
        if self._version == 2:
            return ref | beside
        if default is not None:
            beside["default"] = default
        return {"allOf": [ref]} | beside if beside else ref


def _referred(type_: TypeRef) -> str | None:
    if type_.shape == "struct":
        return type_.name
    return type_.shape if type_.shape in _SPECIAL else None


def _target(type_: TypeRef) -> str | None:
    while type_.element is not None:
        type_ = type_.element
    return _referred(type_)
