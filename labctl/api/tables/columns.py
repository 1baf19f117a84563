"""What a printer is: columns, and the cells of one object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.api import selectors
from labctl.api.objects import Object
from labctl.api.times import age_s, human_duration

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"

WIDE = 1
"""Priority of the columns that `-o wide` adds."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a Table; `type` and `format` are OpenAPI's words."""

    name: str
    description: str
    priority: int = 0
    type: str = "string"
    format: str = ""

    def definition(self) -> Object:
        """The column as a Table lists it."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


@dataclass(frozen=True, slots=True)
class Printer:
    """The columns of a kind and the function that fills them from an object and the time (Unix seconds).

    `conditions` gives the row's conditions; clients grey out rows whose condition Completed is true.
    """

    columns: Sequence[Column]
    cells: Callable[[Object, float], list[Any]]
    conditions: Callable[[Object], list[Object]] | None = None


NAME = Column("Name", "The object's name, unique among its kind within a namespace.", format="name")
AGE = Column("Age", "How long ago the object was created.")
CONTAINERS = (
    Column("Containers", "The names of the containers in the pod template.", WIDE),
    Column("Images", "The images that the containers of the pod template run.", WIDE),
)
SELECTOR = Column("Selector", "The labels by which the object finds its pods.", WIDE)


def age(timestamp: str | None, now_s: float) -> str:
    """`5m`, or <unknown> without a timestamp."""
    return human_duration(age_s(timestamp, now_s)) if timestamp else UNKNOWN


def age_of(obj: Object, now_s: float) -> str:
    """How old an object is."""
    return age(obj["metadata"].get("creationTimestamp"), now_s)


def name_of(obj: Object) -> str:
    """metadata.name."""
    return str(obj["metadata"]["name"])


def labels(values: dict[str, str] | None) -> str:
    """`a=b,c=d` or <none>."""
    return ",".join(f"{k}={v}" for k, v in sorted((values or {}).items())) or NONE


def label_selector(selector: Object | None) -> str:
    """A LabelSelector as text, <none> when it says nothing."""
    return str(selectors.from_object(selector)) or NONE


def containers(pod_spec: Object) -> list[str]:
    """Names and images of a template's containers, as two cells."""
    listed = pod_spec.get("containers") or ()
    return [",".join(c["name"] for c in listed), ",".join(c.get("image", "") for c in listed)]


def capped(items: Sequence[str], nothing: str, *, limit: int = 3) -> str:
    """The first items and how many more there are, as Kubernetes shortens lists."""
    if len(items) <= limit:
        return ",".join(items) or nothing
    return ",".join(items[:limit]) + f" + {len(items) - limit} more..."
