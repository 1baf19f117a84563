"""References to other objects: names that have to fit into a URL, groups that have to be DNS names."""

from __future__ import annotations

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, required


def segment(path: str, value: str | None) -> list[Cause]:
    """A name or kind that must be there and fit into a URL path."""
    return all_invalid(path, value, names.path_segment(value)) if value else [required(path)]


def typed(path: str, reference: Object) -> list[Cause]:
    """A TypedLocalObjectReference: apiGroup, kind, name."""
    group, causes = reference.get("apiGroup"), list[Cause]()
    if group is not None:
        causes += all_invalid(f"{path}.apiGroup", group, names.dns1123_subdomain(group))
    causes += segment(f"{path}.kind", reference.get("kind"))
    return causes + segment(f"{path}.name", reference.get("name"))
