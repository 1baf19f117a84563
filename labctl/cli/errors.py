"""What goes wrong, in the words and with the exit codes of kubectl.

`lines(error)` is what stands on stderr. Several errors of one command are collected as `Errors`, so that what could be done is
done and every failure is told.
"""

from __future__ import annotations

from collections.abc import Sequence

from labctl.api.status import ApiError
from labctl.errors import LabctlError


class Plain(LabctlError):
    """Printed as it is, without `error: ` before it."""


class Elsewhere(Plain):
    """Something that kubectl can do and labctl cannot: kubectl gets the command, where there is one."""


class Exit(LabctlError):
    """Ends the command with an exit code and without a word."""

    def __init__(self, code: int) -> None:
        super().__init__("")
        self.exit_code = code


class Errors(LabctlError):
    """Several errors of one command."""

    def __init__(self, errors: Sequence[LabctlError]) -> None:
        super().__init__("; ".join(e.message for e in errors))
        self.errors = tuple(errors)
        self.exit_code = max((e.exit_code for e in errors), default=1)


def raise_all(errors: Sequence[LabctlError]) -> None:
    """Raise what was collected, if anything was."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise Errors(errors)


def with_source(error: ApiError, doing: str, source: str) -> ApiError:
    """The error with what was being done to which file: `error when creating "web.yaml": …`."""
    return ApiError(error.code, error.reason, f'error when {doing} "{source}": {error.message}', error.details)


def lines(error: LabctlError) -> list[str]:
    """The error as kubectl prints it."""
    if isinstance(error, Exit):
        return []
    if isinstance(error, Errors):
        return [line for each in error.errors for line in _one_of_several(each)]
    if isinstance(error, ApiError):
        return _api_error(error).split("\n")
    text = str(error)
    return text.split("\n") if isinstance(error, Plain) or text.startswith("error: ") else f"error: {text}".split("\n")


def _one_of_several(error: LabctlError) -> list[str]:
    """Among others an error has no `error: ` before it, and one that is invalid tells its causes in one line."""
    if isinstance(error, ApiError) and error.reason:
        return f"Error from server ({error.reason}): {error.message}".split("\n")
    first, *rest = lines(error)
    return [first.removeprefix("error: "), *rest]


def _api_error(error: ApiError) -> str:
    if error.reason == "Invalid" and error.details and error.details.get("causes"):
        return _invalid(error)
    if error.reason == "Unauthorized":
        return "error: You must be logged in to the server (Unauthorized)"
    reason = f" ({error.reason})" if error.reason else ""
    return f"Error from server{reason}: {error.message}"


def _invalid(error: ApiError) -> str:
    details = error.details or {}
    causes = [f"{c['field']}: {c['message']}" if c.get("field") else c["message"] for c in details["causes"]]
    subject = f'The {details["kind"]} "{details.get("name", "")}" is invalid' if details.get("kind") else error.message
    if len(causes) == 1:
        return f"{subject}: {causes[0]}"
    return f"{subject}: \n" + "\n".join(f"* {c}" for c in causes)
