"""What all handlers of one API server share."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.apiserver.authentication import Authenticator
from labctl.apiserver.registry import Registry
from labctl.apiserver.runtime import NodeRuntime


@dataclass(frozen=True, slots=True)
class Context:
    """The registry, who checks tokens, and (where pods really run) the way into them."""

    registry: Registry
    authenticator: Authenticator
    runtime: NodeRuntime | None = None
    server_address: str = ""
