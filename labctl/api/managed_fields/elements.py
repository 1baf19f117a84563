"""Path elements, as fieldsV1 writes them: `f:replicas`, `k:{"port":80,"protocol":"TCP"}`, `v:"web"`, `i:0`.

The text is the element: two elements are the same when their canonical texts are, so a path element is a `str` everywhere
and sets need no objects of their own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

SELF = "."
"""Within a field's own dict: the field itself belongs to the set, not only what is inside it."""

_KINDS = "fkvi"  # also their order


class ElementError(ValueError):
    """The text is no path element."""


def field(name: str) -> str:
    """The element that selects a field of a struct or a key of a map."""
    return "f:" + name


def key(values: dict[str, Any]) -> str:
    """The element that selects an item of a list by its key fields."""
    return "k:" + _json(dict(sorted(values.items())))


def value(item: Any) -> str:
    """The element that selects an item of a set."""
    return "v:" + _json(item)


def canonical(text: str) -> str | None:
    """The canonical form of an element somebody else wrote; None for kinds of elements that are unknown.

    Raises ElementError.
    """
    kind, separator, rest = text.partition(":")
    if not separator:
        raise ElementError(f"missing colon: {text}")
    if kind not in ("f", "k", "v", "i"):
        return None
    if kind == "f":
        return text
    try:
        if kind == "i":
            return f"i:{int(rest)}"
        decoded = orjson.loads(rest)
    except ValueError:
        raise ElementError(f"not a path element: {text}") from None
    if kind == "v":
        return value(decoded)
    if not isinstance(decoded, dict):
        raise ElementError(f"not a path element: {text}")
    return key(decoded)


@lru_cache(maxsize=4096)
def order(text: str) -> tuple[Any, ...]:
    """What to sort elements by: fields before keys before values before indexes, numbers by size."""
    if text == SELF:
        return (-1,)
    kind, _, rest = text.partition(":")
    if kind == "f":
        return (0, rest)
    if kind == "i":
        return (3, int(rest))
    decoded = orjson.loads(rest)
    if kind == "v":
        return (2, _scalar_order(decoded))
    return (1, tuple((name, _scalar_order(item)) for name, item in decoded.items()))


def show(text: str) -> str:
    """An element as error messages show it: `.spec`, `[port=80,protocol="TCP"]`, `[="web"]`, `[0]`."""
    kind, _, rest = text.partition(":")
    if kind == "f":
        return "." + rest
    if kind == "i":
        return f"[{rest}]"
    if kind == "v":
        return f"[={rest}]"
    return "[" + ",".join(f"{name}={_json(item)}" for name, item in orjson.loads(rest).items()) + "]"


def show_path(path: tuple[str, ...]) -> str:
    """A path as error messages show it."""
    return "".join(show(element) for element in path)


def _scalar_order(item: Any) -> tuple[int, Any]:
    """Numbers before strings before booleans before the rest, as structured-merge-diff orders values."""
    if isinstance(item, bool):
        return (2, item)
    if isinstance(item, int | float):
        return (0, item)
    return (1, item) if isinstance(item, str) else (3, _json(item))


_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def _json(item: Any) -> str:
    """JSON as Go's encoder writes it, which escapes what HTML would misread."""
    return orjson.dumps(item).decode().translate(_ESCAPED)
