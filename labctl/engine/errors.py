"""Failures of the container engine.

EngineError                      anything the engine refused or could not do
├── EngineUnreachable            the engine does not answer
├── ImageUnavailable             an image is not there and could not be pulled
├── NoSuchContainer              the container does not exist (any more)
├── NameInUse                    another container has the name
├── AddressInUse                 another container has the IP address
├── PortUnavailable              a host port could not be published; `port` says which
└── StartFailed                  the container's process could not be started (no such command, bad mount …)
"""

from __future__ import annotations

from labctl.errors import LabctlError


class EngineError(LabctlError):
    """The engine refused; `text` are its own words."""

    def __init__(self, text: str, *, hint: str = "") -> None:
        super().__init__(text, hint=hint)
        self.text = text


class EngineUnreachable(EngineError):
    """No answer from the engine."""


class ImageUnavailable(EngineError):
    """`image` is not there and could not be pulled; `is_unreachable` when no registry answered at all."""

    def __init__(self, image: str, text: str, *, is_unreachable: bool = False) -> None:
        super().__init__(text)
        self.image = image
        self.is_unreachable = is_unreachable


class NoSuchContainer(EngineError):
    """The container does not exist."""


class NameInUse(EngineError):
    """The name belongs to another container, whose id is `holder` when the engine told it."""

    def __init__(self, text: str, *, holder: str = "") -> None:
        super().__init__(text)
        self.holder = holder


class AddressInUse(EngineError):
    """The requested IP address belongs to somebody else."""


class PortUnavailable(EngineError):
    """Host port `port` (0 when the engine did not say which) cannot be published."""

    def __init__(self, port: int, text: str) -> None:
        super().__init__(text)
        self.port = port


class StartFailed(EngineError):
    """The container's process could not be started."""
