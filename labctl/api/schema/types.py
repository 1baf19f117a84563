"""The facts of `data/types.txt` as values: what every field of every Kubernetes type is.

The file is kept as text, and a type is parsed when it is first asked for: all of them parsed would cost the
control plane several megabytes, while a lab uses a few dozen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import orjson

from labctl.api.kinds import Kind

# A path, not importlib.resources: that would import zipfile and tempfile into every process.
_FACTS = Path(__file__).parent.parent / "data" / "types.txt"

Shape = Literal[
    "string",
    "bool",
    "int32",
    "int64",
    "float64",
    "bytes",
    "struct",
    "list",
    "map",
    "Time",
    "MicroTime",
    "Quantity",
    "IntOrString",
    "RawExtension",
    "FieldsV1",
]

# Go's names of the types with a form of their own.
_GO_NAMES = {
    "Time": "v1.Time",
    "MicroTime": "v1.MicroTime",
    "Quantity": "resource.Quantity",
    "IntOrString": "intstr.IntOrString",
    "RawExtension": "runtime.RawExtension",
    "FieldsV1": "v1.FieldsV1",
}
_PLAIN: dict[str, Shape] = {
    "string": "string",
    "bool": "bool",
    "int32": "int32",
    "int64": "int64",
    "int": "int64",
    "uint32": "int64",
    "float64": "float64",
    "types.UID": "string",
    "types.NodeName": "string",
    "Time": "Time",
    "MicroTime": "MicroTime",
    "Quantity": "Quantity",
    "IntOrString": "IntOrString",
    "RawExtension": "RawExtension",
    "FieldsV1": "FieldsV1",
}


@dataclass(frozen=True, slots=True)
class TypeRef:
    """The type of a field, a list element or a map value.

    `name` is the struct's or named type's name (`core/v1.ServicePort`), `go` the Go type without pointer that error
    messages name (`[]v1.ServicePort`), `element` what a list or map holds, `enum` the values of an enumeration.
    """

    shape: Shape
    go: str
    name: str = ""
    pointer: bool = False
    element: TypeRef | None = None
    enum: tuple[str, ...] = ()

    def struct(self) -> StructSchema:
        """The struct that `name` names. Only for shape struct."""
        return struct(self.name)


@dataclass(frozen=True, slots=True)
class Field:
    """One field as JSON has it.

    `number` is the protobuf number; `inlined` lists the structs between the JSON object and the Go field (inlined in
    JSON, messages of their own in protobuf). `list_type` is atomic, set or map (with `list_map_keys`) or empty, the
    same for `map_type` and `struct_type`: they drive server-side apply. `patch_merge_key` and `patch_strategy`
    (`merge`, `replace`, `retainKeys`) drive strategic merge.
    """

    name: str
    number: int
    type: TypeRef
    omit_empty: bool = False
    omit_zero: bool = False
    required: bool = False
    list_type: str = ""
    list_map_keys: tuple[str, ...] = ()
    map_type: str = ""
    struct_type: str = ""
    patch_strategy: tuple[str, ...] = ()
    patch_merge_key: str = ""
    default: Any = None
    inlined: tuple[Inlined, ...] = ()


@dataclass(frozen=True, slots=True)
class Inlined:
    """A struct whose fields appear in its parent's JSON object; `number` is 0 when protobuf leaves it out."""

    number: int
    type: str

    @property
    def go_name(self) -> str:
        """The Go field's name, which is its type's."""
        return self.type.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class StructSchema:
    """One struct: `fields` are in Go's order, inlined ones in their place. `atomic` ones are applied as a whole."""

    name: str
    fields: dict[str, Field]
    atomic: bool = False

    @property
    def go_name(self) -> str:
        """`ServicePort`."""
        return self.name.rpartition(".")[2]

    def field(self, name: str) -> Field | None:
        """The field of that JSON name."""
        return self.fields.get(name)


class UnknownType(LookupError):
    """There are no facts about a type."""


@cache
def _paragraphs() -> dict[str, str]:
    """Name of each type -> its lines."""
    text = _FACTS.read_text()
    found: dict[str, str] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(" "):
            lines.append(line)
        elif not line.startswith("#"):
            if lines:
                found[lines[0].partition(" ")[0]] = "\n".join(lines)
            lines = [line]
    found[lines[0].partition(" ")[0]] = "\n".join(lines)
    return found


def names() -> list[str]:
    """All types there are facts about, sorted."""
    return sorted(_paragraphs())


def _paragraph(name: str) -> list[str]:
    try:
        return _paragraphs()[name].split("\n")
    except KeyError:
        raise UnknownType(name) from None


@cache
def struct(name: str) -> StructSchema:
    """The struct of that name (`core/v1.ServicePort`). Raises UnknownType."""
    header, *lines = _paragraph(name)
    if " = " in header:
        raise UnknownType(name)  # a named simple type
    fields: dict[str, Field] = {}
    for line in lines:
        json_name, number, go_type, *markers = line[1:].split(" ")
        if json_name != "+":
            fields[json_name] = _field(json_name, int(number), go_type, markers)
            continue
        outer = Inlined(int(number), go_type.removeprefix("*"))
        for inner in struct(outer.type).fields.values():
            fields[inner.name] = _inline(inner, outer)
    return StructSchema(name, fields, header.endswith(" atomic"))


def _inline(inner: Field, outer: Inlined) -> Field:
    from dataclasses import replace  # seldom needed and slow to import

    return replace(inner, inlined=(outer, *inner.inlined))


def _field(name: str, number: int, go_type: str, markers: list[str]) -> Field:
    values = dict(m.partition("=")[::2] for m in markers)
    return Field(
        name,
        number,
        type_ref(go_type),
        omit_empty="omitempty" in values,
        omit_zero="omitzero" in values,
        required="required" in values,
        list_type=values.get("list", ""),
        list_map_keys=tuple(filter(None, values.get("keys", "").split(","))),
        map_type=values.get("map", ""),
        struct_type=values.get("struct", ""),
        patch_strategy=tuple(filter(None, values.get("strategy", "").split(","))),
        patch_merge_key=values.get("merge", ""),
        default=orjson.loads(values["default"]) if "default" in values else None,
    )


@cache
def type_ref(text: str) -> TypeRef:
    """Read a type as the facts write it: `*string`, `[]core/v1.ServicePort`, `map[string]Quantity`."""
    if text.startswith("*"):
        target = type_ref(text[1:])
        return TypeRef(target.shape, target.go, target.name, True, target.element, target.enum)
    if text == "[]byte":
        return TypeRef("bytes", "[]uint8")
    for prefix, shape in (("[]", "list"), ("map[string]", "map")):
        if text.startswith(prefix):
            element = type_ref(text[len(prefix) :])
            pointer = "*" if element.pointer else ""
            return TypeRef("list" if shape == "list" else "map", f"{prefix}{pointer}{element.go}", element=element)
    if text in _PLAIN:
        return TypeRef(_PLAIN[text], _GO_NAMES.get(text, text))
    go = text.rpartition("/")[2]
    header = _paragraph(text)[0]
    if " = " not in header:
        return TypeRef("struct", go, text)
    base, *enum = header.partition(" = ")[2].split(" ")
    target = type_ref(base)
    return TypeRef(target.shape, go, text, False, target.element, tuple(enum))


def type_name(kind: Kind) -> str:
    """The name of a kind's type: `core/v1.Service`."""
    return f"{kind.group.partition('.')[0] or 'core'}/{kind.version}.{kind.kind}"


def lookup(kind: Kind) -> StructSchema:
    """The schema of a kind."""
    return struct(type_name(kind))


def openapi_name(name: str) -> str:
    """The name of a type in OpenAPI documents: `io.k8s.api.core.v1.ServicePort`."""
    if name in _PLAIN:
        package = {
            "Quantity": "api.resource",
            "IntOrString": "util.intstr",
            "RawExtension": "runtime",
        }.get(name, "apis.meta.v1")
        return f"io.k8s.apimachinery.pkg.{package}.{name}"
    path, _, bare = name.rpartition(".")
    dotted = path.replace("/", ".")
    if path == "meta/v1":
        return f"io.k8s.apimachinery.pkg.apis.{dotted}.{bare}"
    return f"io.k8s.api.{dotted}.{bare}"
