"""Text -> documents -> objects, in the way of kubectl: YAML documents or a stream of JSON values, Lists expanded.

YAML is read by the rules that the API server has for YAML bodies (`labctl.api.schema.yamls`), document by document,
so that one with an error does not hide what stands before it. Line numbers count from the start of the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labctl.api.objects import Object, split_api_version
from labctl.errors import LabctlError


class ManifestError(LabctlError):
    """A manifest that cannot be read: the source, the line, the cause."""


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a manifest. `source` is what error messages call it: a path, a URL or STDIN; `line` counts from 1."""

    source: str
    line: int
    object: Object

    @property
    def where(self) -> str:
        """`lab.yaml:12`."""
        return f"{self.source}:{self.line}"


def parse(text: str, source: str) -> Iterator[Document]:
    """The objects of a manifest, in order. Raises ManifestError."""
    text = text.removeprefix("\ufeff")
    values = list(_json_stream(text)) if text.lstrip()[:1] == "{" else None
    for line, value in values or _yaml_documents(text, source):
        if value is None:
            continue
        if not isinstance(value, dict):
            raise ManifestError(f"error parsing {source}: line {line}: a Kubernetes object is expected here")
        yield from _expanded(Document(source, line, value))


def _json_stream(text: str) -> Iterator[tuple[int, Any]]:
    """JSON values one after the other; nothing when the text is no JSON (`{a: b}` is YAML)."""
    decoder, position = json.JSONDecoder(), 0
    found: list[tuple[int, Any]] = []
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        try:
            value, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError:
            return
        found.append((text.count("\n", 0, position) + 1, value))
        position = end
    yield from found


def _yaml_documents(text: str, source: str) -> Iterator[tuple[int, Any]]:
    from labctl.manifests import yamls  # PyYAML is not needed for JSON

    for line, chunk in _chunks(text):
        try:
            value = yamls.load(chunk, first_line=line)
        except yamls.YamlError as error:
            raise ManifestError(f"error parsing {source}: error converting YAML to JSON: yaml: {error}") from None
        yield line + _leading(chunk), value


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """Documents of a YAML stream with the line each begins on: a line `---`, or `--- # comment`, parts them."""
    start = 1
    lines: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("---") and line[3:].strip()[:1] in ("", "#"):
            yield start, "\n".join(lines)
            start, lines = number + 1, []
        else:
            lines.append(line)
    yield start, "\n".join(lines)


def _leading(chunk: str) -> int:
    """How many lines of a document are blank or comments before its first field."""
    for index, line in enumerate(chunk.split("\n")):
        if line.strip() and not line.lstrip().startswith("#"):
            return index
    return 0


def _expanded(document: Document) -> Iterator[Document]:
    """A List as its items; the items of a typed list (`ServiceList`) need not repeat their kind."""
    kind, items = document.object.get("kind"), document.object.get("items")
    if not (isinstance(kind, str) and kind.endswith("List") and isinstance(items, list)):
        yield document
        return
    given: Object = {}
    if kind != "List" and split_api_version(str(document.object.get("apiVersion", "")))[1]:
        given = {"apiVersion": document.object["apiVersion"], "kind": kind.removesuffix("List")}
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise ManifestError(f"error parsing {document.source}: items[{index}] is no object")
        yield from _expanded(Document(document.source, document.line, given | item))
