"""YAML as sigs.k8s.io/yaml reads it: YAML 1.1 without timestamps and base-60 numbers, keys become strings.

PyYAML's resolvers differ from go-yaml's in details that matter to manifests (`1e3` is a number, `12:30:45` is text,
`2026-11-23` is text, `y` is true), hence the loader of our own. `Loader` is for others to build upon.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from labctl.api.schema.body import BodyError, Number, Repeated

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MAX_ALIAS_NODES = 100_000  # what aliases may unfold to; "billion laughs" stops here

_BOOL = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_INT = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?", re.ASCII)


class Loader(_Base):  # type: ignore[misc]  # PyYAML's loader classes are untyped
    """A safe loader with go-yaml's idea of plain scalars."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012  # PyYAML's own class attribute, replaced


Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])
Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(~|null|Null|NULL|)$"), [*"~nN", ""])
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(rf"^({'|'.join(_BOOL)})$"), list("yYnNtTfFoO"))
Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(rf"^({_INT.pattern})$"), list("-+0123456789"))
Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(rf"^({_FLOAT.pattern})$"), list("-+0123456789."))


def load(text: bytes | str) -> Any:
    """The one document in `text`. Raises BodyError in the words of Kubernetes' YAML reader."""
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        return None if node is None else _Builder(loader).build(node)
    except yaml.YAMLError as error:
        raise BodyError(_message(error)) from None
    finally:
        loader.dispose()


def repeated_keys(text: bytes | str) -> list[tuple[int, str]]:
    """Lines (from 1) and names of the keys that occur again in their mapping, in order."""
    found: list[tuple[int, str]] = []
    loader = Loader(text)
    try:
        root = loader.get_single_node()
    finally:
        loader.dispose()
    nodes = [root] if root is not None else []
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                nodes.append(value)
                if isinstance(key, yaml.ScalarNode) and key.value in seen:
                    found.append((key.start_mark.line + 1, key.value))
                seen.add(key.value if isinstance(key, yaml.ScalarNode) else "")
    return sorted(found)


def _message(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    line = f"line {mark.line + 1}: " if mark is not None else ""
    return f"error converting YAML to JSON: yaml: {line}{problem}"


class _Builder:
    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._nodes = 0

    def build(self, node: yaml.Node) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_ALIAS_NODES:
            raise BodyError("error converting YAML to JSON: yaml: document contains excessive aliasing")
        if isinstance(node, yaml.MappingNode):
            self._loader.flatten_mapping(node)
            pairs = [(self._key(key), self.build(value)) for key, value in node.value]
            found = dict(pairs)
            return found if len(found) == len(pairs) else Repeated(pairs)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item) for item in node.value]
        return scalar(node)

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise BodyError("error converting YAML to JSON: yaml: invalid map key")
        value = scalar(node)
        if isinstance(value, bool):
            return "true" if value else "false"
        return node.value if value is None or isinstance(value, float) else str(value)


def scalar(node: yaml.Node) -> Any:
    """The value of a scalar node, numbers as JSON would have them."""
    text: str = node.value
    match node.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return _BOOL.get(text, text)
        case "int":
            return _integer(text)
        case "float":
            try:
                return Number(text.replace("_", ""))
            except ValueError:
                return text
    return text


def _integer(text: str) -> int | Number | str:
    digits = text.replace("_", "").lower()
    sign, digits = (digits[0], digits[1:]) if digits[:1] in ("-", "+") else ("", digits)
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits[:2], 8 if digits.startswith("0") and len(digits) > 1 else 10)
    try:
        number = int(digits.removeprefix("0b").removeprefix("0o").removeprefix("0x"), base)
    except ValueError:
        return text
    number = -number if sign == "-" else number
    return number if -(2**63) <= number < 2**63 else Number(str(number))
