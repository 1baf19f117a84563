"""Status errors in Kubernetes' own wording.

The constructors follow k8s.io/apimachinery/pkg/api/errors; clients show `message` as it is, and kubectl builds its
"The Service "x" is invalid:" form from `details`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.errors import LabctlError


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of details.causes: `reason` is FieldValueInvalid, FieldValueRequired, …"""

    reason: str
    message: str
    field: str


class ApiError(LabctlError):
    """An API failure: HTTP code, machine reason, message, details."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details
        self.list_metadata: Object = {}  # ListMeta of the Status: how a list that has expired can go on
        self.warnings: tuple[str, ...] = ()  # what was said of the request before it failed

    def status(self) -> Object:
        """The v1 Status object."""
        status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.list_metadata,
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        if not self.reason:
            del status["reason"]
        return status


class KubeletError(ApiError):
    """500 in a kubelet's own words: plain text, which the API server passes on, and not a Status."""

    def __init__(self, message: str) -> None:
        super().__init__(500, "InternalError", message)


def from_status(status: Object) -> ApiError:
    """The error that a Status object stands for."""
    return ApiError(
        int(status.get("code") or 500),
        status.get("reason") or "",
        status.get("message") or "unknown error",
        status.get("details"),
    )


def _details(kind: Kind, name: str) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name} if name else {}
    if kind.group:
        details["group"] = kind.group
    details["kind"] = kind.resource
    return details


def not_found(kind: Kind, name: str) -> ApiError:
    """404 NotFound."""
    return ApiError(404, "NotFound", f'{kind.group_resource} "{name}" not found', _details(kind, name))


def already_exists(kind: Kind, name: str) -> ApiError:
    """409 AlreadyExists."""
    return ApiError(409, "AlreadyExists", f'{kind.group_resource} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str, why: str) -> ApiError:
    """409 Conflict."""
    return ApiError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {kind.group_resource} "{name}": {why}',
        _details(kind, name),
    )


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(kind: Kind, name: str, causes: list[Cause]) -> ApiError:
    """422 Invalid with one cause per field; `details.kind` is the Kind here, as in Kubernetes."""
    texts = list(
        dict.fromkeys(f"{c.field}: {c.message}" for c in causes)
    )  # the causes may repeat, the message does not
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    full = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details: dict[str, Any] = {"name": name} if name else {}
    if kind.group:
        details["group"] = kind.group
    if kind.kind:
        details["kind"] = kind.kind
    details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    return ApiError(422, "Invalid", f'{full} "{name}" is invalid: {text}', details)


def bad_request(message: str) -> ApiError:
    """400 BadRequest."""
    return ApiError(400, "BadRequest", message)


def forbidden(kind: Kind, name: str, why: str) -> ApiError:
    """403 Forbidden."""
    return ApiError(403, "Forbidden", f'{kind.group_resource} "{name}" is forbidden: {why}', _details(kind, name))


def method_not_allowed(kind: Kind, verb: str) -> ApiError:
    """405 MethodNotAllowed."""
    return ApiError(
        405,
        "MethodNotAllowed",
        f'{verb} is not supported on resources of kind "{kind.group_resource}"',
        _details(kind, ""),
    )


def gone(message: str) -> ApiError:
    """410 Expired: the revision asked for is compacted."""
    return ApiError(410, "Expired", message)


def unsupported_media_type(message: str) -> ApiError:
    """415 UnsupportedMediaType."""
    return ApiError(415, "UnsupportedMediaType", message)


def internal(message: str) -> ApiError:
    """500 InternalError."""
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})
