"""Root of all errors.

LabctlError                a failure that a user can act on: one line, no traceback
├── UsageError             the command line or an argument is wrong (exit 2)
├── MissingPrerequisite    Docker, a tool or a port is missing or unusable (exit 3)
└── labctl.api.status.ApiError   the API server said no (exit 1)
"""

from __future__ import annotations


class LabctlError(Exception):
    """A failure with the thing, the cause and the next step in one line."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(LabctlError):
    """The command line is wrong."""

    exit_code = 2


class MissingPrerequisite(LabctlError):
    """Something outside labctl (Docker, a tool, a free port or range) is missing or unusable."""

    exit_code = 3
