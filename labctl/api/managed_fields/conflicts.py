"""Fields that others own and that an apply would change, in Kubernetes' words."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.api import status
from labctl.api.managed_fields import elements
from labctl.api.managed_fields.managers import UPDATE, Identity
from labctl.api.managed_fields.sets import FieldSet, Path, paths


@dataclass(frozen=True, slots=True)
class Conflict:
    """One field, and who owns it."""

    who: Identity
    path: Path


class ApplyConflict(Exception):  # not an error of the program: it becomes an ApiError or is overruled
    """Somebody else owns fields that the configuration would change."""

    def __init__(self, conflicts: list[Conflict]) -> None:
        super().__init__(conflicts)
        self.conflicts = conflicts


def of(fields: dict[Identity, FieldSet]) -> list[Conflict]:
    """The conflicts in fields by owner, sorted by owner."""
    return [Conflict(who, path) for who in sorted(fields) for path in paths(fields[who])]


def error(conflicts: list[Conflict]) -> status.ApiError:
    """409 Conflict with a cause for each field."""
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {_show(c.who)}",
            "field": elements.show_path(c.path),
        }
        for c in conflicts
    ]
    return status.ApiError(409, "Conflict", _message(conflicts), {"causes": causes})


def _message(conflicts: list[Conflict]) -> str:
    if len(conflicts) == 1:
        (only,) = conflicts
        return f"Apply failed with 1 conflict: conflict with {_show(only.who)}: {elements.show_path(only.path)}"
    lines: list[str] = []
    for index, conflict in enumerate(conflicts):
        if not index or conflicts[index - 1].who != conflict.who:
            lines.append(f"conflicts with {_show(conflict.who)}:")
        lines.append(f"- {elements.show_path(conflict.path)}")
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)


def _show(who: Identity) -> str:
    text = f'"{who.manager}"'
    if who.subresource:
        text += f' with subresource "{who.subresource}"'
    return f"{text} using {who.api_version}" if who.operation == UPDATE else text
