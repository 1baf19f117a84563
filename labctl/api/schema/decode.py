"""JSON data -> an object exactly as Kubernetes' Go structs would hold it and write it back.

This follows sigs.k8s.io/json: fields are visited in the order of the document; the first wrong type is reported
after the whole document was read; values that parse themselves (quantities, times) fail at once; unknown and
repeated fields are collected as strict errors. Writing back follows encoding/json: empty `omitempty` fields
disappear, required ones appear with their zero value, structs always appear.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import Any

from labctl.api import quantities, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.schema import gotime
from labctl.api.schema.body import Number, Repeated, json_kind, plain
from labctl.api.schema.types import Field, StructSchema, TypeRef, lookup, struct

_MAX_STRICT_ERRORS = 100


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded object, and what strict field validation would complain about, in Kubernetes' order and words."""

    object: Object
    strict_errors: list[str] = field(default_factory=list)


def decode(kind: Kind, data: Object) -> Decoded:
    """Decode an object of a kind; `data` is not changed and the result is plain JSON data of its own.

    apiVersion and kind are those of `kind`: check them before (`kind_error`). Raises ApiError 400 for a wrong type.
    """
    decoded = _decode(lookup(kind), data, kind.kind, kind.version)
    identity = {"kind": kind.kind, "apiVersion": kind.api_version}
    return Decoded(identity | decoded.object | identity, decoded.strict_errors)


def decode_type(name: str, data: Object) -> Decoded:
    """Decode a type that is no kind, by the name its facts have: `meta/v1.DeleteOptions`. Raises ApiError 400."""
    schema = struct(name)
    return _decode(schema, data, schema.go_name, name.partition("/")[2].partition(".")[0])


def _decode(schema: StructSchema, data: Object, kind: str, version: str) -> Decoded:
    decoder = _Decoder()
    try:
        obj = decoder.struct(schema, data)
        decoder.finish()
    except DecodeError as error:
        raise status.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {error}') from None
    return Decoded(obj, decoder.strict_errors)


def strict_error(kind: Kind, errors: list[str]) -> status.ApiError:
    """What fieldValidation=Strict answers to strict errors."""
    return status.bad_request(
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
        f"strict decoding error: {', '.join(errors)}"
    )


class DecodeError(Exception):
    """The data cannot be decoded; the message is the Go decoder's."""


def read_alone(type_: TypeRef, value: Any) -> Any:
    """Decode a value that stands for itself, outside of any struct. Raises DecodeError."""
    decoder = _Decoder()
    found = decoder.value(type_, value)
    decoder.finish()
    return found


def quote(text: str) -> str:
    """A string as Go's %q writes it."""
    return json.dumps(text, ensure_ascii=False)


class _Decoder:
    """One decoding: where it stands, in the words of both kinds of messages, and what it has found wrong."""

    def __init__(self) -> None:
        self.strict_errors: list[str] = []
        self._error: str | None = None
        self._struct = ""
        self._go_path: list[str] = []
        self._path: list[str] = []

    def finish(self) -> None:
        """Raise the first type error."""
        if self._error is not None:
            raise DecodeError(self._error)

    def struct(self, schema: StructSchema, data: Any) -> Object:
        """Decode a JSON object into a struct."""
        found: Object = {}
        seen: set[str] = set()
        outer = self._struct
        for key, value in data.pairs if isinstance(data, Repeated) else data.items():
            known = schema.fields.get(key)
            if known is None:
                self._strict("unknown", key)
                continue
            if key in seen:
                self._strict("duplicate", key)
            seen.add(key)
            depth = len(self._go_path)
            self._struct = schema.go_name
            self._go_path += [*(i.go_name for i in known.inlined), key]
            self._path.append(f".{key}")
            found[key] = self.value(known.type, value)
            self._path.pop()
            del self._go_path[depth:]
            self._struct = outer
        return _written(schema, found)

    def value(self, type_: TypeRef, value: Any) -> Any:
        """Decode any value; None stands for Go's nil, which only pointers, lists and maps keep."""
        if value is None:
            return None if type_.pointer or type_.shape in ("list", "map", "bytes") else zero(type_)
        match type_.shape:
            case "struct":
                if not isinstance(value, dict):
                    return self._wrong_type(type_, value)
                return self.struct(type_.struct(), value)
            case "list":
                return self._list(type_, value)
            case "map":
                return self._map(type_, value)
            case "string":
                return value if isinstance(value, str) else self._wrong_type(type_, value)
            case "bool":
                return value if isinstance(value, bool) else self._wrong_type(type_, value)
            case "int32" | "int64" | "float64":
                return self._number(type_, value)
            case "bytes":
                return self._bytes(type_, value)
            case "RawExtension" | "FieldsV1":
                return plain(value)
        return self._special(type_, value)

    def _list(self, type_: TypeRef, value: Any) -> Any:
        if not isinstance(value, list):
            return self._wrong_type(type_, value)
        assert type_.element is not None  # lists have elements
        found = []
        for index, item in enumerate(value):
            self._path.append(f"[{index}]")
            found.append(self.value(type_.element, item))
            self._path.pop()
        return found

    def _map(self, type_: TypeRef, value: Any) -> Any:
        if not isinstance(value, dict):
            return self._wrong_type(type_, value)
        assert type_.element is not None  # maps have values
        found: Object = {}
        for key, item in value.pairs if isinstance(value, Repeated) else value.items():
            if key in found:
                self._strict("duplicate", key)
            self._path.append(f".{key}")
            found[key] = self.value(type_.element, item)
            self._path.pop()
        return found

    def _number(self, type_: TypeRef, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return self._wrong_type(type_, value)
        if type_.shape == "float64":
            return float(value)
        bound = 2**31 if type_.shape == "int32" else 2**63
        if isinstance(value, float) or not -bound <= value < bound:
            return self._wrong_type(type_, value, f"number {_number_text(value)}")
        return value

    def _bytes(self, type_: TypeRef, value: Any) -> Any:
        if isinstance(value, list):
            octets = [self._octet(item) for item in value]
            return base64.b64encode(bytes(octets)).decode() if self._error is None else None
        if not isinstance(value, str):
            return self._wrong_type(type_, value)
        text = value.replace("\r", "").replace("\n", "")
        position = _base64_error(text)
        if position is None:
            return base64.b64encode(base64.b64decode(text)).decode()
        self._error = self._error or f"illegal base64 data at input byte {position}"
        return None

    def _octet(self, value: Any) -> int:
        type_ = TypeRef("int32", "uint8")
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self._wrong_type(type_, value)
        elif isinstance(value, float) or not 0 <= value < 256:
            self._wrong_type(type_, value, f"number {_number_text(value)}")
        else:
            return value
        return 0

    def _special(self, type_: TypeRef, value: Any) -> Any:
        """Types that read themselves: their errors end the decoding."""
        if type_.shape == "IntOrString":
            if isinstance(value, str):
                return value
            return self._own_type(TypeRef("int32", "int32"), value)
        if type_.shape == "Quantity":
            text = value if isinstance(value, str) else _number_text(value)
            try:
                return quantities.canonical(text.strip())
            except quantities.QuantityError as error:
                raise DecodeError(str(error)) from None
        if not isinstance(value, str):
            return self._own_type(TypeRef("string", "string"), value)
        try:
            return gotime.parse_time(value) if type_.shape == "Time" else gotime.parse_micro_time(value)
        except ValueError as error:
            raise DecodeError(str(error)) from None

    def _own_type(self, type_: TypeRef, value: Any) -> Any:
        before, self._error = self._error, None
        found = self.value(type_, value)
        self.finish()
        self._error = before
        return found

    def _wrong_type(self, type_: TypeRef, value: Any, what: str = "") -> None:
        if self._error is None:
            place = f"Go struct field {self._struct}.{'.'.join(self._go_path)}" if self._struct else "Go value"
            self._error = f"json: cannot unmarshal {what or json_kind(value)} into {place} of type {type_.go}"

    def _strict(self, what: str, key: str) -> None:
        path = "".join([*self._path, f".{key}"]).removeprefix(".")
        error = f"{what} field {quote(path)}"
        if error not in self.strict_errors and len(self.strict_errors) < _MAX_STRICT_ERRORS:
            self.strict_errors.append(error)


def _number_text(value: Any) -> str:
    return value.text if isinstance(value, Number) else json.dumps(plain(value))


def _base64_error(text: str) -> int | None:
    """Where Go's decoder would stop, or None."""
    match = re.match(r"[A-Za-z0-9+/]*", text)
    assert match is not None  # the pattern matches the empty string
    end = match.end()
    if len(text) - end <= 2 and set(text[end:]) <= {"="} and len(text) % 4 == 0:
        try:
            base64.b64decode(text, validate=True)
        except binascii.Error:
            return end
        return None
    return end if end < len(text) else len(text) - len(text) % 4


def zero(type_: TypeRef) -> Any:
    """The zero value as JSON: what a required field that nobody set looks like."""
    if type_.pointer:
        return None
    match type_.shape:
        case "struct":
            return _written(type_.struct(), {})
        case "string":
            return ""
        case "bool":
            return False
        case "int32" | "int64" | "float64" | "IntOrString":
            return 0
        case "Quantity":
            return "0"
    return None


_ALWAYS_WRITTEN = frozenset({"struct", "IntOrString", "Quantity", "Time", "MicroTime", "RawExtension", "FieldsV1"})


def _written(schema: StructSchema, found: Object) -> Object:
    """The fields in Go's order, empty ones left out or filled in as encoding/json does."""
    obj: Object = {}
    for name, known in schema.fields.items():
        value = found.get(name)
        if value is None and not known.type.pointer:
            value = zero(known.type)
        if not _is_omitted(known, value):
            obj[name] = value
    return obj


def _is_omitted(known: Field, value: Any) -> bool:
    if known.omit_zero and value is None:
        return True
    if not known.omit_empty:
        return False
    if known.type.pointer:
        return value is None
    # Go never takes a struct for empty; quantities and times are structs there.
    return known.type.shape not in _ALWAYS_WRITTEN and not value


def kind_error(kind: Kind, data: Object) -> status.ApiError | None:
    """What is wrong with the apiVersion and kind in a body for `kind`; absent ones are taken from the URL."""
    api_version, name = data.get("apiVersion") or kind.api_version, data.get("kind") or kind.kind
    if not isinstance(api_version, str) or not isinstance(name, str):
        return status.bad_request(
            f"couldn't get version/kind; json parse error: json: cannot unmarshal "
            f"{json_kind(data.get('kind') if isinstance(api_version, str) else api_version)} into Go struct field "
            f".{'kind' if isinstance(api_version, str) else 'apiVersion'} of type string"
        )
    if (api_version, name) == (kind.api_version, kind.kind):
        return None
    from labctl.api import kinds  # only on this path

    version = api_version.rpartition("/")[2]
    prefix = f'{name} in version "{version}" cannot be handled as a {kind.kind}: '
    found = kinds.of({"apiVersion": api_version, "kind": name})
    if found is None:
        return status.bad_request(
            f'{prefix}no kind "{name}" is registered for version "{api_version}" in scheme '
            '"pkg/api/legacyscheme/scheme.go:30"'
        )
    if name == kind.kind and found.group == kind.group:
        return status.bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version ({kind.api_version})"
        )
    group = kind.group.partition(".")[0] or "core"
    return status.bad_request(f"{prefix}converting ({version}.{name}) to ({group}.{kind.kind}): unknown conversion")
