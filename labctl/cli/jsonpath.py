"""kubectl's JSONPath templates: `{range .items[*]}{.metadata.name}{"\\n"}{end}`.

    jsonpath.parse("{.items[*].metadata.name}").render(data)

A template is text with actions in braces. An action walks from the data through fields, wildcards, recursive descent,
array indexes and slices, unions and filters; quoted text and numbers stand for themselves; `range` and `end` repeat
what lies between them. This is no dialect that a JSONPath library on PyPI reads (they follow RFC 9535 or Goessner's
article, without templates, and with other filters), hence an implementation of our own. Behaviour and error words are
those of k8s.io/client-go/util/jsonpath.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.errors import LabctlError


class JsonPathError(LabctlError):
    """A template that cannot be parsed, or data that does not fit it."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Quoted text, a number or a boolean."""

    value: str | float | bool


@dataclass(frozen=True, slots=True)
class Field:
    """`.name` or `['name']`."""

    name: str


@dataclass(frozen=True, slots=True)
class Keyword:
    """`range` or `end`."""

    name: str


@dataclass(frozen=True, slots=True)
class Wildcard:
    """`.*`."""


@dataclass(frozen=True, slots=True)
class Recursive:
    """`..`."""


@dataclass(frozen=True, slots=True)
class Slice:
    """`[start:end:step]`; an index is a slice of one."""

    start: int | None
    end: int | None
    step: int | None
    is_index: bool


@dataclass(frozen=True, slots=True)
class Union:
    """`[0,2]` or `['a','b']`."""

    parts: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """`[?(@.left == right)]`; without an operator the left side has to be there."""

    left: Path
    operator: str
    right: Path


Node = Literal | Field | Keyword | Wildcard | Recursive | Slice | Union | Filter
Path = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: text and actions in order."""

    parts: tuple[str | Path, ...]

    def results(self, data: Any, *, allow_missing: bool = True) -> list[list[Any]]:
        """What each text and action yields, in order. Raises JsonPathError."""
        found, _ = _Evaluation(self.parts, allow_missing).block(0, data, depth=0)
        return found

    def render(self, data: Any, *, allow_missing: bool = True) -> str:
        """The text that `-o jsonpath=` prints. Raises JsonPathError."""
        return "".join(" ".join(map(to_text, r)) for r in self.results(data, allow_missing=allow_missing))

    def render_json(self, data: Any) -> str:
        """The text that `-o jsonpath-as-json=` prints."""
        return "".join(f"{go_json(r, indent=4)}\n" for r in self.results(data))


def parse(text: str) -> Template:
    """Read a template. Raises JsonPathError."""
    parts: list[str | Path] = []
    position = 0
    while position < len(text):
        opening = text.find("{", position)
        if opening < 0:
            parts.append(text[position:])
            break
        if opening > position:
            parts.append(text[position:opening])
        action = _Action(text, opening + 1)
        parts.append(action.parse())
        position = action.position
    return Template(tuple(parts))


_RELAXED = re.compile(r"\{\.?([^{}]+)\}|\.?([^{}]+)")


def relaxed(text: str) -> str:
    """`metadata.name`, `.metadata.name` and `{metadata.name}` as `{.metadata.name}`. Raises JsonPathError."""
    match = _RELAXED.fullmatch(text)
    if match is None:
        raise JsonPathError(
            "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'"
        )
    return f"{{.{match[1] or match[2]}}}"


def to_text(value: Any) -> str:
    """A result as text: objects and lists as JSON, all else as Go prints it."""
    if isinstance(value, (dict, list)):
        return go_json(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_HTML = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"})


def go_json(value: Any, *, indent: int | None = None) -> str:
    """JSON as Go's encoder writes it: sorted keys, and what HTML would trip over escaped."""
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(value, sort_keys=True, indent=indent, separators=separators, ensure_ascii=False)
    return text.translate(_HTML)


_TERMINATORS = frozenset(" \t\r\n.,[]$@{}")
_SLICE = re.compile(r"(-?\d*)(:-?\d*)?(:-?\d*)?")
_DICT_KEY = re.compile(r"'([^']*)'")
_COMPARISON = re.compile(r"([^!<>=]+)([!<>=]+)(.+?)")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)")
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


class _Action:
    """Scanner of what is inside one pair of braces."""

    def __init__(self, text: str, position: int) -> None:
        self._text = text
        self.position = position
        self._nodes: list[Node] = []

    def parse(self) -> Path:
        while not self._starts("}"):
            self._step()
        self.position += 1
        return tuple(self._nodes)

    def _starts(self, prefix: str) -> bool:
        return self._text.startswith(prefix, self.position)

    def _step(self) -> None:
        letter = self._text[self.position : self.position + 1]
        if letter in ("", "\r", "\n"):
            raise JsonPathError("unclosed action")
        if self._starts("[?("):
            self._filter()
        elif self._starts(".."):
            self._recursive()
        elif letter in " @$":
            self.position += 1
        elif letter == "[":
            self._array()
        elif letter in "\"'":
            self._quoted(letter)
        elif letter == ".":
            self.position += 1
            self._field()
        elif letter in "+-" or letter.isdigit():
            self._number()
        elif letter == "_" or letter.isalpha():
            self._identifier()
        else:
            raise JsonPathError(f"unrecognized character in action: U+{ord(letter):04X} '{letter}'")

    def _word(self) -> str:
        start = self.position
        while self.position < len(self._text) and self._text[self.position] not in _TERMINATORS:
            self.position += 2 if self._text[self.position] == "\\" else 1
        return self._text[start : self.position]

    def _field(self) -> None:
        word = self._word()
        self._nodes.append(Wildcard() if word == "*" else Field(word.replace("\\", "")))

    def _identifier(self) -> None:
        word = self._word()
        self._nodes.append(Literal(word == "true") if word in ("true", "false") else Keyword(word))

    def _number(self) -> None:
        match = re.compile(r"[+-]?[\d.]*").match(self._text, self.position)
        assert match is not None  # the pattern matches the empty text
        self.position = match.end()
        try:
            value = float(match[0]) if "." in match[0] else int(match[0])
        except ValueError:
            raise JsonPathError(f"cannot parse number {match[0]}") from None
        self._nodes.append(Literal(value))

    def _quoted(self, quote: str) -> None:
        end = self.position + 1
        while end < len(self._text) and self._text[end] != "\n":
            if self._text[end] == quote and self._text[end - 1] != "\\":
                break
            end += 1
        else:
            raise JsonPathError("unterminated quoted string")
        inner = self._text[self.position + 1 : end]
        self.position = end + 1
        self._nodes.append(Literal(_ESCAPE.sub(_unescaped, inner)))

    def _recursive(self) -> None:
        if self._nodes and isinstance(self._nodes[-1], Recursive):
            raise JsonPathError("invalid multiple recursive descent")
        self.position += 2
        self._nodes.append(Recursive())
        letter = self._text[self.position : self.position + 1]
        if letter == "_" or letter.isalnum():
            self._field()

    def _array(self) -> None:
        end = self.position
        while end < len(self._text) and self._text[end] not in "]\n":
            end += 1
        if self._text[end : end + 1] != "]":
            raise JsonPathError("unterminated array")
        inner = self._text[self.position + 1 : end]
        self.position = end + 1
        self._nodes += _subscript(":" if inner == "*" else inner)

    def _filter(self) -> None:
        self.position += len("[?(")
        start = self.position
        self._skip_to_closing()
        inner = self._text[start : self.position]
        if self._text[self.position + 1 : self.position + 2] != "]":
            raise JsonPathError("unclosed array expect ]")
        self.position += 2
        match = _COMPARISON.fullmatch(inner)
        if match is None:
            self._nodes.append(Filter(_path(inner), "exists", ()))
        else:
            self._nodes.append(Filter(_path(match[1]), match[2], _path(match[3])))

    def _skip_to_closing(self) -> None:
        """To the `)` that is not inside the one quoted text a filter may have."""
        quote, closed = "", False
        while self.position < len(self._text) and self._text[self.position] != "\n":
            letter = self._text[self.position]
            if letter in "\"'" and not quote:
                quote = letter
            elif letter == quote and self._text[self.position - 1] != "\\":
                closed = True
            elif letter == ")" and bool(quote) == closed:
                return
            self.position += 1
        raise JsonPathError("unterminated filter")


def _path(text: str) -> Path:
    action = _Action(f"{text}}}", 0)
    return action.parse()


def _subscript(text: str) -> list[Node]:
    parts = text.split(",")
    if len(parts) > 1:
        return [Union(tuple(_path(f"[{p.strip(' ')}]") for p in parts))]
    if key := _DICT_KEY.fullmatch(text):
        return list(_path(f".{key[1]}"))
    match = _SLICE.fullmatch(text)
    if match is None:
        raise JsonPathError(f"invalid array index {text}")
    start, end, step = (int(g.lstrip(":")) if g and g.lstrip(":-") else None for g in match.groups())
    return [Slice(start, end, step, is_index=match[2] is None)]


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "xuU":
        return chr(int(code[1:], 16))
    return chr(int(code, 8)) if code.isdigit() else _ESCAPED.get(code, code)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class _Evaluation:
    parts: Sequence[str | Path]
    allow_missing: bool

    def block(self, index: int, data: Any, *, depth: int) -> tuple[list[list[Any]], int]:
        """The results from a part on to the `end` of its range, or of the template; and where that is."""
        found: list[list[Any]] = []
        while index < len(self.parts):
            part = self.parts[index]
            keywords = [n.name for n in part if isinstance(n, Keyword)] if not isinstance(part, str) else []
            if isinstance(part, str):
                found.append([part])
            elif "end" in keywords:
                if depth == 0:
                    raise JsonPathError("not in range, nothing to end")
                return found, index
            elif "range" in keywords:
                end = self._end_of_range(index)
                for value in self.walk([data], part):
                    found += self.block(index + 1, value, depth=depth + 1)[0]
                index = end
            else:
                found.append(self.walk([data], part))
            index += 1
        return found, index

    def _end_of_range(self, index: int) -> int:
        depth = 0
        for at in range(index, len(self.parts)):
            part = self.parts[at]
            names = [n.name for n in part if isinstance(n, Keyword)] if not isinstance(part, str) else []
            depth += names.count("range") - names.count("end")
            if depth == 0:
                return at
        return len(self.parts)

    def walk(self, values: list[Any], path: Path) -> list[Any]:
        for node in path:
            values = self._one(values, node)
        return values

    def _one(self, values: list[Any], node: Node) -> list[Any]:
        match node:
            case Literal(value):
                # A literal stands for itself once per input; quoted text once in any case.
                return [value] if isinstance(value, str) else [value for _ in values]
            case Field(name):
                return self._field(values, name)
            case Wildcard():
                return [child for value in values for child in _children(value)]
            case Recursive():
                return [inner for value in values for inner in _descend(value)]
            case Slice():
                return [item for value in values if value is not None for item in _sliced(value, node)]
            case Union(parts):
                return [item for path in parts for item in self.walk(values, path)]
            case Filter():
                return [item for value in values for item in self._filtered(value, node)]
            case Keyword("range"):
                return values
        raise JsonPathError(f"unrecognized identifier {node.name}")

    def _field(self, values: list[Any], name: str) -> list[Any]:
        # `{.}` and `{@.}` are fields without a name: the value itself
        found = [v[name] for v in values if isinstance(v, dict) and name in v] if name else values
        if values and not found and not self.allow_missing:
            raise JsonPathError(f"{name} is not found")
        return found

    def _filtered(self, value: Any, node: Filter) -> Iterator[Any]:
        if not isinstance(value, list):
            raise JsonPathError(f"{to_text(value)} is not array or slice and cannot be filtered")
        lenient = _Evaluation((), allow_missing=True)
        for item in value:
            lefts = (lenient if node.operator == "exists" else self).walk([item], node.left)
            if node.operator == "exists":
                if lefts:
                    yield item
                continue
            rights = self.walk([item], node.right)
            if len(lefts) > 1 or len(rights) > 1:
                raise JsonPathError("can only compare one element at a time")
            if lefts and rights and _compare(lefts[0], node.operator, rights[0]):
                yield item


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _descend(value: Any) -> Iterator[Any]:
    """The value and all containers inside it."""
    if isinstance(value, (dict, list)) and value:
        yield value
        for child in _children(value):
            yield from _descend(child)


def _sliced(value: Any, node: Slice) -> list[Any]:
    if not isinstance(value, list):
        raise JsonPathError(f"{_GO_TYPES.get(type(value), 'string')} is not array or slice")
    length = len(value)
    start = node.start or 0
    end = length if node.end is None else node.end
    if node.is_index:
        end = start + 1 or length  # [-1] reaches to the end
    start += length if start < 0 else 0
    end += length if end < 0 else 0
    if start == end:
        return []
    for index, at in ((start, start), (end - 1, end)):
        if at < 0 or (at >= length if at == start else at > length):
            raise JsonPathError(f"array index out of bounds: index {index}, length {length}")
    if start > end:
        raise JsonPathError(f"starting index {start} is greater than ending index {end}")
    if node.step is not None and node.step <= 0:
        raise JsonPathError("step must be > 0")
    return value[start : end : node.step or 1]


_GO_TYPES: dict[type, str] = {
    dict: "map[string]interface {}",
    str: "string",
    bool: "bool",
    int: "int64",
    float: "float64",
}


def _compare(left: Any, name: str, right: Any) -> bool:
    compare = _COMPARE.get(name)
    if compare is None:
        raise JsonPathError(f"unrecognized filter operator {name}")
    basic = (bool, int, float, str)
    if not isinstance(left, basic) or not isinstance(right, basic):
        raise JsonPathError("invalid type for comparison")
    if type(left) is not type(right):
        raise JsonPathError("incompatible types for comparison")
    return compare(left, right)
