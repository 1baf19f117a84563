"""Label and field selectors: parsing with Kubernetes' error words, and matching.

The grammar is that of k8s.io/apimachinery pkg/labels and pkg/fields. Parsing raises `status.ApiError` 400, because
the text comes from a query parameter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from labctl.api import names, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object

Operator = Literal["in", "notin", "=", "==", "!=", "gt", "lt", "exists", "!"]

_BINARY_WORDS: dict[str, Operator] = {
    "in": "in",
    "notin": "notin",
    "=": "=",
    "==": "==",
    "!=": "!=",
    ">": "gt",
    "<": "lt",
}
_EXPECTED_OPERATORS = "in, notin, =, ==, !=, gt, lt"
_EXPRESSION_OPERATORS: dict[str, Operator] = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels fulfil it; only the negative operators accept a missing label."""
        value = labels.get(self.key)
        match self.operator:
            case "=" | "==" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        number = _int64(value)
        bound = _int64(self.values[0])
        if number is None or bound is None:
            return False
        return number > bound if self.operator == "gt" else number < bound

    def __str__(self) -> str:
        values = ",".join(sorted(self.values))
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({values})"
            case "gt" | "lt":
                return f"{self.key}{'>' if self.operator == 'gt' else '<'}{values}"
        return f"{self.key}{self.operator}{values}"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Requirements that must all hold; `nothing` selects no object at all."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether an object with these labels is selected."""
        return not self.nothing and all(r.matches(labels or {}) for r in self.requirements)

    @property
    def is_everything(self) -> bool:
        """Whether every object is selected."""
        return not self.nothing and not self.requirements

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)


def _int64(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
        return None
    number = int(text) if len(text) <= 20 else 2**64
    return number if -(2**63) <= number < 2**63 else None


def from_labels(labels: Mapping[str, str] | None) -> LabelSelector:
    """The selector that a plain map is (Service, ReplicationController): every pair must be there."""
    return LabelSelector(tuple(Requirement(k, "=", (v,)) for k, v in sorted((labels or {}).items())))


def from_object(selector: Object | None) -> LabelSelector:
    """A `LabelSelector` object (matchLabels, matchExpressions); None selects nothing, an empty one everything.

    Raises ValueError for an operator that validation would have refused.
    """
    if selector is None:
        return NOTHING
    found = [Requirement(k, "=", (v,)) for k, v in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = _EXPRESSION_OPERATORS.get(expression["operator"])
        if operator is None:
            raise ValueError(f'"{expression["operator"]}" is not a valid label selector operator')
        found.append(Requirement(expression["key"], operator, tuple(expression.get("values") or ())))
    return LabelSelector(tuple(sorted(found, key=lambda r: r.key)))


def parse_label_selector(text: str) -> LabelSelector:
    """Parse `app=web,tier in (a,b),!old`. Raises ApiError 400."""
    return LabelSelector(tuple(sorted(_Parser(text).parse(), key=lambda r: r.key)))


_SYMBOLS = r"==|!=|[=!(),<>]"
_TOKEN = re.compile(rf"[ \t\r\n]*({_SYMBOLS}|[^=!(),<> \t\r\n\0]+|\Z|\0)")
_IDENTIFIER = "identifier"


class _Parser:
    """Recursive descent over the tokens; an empty one follows the last."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = [t for t in _TOKEN.findall(text.partition("\0")[0]) if t]
        self._tokens.append("")
        self._position = 0

    def parse(self) -> list[Requirement]:
        found: list[Requirement] = []
        while True:
            word = self._peek()
            if not word:
                return found
            if not (_is_identifier(word) or word == "!"):
                raise status.bad_request(f"found '{word}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except _SelectorError as error:
                raise status.bad_request(f"unable to parse requirement: {error}") from None
            after = self._take()
            if not after:
                return found
            if after != ",":
                raise status.bad_request(f"found '{after}', expected: ',' or 'end of string'")
            following = self._peek()
            if not (following and _is_identifier(following)) and following != "!":
                raise status.bad_request(f"found '{following}', expected: identifier after ','")

    def _peek(self) -> str:
        return self._tokens[self._position]

    def _take(self) -> str:
        word = self._tokens[self._position]
        self._position = min(self._position + 1, len(self._tokens) - 1)
        return word

    def _requirement(self) -> Requirement:
        negated = self._peek() == "!"
        if negated:
            self._take()
        key = self._take()
        if not key or not _is_identifier(key):
            raise _SelectorError(f"found '{key}', expected: identifier")
        if problems := names.qualified_name(key):
            raise _SelectorError(f"<nil>: {_invalid(key, '; '.join(problems))}")
        if negated:
            return Requirement(key, "!")
        if self._peek() in ("", ","):
            return Requirement(key, "exists")
        word = self._take()
        operator = _BINARY_WORDS.get(word)
        if operator is None:
            raise _SelectorError(f"found '{word}', expected: {_EXPECTED_OPERATORS}")
        values = self._values() if operator in ("in", "notin") else self._exact_value()
        return _checked(key, operator, tuple(sorted(values)))

    def _exact_value(self) -> set[str]:
        if self._peek() in ("", ","):
            return {""}
        word = self._take()
        if _is_identifier(word):
            return {word}
        raise _SelectorError(f"found '{word}', expected: identifier")

    def _values(self) -> set[str]:
        word = self._take()
        if word != "(":
            raise _SelectorError(f"found '{word}' expected: '('")
        first = self._peek()
        if first == ")":
            self._take()
            return {""}
        if not (first == "," or (first and _is_identifier(first))):
            raise _SelectorError(f"found '{first}', expected: ',', ')' or identifier")
        values = self._identifiers()
        self._take()
        return values

    def _identifiers(self) -> set[str]:
        """Values up to the closing parenthesis; empty ones are values too."""
        values: set[str] = set()
        while True:
            word = self._take()
            if word == ",":
                if not values:
                    values.add("")
                if self._peek() == ")":
                    return values | {""}
                if self._peek() == ",":
                    values.add("")
            elif word and _is_identifier(word):
                values.add(word)
                if self._peek() == ")":
                    return values
                if self._peek() != ",":
                    raise _SelectorError(f"found '{self._peek()}', expected: ',' or ')'")
            else:
                raise _SelectorError(f"found '{word}', expected: ',', or identifier")


class _SelectorError(Exception):
    """A requirement that cannot be parsed."""


def _is_identifier(word: str) -> bool:
    return re.fullmatch(_SYMBOLS, word) is None


def _invalid(value: str, detail: str) -> str:
    return f"Invalid value: {json.dumps(value, ensure_ascii=False)}: {detail}"


def _checked(key: str, operator: Operator, values: tuple[str, ...]) -> Requirement:
    errors = []
    if operator in ("gt", "lt") and _int64(values[0]) is None:
        detail = "for 'Gt', 'Lt' operators, the value must be an integer"
        errors.append(f"values[0]: {_invalid(values[0], detail)}")
    for index, value in enumerate(values):
        if problems := names.label_value(value):
            errors.append(f"values[{index}][{key}]: {_invalid(value, '; '.join(problems))}")
    if errors:
        raise _SelectorError(errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
    return Requirement(key, operator, values)


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One comparison of a field with a value."""

    field: str
    equal: bool
    value: str


_ALWAYS = ("metadata.name", "metadata.namespace")
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_FIELDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): (
        *_ALWAYS,
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
        "spec.host",
    ),
    ("", "Node"): ("metadata.name", "spec.unschedulable"),
    ("", "Namespace"): ("metadata.name", "status.phase"),
    ("", "ReplicationController"): (*_ALWAYS, "status.replicas"),
    ("", "Secret"): (*_ALWAYS, "type"),
    ("", "Service"): (*_ALWAYS, "spec.clusterIP", "spec.type"),
    ("", "Event"): (
        *_ALWAYS,
        *(f"involvedObject.{name}" for name in _INVOLVED),
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    ("events.k8s.io", "Event"): (
        *_ALWAYS,
        *(f"regarding.{name}" for name in _INVOLVED),
        "reason",
        "reportingController",
        "type",
    ),
}
_RENAMED = {"spec.host": "spec.nodeName"}


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Comparisons that must all hold."""

    terms: tuple[FieldTerm, ...] = ()

    def check(self, kind: Kind) -> None:
        """Raise ApiError 400 when a field cannot be selected for this kind."""
        allowed = _FIELDS.get((kind.group, kind.kind))
        for term in self.terms:
            if allowed is None and term.field not in _ALWAYS:
                raise status.bad_request(
                    f'"{term.field}" is not a known field selector: only "metadata.name", "metadata.namespace"'
                )
            if allowed is not None and term.field not in allowed:
                raise status.bad_request(f"field label not supported: {term.field}")

    def matches(self, kind: Kind, obj: Object) -> bool:
        """Whether an object of the kind is selected; call `check` once before."""
        return all((_field_value(kind, obj, t.field) == t.value) is t.equal for t in self.terms)

    def exact(self, field: str) -> str | None:
        """The one value a field must have, if the selector asks for one: lets a list become a get."""
        return next((t.value for t in self.terms if t.field == field and t.equal), None)

    @property
    def is_everything(self) -> bool:
        """Whether every object is selected."""
        return not self.terms

    def __str__(self) -> str:
        return ",".join(f"{t.field}{'=' if t.equal else '!='}{_escape(t.value)}" for t in self.terms)


def _field_value(kind: Kind, obj: Object, field: str) -> str:
    if kind.kind == "Event":
        return _event_value(obj, field)
    if field == "status.podIP":
        ips = (obj.get("status") or {}).get("podIPs") or [{}]
        return ips[0].get("ip") or (obj.get("status") or {}).get("podIP") or ""
    if field in ("spec.hostNetwork", "spec.unschedulable"):
        return "true" if _at(obj, field) else "false"
    value = _at(obj, _RENAMED.get(field, field))
    return str(value) if isinstance(value, (str, int)) else ""


def _event_value(obj: Object, field: str) -> str:
    if field == "source":
        return _at(obj, "source.component") or _at(obj, "reportingComponent") or ""
    for stored, asked in (("involvedObject.", "regarding."), ("reportingComponent", "reportingController")):
        if field.startswith((stored, asked)):
            suffix = field.removeprefix(stored).removeprefix(asked)
            return _at(obj, stored + suffix) or _at(obj, asked + suffix) or ""
    return _at(obj, field) or ""


def _at(obj: Object, path: str) -> Any:
    value: Any = obj
    for step in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def parse_field_selector(text: str) -> FieldSelector:
    """Parse `status.phase!=Running,metadata.name=x`. Raises ApiError 400."""
    return FieldSelector(tuple(_field_term(text, part) for part in sorted(_split_terms(text)) if part))


def _split_terms(text: str) -> Iterable[str]:
    """Split at commas that no backslash escapes."""
    return re.findall(r"(?:\\.|[^,\\]|\\\Z)+", text, re.DOTALL)


def _field_term(text: str, part: str) -> FieldTerm:
    match = re.search(r"!=|==|=", part)
    if match is None:
        raise status.bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
    return FieldTerm(part[: match.start()], match[0] != "!=", _unescape(part[match.end() :]))


def _unescape(value: str) -> str:
    out: list[str] = []
    letters = iter(value)
    for letter in letters:
        if letter == "\\":
            escaped = next(letters, "")
            if escaped not in ("\\", ",", "="):
                raise status.bad_request(f"invalid field selector: invalid escape sequence: \\{escaped}")
            out.append(escaped)
        elif letter in ",=":
            raise status.bad_request(f"invalid field selector: unescaped character in value: {ord(letter)}")
        else:
            out.append(letter)
    return "".join(out)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
