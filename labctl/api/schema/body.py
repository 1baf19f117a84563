"""Request bodies: JSON and YAML text -> data, with limits, and with fields that occur twice remembered.

Objects in which a field occurs more than once come out as `Repeated`, a dict (the last value wins) that still
knows all its pairs, so that decoding can report duplicates in the order of the document.
"""

from __future__ import annotations

import json
import re
from typing import Any

from labctl.api import status
from labctl.api.objects import Object

MAX_BODY_BYTES = 3 * 1024 * 1024
MAX_DEPTH = 100  # deeper than any Kubernetes type; what is stored must also fit recursive readers

JSON = "application/json"
YAML = "application/yaml"
_YAML_TYPES = (YAML, "application/apply-patch+yaml", "text/yaml", "application/x-yaml")


class Repeated(dict[str, Any]):
    """An object in which a field occurs more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


class Number(float):
    """A number with a fraction or exponent that remembers its text, which error messages show."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class BodyError(ValueError):
    """The text is not JSON or YAML; the message is that of Kubernetes' decoder."""


def parse_body(body: bytes, content_type: str = JSON, *, kind: str = "") -> tuple[Object, list[str]]:
    """Read a request body, and the paths of fields that occur twice in it.

    Raises ApiError 413 for a body over MAX_BODY_BYTES, 400 for one that cannot be read or nests too deeply; with the
    Kind that is expected, in the words the API server answers a create or update with.
    """
    try:
        value = _parse(body, content_type)
        if value is None and not body.strip():
            raise BodyError("unexpected end of JSON input")
        if value is None:
            return {}, []
        if not isinstance(value, dict):
            raise BodyError(f"json: cannot unmarshal {json_kind(value)} into Go value of type {_META_STRUCT}")
    except BodyError as error:
        message = str(error)
        if kind:
            message = f"couldn't get version/kind; json parse error: {message} ({_summary(body)})"
            message = f"the object provided is unrecognized (must be of type {kind}): {message}"
        raise status.bad_request(message) from None
    return value, duplicate_paths(value)


_META_STRUCT = r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'
_SUMMARY_BYTES = 30


def _summary(body: bytes) -> str:
    """The start of a body as the error shows it: JSON as it is, anything else in hexadecimal."""
    if not body:
        return "<empty>"
    more = " ..." if len(body) > _SUMMARY_BYTES else ""
    start = body[:_SUMMARY_BYTES]
    if body[:1] == b"{":
        return start.decode(errors="replace") + more
    return start.hex() + more


def parse_value(body: bytes, content_type: str = JSON) -> Any:
    """Read any JSON or YAML value; a JSON patch is a list. Raises ApiError as `parse_body` does."""
    try:
        return _parse(body, content_type)
    except BodyError as error:
        raise status.bad_request(str(error)) from None


def _parse(body: bytes, content_type: str) -> Any:
    if len(body) > MAX_BODY_BYTES:
        message = f"Request entity too large: limit is {MAX_BODY_BYTES}"
        raise status.ApiError(413, "RequestEntityTooLarge", message)
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        value = _load_yaml(body) if media_type in _YAML_TYPES else _load_json(body)
        if body.count(b"{") + body.count(b"[") > MAX_DEPTH or media_type in _YAML_TYPES:
            _check_depth(value)
    except RecursionError:
        raise BodyError("exceeded max depth") from None
    return value


def repeated_keys(body: bytes) -> str:
    """What a strict YAML reader says about a document in which keys occur twice."""
    from labctl.api.schema import yamls  # on this path only

    lines = [f'  line {line}: key "{key}" already set in map' for line, key in yamls.repeated_keys(body)]
    return "\n".join(["error converting YAML to JSON: yaml: unmarshal errors:", *lines])


def duplicate_paths(value: Any, path: str = "") -> list[str]:
    """Paths of the fields that occur twice, in the order of the document."""
    found: list[str] = []
    if isinstance(value, dict):
        seen: set[str] = set()
        for key, item in value.pairs if isinstance(value, Repeated) else value.items():
            here = f"{path}.{key}" if path else key
            if key in seen and here not in found:
                found.append(here)
            seen.add(key)
            if isinstance(item, (dict, list)):
                found += duplicate_paths(item, here)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, (dict, list)):
                found += duplicate_paths(item, f"{path}[{index}]")
    return found


def json_kind(value: Any) -> str:
    """What Go's decoder calls a JSON value: object, array, string, number, bool."""
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    if isinstance(value, str):
        return "string"
    return "bool" if isinstance(value, bool) else "null" if value is None else "number"


def last_of_repeats(value: Any) -> Any:
    """The same data with the last of what occurs twice. Numbers keep their text: nothing has looked at their size yet."""
    if isinstance(value, dict):
        return {key: last_of_repeats(item) for key, item in value.items()}
    return [last_of_repeats(item) for item in value] if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """The same data in JSON's own types only: no `Repeated`, no `Number`."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return float(value) if isinstance(value, Number) else value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise BodyError("exceeded max depth")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeated(pairs)


def _no_constant(name: str) -> Any:
    raise BodyError(f"invalid character '{name[0]}' looking for beginning of value")


# Integers beyond 64 bits fit no field; as Number they keep their text for the error message, and where any value will
# do they become floats, as in Kubernetes (k8s.io/apimachinery/pkg/util/json).
def _integer(text: str) -> int | Number:
    if len(text) <= 20 and -(1 << 63) <= (number := int(text)) < 1 << 63:
        return number
    return Number(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=Number, parse_int=_integer, parse_constant=_no_constant
)


def _load_json(body: bytes) -> Any:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode(errors="replace")  # as Go does
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BodyError(_go_message(error)) from None


# Python's words -> what Go's scanner says it was doing.
_GO_PHASES = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
    "Expecting ':' delimiter": "after object key",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
    "Invalid \\uXXXX escape": "in \\u hexadecimal character escape",
}


def _go_message(error: json.JSONDecodeError) -> str:
    message = error.msg.rstrip(": ")
    position = error.pos
    if message.startswith("Unterminated string"):
        return "unexpected end of JSON input"
    if message == "Expecting ',' delimiter":
        phase = "after array element" if _innermost(error.doc[:position]) == "[" else "after object key:value pair"
    else:
        phase = _GO_PHASES.get(message, "looking for beginning of value")
    if message == "Invalid \\escape":
        position += 1
    if message.startswith("Illegal trailing comma"):  # Python 3.13 points at the comma, Go at what follows
        position += 1
        position += len(error.doc[position:]) - len(error.doc[position:].lstrip())
    if position >= len(error.doc) or not error.doc[position:].strip():
        return "unexpected end of JSON input"
    letter = error.doc[position]
    shown = {"'": r"'\''", '"': "'\"'"}.get(letter) or (f"'{letter}'" if letter.isprintable() else repr(letter))
    return f"invalid character {shown} {phase}"


def _innermost(text: str) -> str:
    """The bracket that is open at the end of JSON text."""
    brackets: list[str] = []
    for bracket in re.findall(r'"(?:\\.|[^"\\])*"|[\[\]{}]', text):
        if bracket in "[{":
            brackets.append(bracket)
        elif bracket in "]}" and brackets:
            brackets.pop()
    return brackets[-1] if brackets else ""


def _load_yaml(body: bytes) -> Any:
    from labctl.api.schema import yamls  # PyYAML costs memory that JSON clients need not pay

    return yamls.load(body)
