"""What a printer is: columns, and the cells of one object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.api.objects import Object
from labctl.api.times import age_s, human_duration

NONE = "<none>"
UNKNOWN = "<unknown>"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `type` is string, integer or date in JSON schema's words, priority 1 is for `-o wide`."""

    name: str
    priority: int = 0
    type: str = "string"
    format: str = ""


@dataclass(frozen=True, slots=True)
class Printer:
    """The columns of a kind and the function that fills them from an object and the time (Unix seconds)."""

    columns: Sequence[Column]
    cells: Callable[[Object, float], list[Any]]


NAME = Column("Name", format="name")
AGE = Column("Age")


def columns(*names: str, wide: Sequence[str] = ()) -> tuple[Column, ...]:
    """Name, the named columns, and those of `-o wide`; a name with a trailing # holds integers."""
    made = [_column(n, 0) for n in names] + [_column(n, 1) for n in wide]
    return (NAME, *made)


def _column(name: str, priority: int) -> Column:
    return Column(name.rstrip("#"), priority, "integer" if name.endswith("#") else "string")


def definitions(listed: Sequence[Column]) -> list[Object]:
    """columnDefinitions of a Table."""
    return [
        {
            "name": c.name,
            "type": c.type,
            "format": c.format,
            "description": f"{c.name} of the object",
            "priority": c.priority,
        }
        for c in listed
    ]


def age(timestamp: str | None, now_s: float) -> str:
    """`5m`, or <unknown> without a timestamp."""
    return human_duration(age_s(timestamp, now_s)) if timestamp else UNKNOWN


def age_of(obj: Object, now_s: float) -> str:
    """How old an object is."""
    return age(obj["metadata"].get("creationTimestamp"), now_s)


def labels(values: dict[str, str] | None) -> str:
    """`a=b,c=d` or <none>."""
    return ",".join(f"{k}={v}" for k, v in sorted((values or {}).items())) or NONE


def containers(pod_spec: Object) -> list[str]:
    """Names and images of a template's containers, as two cells."""
    listed = pod_spec.get("containers") or ()
    return [",".join(c["name"] for c in listed), ",".join(c.get("image", "") for c in listed)]


def capped(items: Sequence[str], limit: int = 3) -> str:
    """The first items and how many more there are, as Kubernetes shortens lists."""
    if len(items) <= limit:
        return ",".join(items)
    return ",".join(items[:limit]) + f" + {len(items) - limit} more..."
