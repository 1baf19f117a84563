"""One YAML document as JSON data, by Kubernetes' rules: YAML 1.1 without timestamps, no key twice in one mapping.

kubectl drops the first of two equal keys without a word; here that is an error with its line, because it is always a
mistake of the writer.
"""

from __future__ import annotations

from typing import Any

import yaml

from labctl.api.schema.body import BodyError, Number
from labctl.api.schema.yamls import Loader, scalar

_MAX_NODES = 1_000_000  # what aliases may unfold to


class YamlError(ValueError):
    """`line 4: did not find expected key`."""


def load(text: str, *, first_line: int = 1) -> Any:
    """The document as dicts, lists, strings, numbers, booleans and None. Raises YamlError."""
    try:
        loader = Loader(text)
        try:
            node = loader.get_single_node()
            return None if node is None else _Builder(loader, first_line).build(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise YamlError(_message(error, first_line)) from None
    except BodyError as error:
        raise YamlError(str(error)) from None
    except RecursionError:
        raise YamlError("exceeded max depth") from None


def _message(error: yaml.YAMLError, first_line: int) -> str:
    """The message of Kubernetes' YAML reader, whose line is the one before where a parser (not a scanner) stops."""
    if isinstance(error, yaml.reader.ReaderError):
        return f"control characters are not allowed (character {error.character:#x} at {error.position})"
    context, mark = getattr(error, "context_mark", None), getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error)
    if isinstance(error, yaml.composer.ComposerError) and "alias" in problem:
        problem = "unknown anchor referenced"
    line = (context.line if context is not None else 0) or (mark.line if mark is not None else 0)
    if isinstance(error, yaml.scanner.ScannerError):
        line += 1
    return f"line {line + first_line - 1}: {problem}" if line else problem


class _Builder:
    def __init__(self, loader: Any, first_line: int) -> None:
        self._loader = loader
        self._first_line = first_line
        self._nodes = 0

    def build(self, node: yaml.Node) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise YamlError("document contains excessive aliasing")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item) for item in node.value]
        value = scalar(node)
        return float(value) if isinstance(value, Number) else value

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        merges = any(key.tag.endswith(":merge") for key, _ in node.value)
        self._loader.flatten_mapping(node)  # `<<: *base` becomes pairs before the node's own, which win
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = self._key(key)
            if name in found and not merges:
                raise YamlError(f'line {key.start_mark.line + self._first_line}: key "{name}" already set in map')
            found[name] = self.build(value)
        return found

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise YamlError(f"line {node.start_mark.line + self._first_line}: invalid map key")
        value = scalar(node)
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(node.value) if value is None or isinstance(value, float) else str(value)
