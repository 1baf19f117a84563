"""Write `types.txt`, the facts about Kubernetes' types, from the published Go modules k8s.io/api and apimachinery.

    python -m labctl.api.data.generate [--version v0.36.3]            write types.txt
    python -m labctl.api.data.generate --descriptions OUT             write descriptions for `kubectl explain`

A field of a Go struct states everything the API server has to know: its JSON name, its Go type (which error messages
name), whether an empty value is left out, its protobuf number, its patch strategy, and in comment markers its list
type, defaults and enumerations. Sentences are not taken: only names, numbers and markers are. Descriptions are read
from PyPI's kubernetes-validate (and, where there is a Go, the meanings of enumerated values from the modules), at image
build, into a file of their own that is not part of this project.

Format of types.txt, one type per paragraph:

    core/v1.ServicePort                    a struct; `atomic` after the name when it is replaced as a whole
     port 3 int32 required                 JSON name, protobuf number, Go type, markers
     + 2 core/v1.VolumeSource              fields inlined in JSON, one message in protobuf
    core/v1.Protocol = string SCTP TCP     a named simple type with its enumeration

Markers: `omitempty`, `omitzero`, `required`, `list=map`, `keys=port,protocol`, `map=atomic`, `struct=atomic`,
`merge=port` and `strategy=merge` (strategic merge patch), `default="TCP"`.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from labctl.api import kinds, schema

OUTPUT = Path(__file__).with_name("types.txt")
DEFAULT_VERSION = "v0.36.3"

# What the API server decodes besides the kinds themselves.
_EXTRA_ROOTS = (
    "meta/v1.List",
    "meta/v1.Status",
    "meta/v1.DeleteOptions",
    "meta/v1.CreateOptions",
    "meta/v1.UpdateOptions",
    "meta/v1.PatchOptions",
    "meta/v1.PartialObjectMetadata",
    "meta/v1.PartialObjectMetadataList",
    "meta/v1.APIResourceList",
    "meta/v1.APIGroup",
    "meta/v1.APIGroupList",
    "meta/v1.APIVersions",
)
# Types with a representation of their own, in JSON as in protobuf.
_BUILT_IN = {
    "metav1.Time": "Time",
    "metav1.MicroTime": "MicroTime",
    "metav1.Duration": "Duration",
    "resource.Quantity": "Quantity",
    "intstr.IntOrString": "IntOrString",
    "runtime.RawExtension": "RawExtension",
    "FieldsV1": "FieldsV1",
}
_FOREIGN_STRINGS = {"types.UID", "types.NodeName"}
_SIMPLE = {"string", "bool", "int32", "int64", "uint8", "byte", "float64", "uint32", "int"}

_STRUCT = re.compile(r"^type (\w+) struct \{$")
_NAMED = re.compile(r"^type (\w+) ([\w.\[\]*]+)$")
_FIELD = re.compile(r'^\t(?:(\w+)\s+)?([\w.\[\]*]+)\s+`json:"([^"]*)"(.*?)`')
_CONSTANT = re.compile(r'^\s+(\w+)\s+(\w+)\s*=\s*"([^"]*)"')
_REFERENCE = re.compile(r"(?<=^default=)ref\((\w+)\)$")
_MARKER = re.compile(r"^\s*//\s?\+([\w:]+)(?:=(.*))?$")


@dataclass(slots=True)
class _Field:
    name: str  # empty when inlined
    number: int
    type: str
    markers: list[str]

    def line(self) -> str:
        return " ".join([f" {self.name or '+'}", str(self.number), self.type, *self.markers])


@dataclass(slots=True)
class _Type:
    name: str
    fields: list[_Field] = field(default_factory=list)
    base: str = ""  # of a named simple type
    enum: list[str] = field(default_factory=list)
    is_enum: bool = False
    atomic: bool = False

    def text(self) -> str:
        if self.base:
            return " ".join([self.name, "=", self.base, *(sorted(self.enum) if self.is_enum else [])])
        return "\n".join([self.name + (" atomic" if self.atomic else ""), *(f.line() for f in self.fields)])


class _Source:
    """The types of one Go package."""

    def __init__(self, package: str, text: str, imports: dict[str, str]) -> None:
        self.package = package
        self._imports = imports
        self.types: dict[str, _Type] = {}
        self.sentences: dict[str, dict[str, str]] = {}  # enumeration -> value -> what its constant's comment says
        self._read(text)

    def _read(self, text: str) -> None:
        markers: dict[str, list[str]] = {}
        comment: list[str] = []
        constants: dict[str, str] = {}
        current: _Type | None = None
        for line in text.splitlines():
            if match := _MARKER.match(line):
                markers.setdefault(match[1], []).append((match[2] or "").strip())
                continue
            if line.lstrip().startswith("//"):
                comment.append(line.lstrip()[2:].strip())
                continue
            if line == "}":
                current = None
            elif match := _STRUCT.match(line):
                current = _Type(f"{self.package}.{match[1]}", atomic="atomic" in markers.get("structType", []))
                self.types[match[1]] = current
            elif match := _NAMED.match(line):
                self.types[match[1]] = _Type(
                    f"{self.package}.{match[1]}", base=self._qualify(match[2]), is_enum="enum" in markers
                )
            elif current is not None and (found := _FIELD.match(line)):
                current.fields.append(self._field(found, markers))
            elif (constant := _CONSTANT.match(line)) and constant[2] in self.types:
                self.types[constant[2]].enum.append(constant[3])
                constants[constant[1]] = constant[3]
                sentence = " ".join(" ".join(comment).removeprefix(constant[1]).split())
                self.sentences.setdefault(f"{self.package}.{constant[2]}", {})[constant[3]] = sentence
            if line.strip():
                markers = {}
            comment = []
        for struct in self.types.values():
            for f in struct.fields:
                f.markers = [_REFERENCE.sub(lambda m: json.dumps(constants[m[1]]), marker) for marker in f.markers]

    def _field(self, match: re.Match[str], markers: dict[str, list[str]]) -> _Field:
        _, go_type, json_tag, other_tags = match.groups()
        name, *options = json_tag.split(",")
        number = re.search(r'protobuf:"\w+,(\d+),', other_tags)
        found = [o for o in options if o in ("omitempty", "omitzero")]
        if "inline" in options or not name:
            return _Field("", int(number[1]) if number else 0, self._qualify(go_type), [])
        if "required" in markers or not (found or "optional" in markers):
            found.append("required")
        for marker, ours in (("listType", "list"), ("mapType", "map"), ("structType", "struct")):
            found += [f"{ours}={v}" for v in markers.get(marker, [])]
        if keys := markers.get("listMapKey"):
            found.append(f"keys={','.join(k.strip(chr(34)) for k in keys)}")
        for tag, ours in (("patchStrategy", "strategy"), ("patchMergeKey", "merge")):
            if value := re.search(rf'{tag}:"([^"]*)"', other_tags):
                found.append(f"{ours}={value[1]}")
        if default := markers.get("default"):
            found.append(f"default={default[0]}")
        return _Field(name, int(number[1]) if number else 0, self._qualify(go_type), found)

    def _qualify(self, go_type: str) -> str:
        prefix = re.match(r"(?:\*|\[\]|map\[[\w.]+\])*", go_type)
        assert prefix is not None  # every part is optional
        lead, name = go_type[: prefix.end()], go_type[prefix.end() :]
        lead = re.sub(r"map\[[\w.]+\]", "map[string]", lead)
        return lead + self._qualify_name(name)

    def _qualify_name(self, name: str) -> str:
        if name in _SIMPLE:
            return {"uint8": "byte"}.get(name, name)
        if self.package == "meta/v1" and name in ("Time", "MicroTime", "Duration"):
            return name
        if name in _BUILT_IN:
            return _BUILT_IN[name]
        alias, dot, bare = name.partition(".")
        if not dot:
            return f"{self.package}.{name}"
        return f"types.{bare}" if name in _FOREIGN_STRINGS else f"{self._imports[alias]}.{bare}"


_IMPORT = re.compile(r'^\s+(?:(\w+) )?"k8s\.io/(?:api|apimachinery/pkg/apis)/([\w/]+)"$', re.MULTILINE)


def _imports(text: str) -> dict[str, str]:
    return {alias or path.rpartition("/")[2]: path for alias, path in _IMPORT.findall(text)}


def _read_package(folder: Path, package: str) -> _Source:
    text = (folder / "types.go").read_text()
    return _Source(package, text, _imports(text))


def module_folder(module: str, version: str) -> Path:
    """Folder of a Go module in the module cache, downloaded when it is not there."""
    done = subprocess.run(
        ["go", "mod", "download", "-json", f"{module}@{version}"], capture_output=True, text=True, check=True
    )
    return Path(json.loads(done.stdout)["Dir"])


def root_types() -> list[str]:
    """The types the closure starts from: every kind with its list, and the options of requests."""
    roots = []
    for kind in kinds.KINDS + kinds.BODIES:
        package = f"{kind.group.partition('.')[0] or 'core'}/{kind.version}"
        roots.append(f"{package}.{kind.kind}")
        if kind.is_stored and kind.resource:
            roots.append(f"{package}.{kind.kind}List")
    return [*roots, *_EXTRA_ROOTS]


def closure(packages: dict[str, _Source]) -> list[_Type]:
    """All types that the roots reach, by name."""
    found: dict[str, _Type] = {}
    waiting = root_types()
    while waiting:
        name = waiting.pop()
        package, _, bare = name.rpartition(".")
        if name in found or package not in packages:
            continue
        found[name] = packages[package].types[bare]
        waiting += _references(found[name])
    return [found[name] for name in sorted(found)]


def _references(kind: _Type) -> Iterator[str]:
    for go_type in [f.type for f in kind.fields] + ([kind.base] if kind.base else []):
        yield re.sub(r"^(\*|\[\]|map\[string\])*", "", go_type)


def _read_packages(version: str) -> dict[str, _Source]:
    api = module_folder("k8s.io/api", version)
    machinery = module_folder("k8s.io/apimachinery", version)
    packages = {"meta/v1": _read_package(machinery / "pkg/apis/meta/v1", "meta/v1")}
    for package in sorted({root.rpartition(".")[0] for root in root_types()} - {"meta/v1"}):
        packages[package] = _read_package(api / package, package)
    return packages


def render(version: str) -> str:
    """The text of types.txt for a version of the modules."""
    packages = _read_packages(version)
    types = "\n".join(t.text() for t in closure(packages))
    return f"# k8s.io/api {version}: written by generate.py, do not edit.\n{types}\n"


def descriptions(definitions: dict[str, object]) -> dict[str, tuple[str, dict[str, str]]]:
    """The sentences of OpenAPI definitions of the types we serve: type -> [its own, {field: sentence}]."""
    served = {schema.openapi_name(name) for name in (*schema.names(), *_BUILT_IN.values())}
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for name, definition in definitions.items():
        if name not in served or not isinstance(definition, dict):
            continue
        properties = definition.get("properties") or {}
        texts = {key: value["description"] for key, value in properties.items() if "description" in value}
        found[name] = (definition.get("description", ""), texts)
    return found


Sentences = dict[str, dict[str, str]]
"""Enumeration -> value -> what it means."""


def add_enumerations(found: dict[str, tuple[str, dict[str, str]]], sentences: Sentences) -> None:
    """Append the paragraph about the values to the descriptions of fields with an enumeration, as kube-openapi does."""
    for name in schema.names():
        try:
            fields = schema.struct(name).fields
        except schema.UnknownType:
            continue
        texts = found.get(schema.openapi_name(name), ("", {}))[1]
        for known in fields.values():
            values = sentences.get(known.type.name)
            if known.type.enum and values and known.name in texts:
                lines = sorted(f' - `"{value}"` {sentence}' for value, sentence in values.items())
                texts[known.name] += "\n\nPossible enum values:\n" + "\n".join(lines)


def _write_descriptions(output: Path, version: str) -> None:
    from importlib.util import find_spec  # only the image build needs it

    spec = find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("kubernetes-validate is not installed: pip install 'kubernetes-validate==1.36.*' and run again")
    folder = Path(spec.submodule_search_locations[0]) / "kubernetes-json-schema"
    newest = sorted(folder.glob(f"v1.{DEFAULT_VERSION.split('.')[1]}.*-local"))[-1]
    definitions = json.loads((newest / "_definitions.json").read_text())["$defs"]
    found = descriptions(definitions)
    if shutil.which("go"):  # the values' meanings are in the Go sources only; without Go explain just lists them
        sources = _read_packages(version).values()
        add_enumerations(found, {name: values for source in sources for name, values in source.sentences.items()})
    output.write_text(json.dumps(found, separators=(",", ":"), sort_keys=True))


def main() -> None:
    """Command line of the generator."""
    parser = argparse.ArgumentParser(description="Write the facts about Kubernetes' types.")
    parser.add_argument("--version", default=DEFAULT_VERSION, help="version of k8s.io/api and apimachinery")
    parser.add_argument("--descriptions", type=Path, help="write the descriptions for kubectl explain here instead")
    arguments = parser.parse_args()
    if arguments.descriptions:
        _write_descriptions(arguments.descriptions, arguments.version)
    else:
        OUTPUT.write_text(render(arguments.version))


if __name__ == "__main__":
    main()
