"""Who asks, and how: users and the options of reads and writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from labctl.api import schema
from labctl.api.kinds import Kind
from labctl.api.objects import Object

FieldValidation = Literal["Ignore", "Warn", "Strict"]
Propagation = Literal["Background", "Foreground", "Orphan"]

MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated user (authentication.k8s.io UserInfo)."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def to_json(self) -> Object:
        """UserInfo, without empty fields."""
        info: Object = {"username": self.name}
        if self.uid:
            info["uid"] = self.uid
        if self.groups:
            info["groups"] = list(self.groups)
        if self.extra:
            info["extra"] = {k: list(v) for k, v in self.extra.items()}
        return info


ADMIN = User("kubernetes-admin", (MASTERS, "system:authenticated"))
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


@dataclass(slots=True)
class WriteOptions:
    """Query of create, update and patch. `warnings` collects what the answer's Warning headers will say."""

    dry_run: bool = False
    field_manager: str = ""
    field_validation: FieldValidation = "Warn"
    force: bool = False
    user: User = ADMIN
    warnings: list[str] = field(default_factory=list)

    def check_fields(self, kind: Kind, strict_errors: list[str]) -> None:
        """Refuse unknown and repeated fields, warn of them, or neither: `field_validation`. Raises ApiError 400."""
        if strict_errors and self.field_validation == "Strict":
            raise schema.strict_error(kind, strict_errors)
        if self.field_validation == "Warn":
            self.warnings += strict_errors


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """Body or query of a delete; `uid` and `resource_version` are preconditions."""

    grace_period_s: int | None = None
    propagation: Propagation | None = None
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False
