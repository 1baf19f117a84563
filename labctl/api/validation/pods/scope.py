"""What the parts of a PodSpec have to know of the whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from labctl.api.objects import Object


@dataclass(frozen=True, slots=True)
class Scope:
    """A PodSpec while it is looked at."""

    spec: Object
    is_pod: bool  # and not a template in another object
    pod_name: str = ""
    volumes: dict[str, Object] = field(default_factory=dict)  # those that can be mounted, by name

    @property
    def grace_s(self) -> int | None:
        """terminationGracePeriodSeconds."""
        seconds: int | None = self.spec.get("terminationGracePeriodSeconds")
        return seconds

    @property
    def os(self) -> str | None:
        """The operating system that the spec names; empty when it names one of no name."""
        return None if self.spec.get("os") is None else str(self.spec["os"].get("name", ""))

    @property
    def host_users(self) -> bool:
        """Whether users are those of the host, as they are unless the spec says otherwise."""
        return self.spec.get("hostUsers") is not False

    def claims(self) -> list[str]:
        """The names of the resource claims."""
        return [c["name"] for c in self.spec.get("resourceClaims") or () if c.get("name")]

    def every_container(self) -> list[tuple[str, Object]]:
        """Each container of whatever kind, with its path within the spec, in the order of Kubernetes' visitor."""
        return [
            (f"{group}[{index}]", container)
            for group in ("initContainers", "containers", "ephemeralContainers")
            for index, container in enumerate(self.spec.get(group) or ())
        ]

    def context(self) -> dict[str, Any]:
        """The security context of the pod."""
        return self.spec.get("securityContext") or {}
