"""What the kubelet knows of a pod's containers: one Instance per start, newest first. Pure values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from labctl.api import times
from labctl.config import LABEL_CONTAINER_NAME
from labctl.engine.protocol import ContainerState
from labctl.kubelet import naming

KILLED = 137  # 128 + SIGKILL


@dataclass(frozen=True, slots=True)
class Instance:
    """One run of a container. Times are Unix seconds, 0 when unknown."""

    id: str
    name: str
    attempt: int
    state: Literal["created", "running", "exited"]
    image: str = ""
    image_id: str = ""
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""  # why it ended
    message: str = ""

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self.state == "running"


@dataclass(slots=True)
class PodInstances:
    """The sandbox and the containers of one pod; of each container the newest two are kept."""

    sandbox: Instance | None = None
    sandbox_address: str = ""
    containers: dict[str, list[Instance]] = field(default_factory=dict)

    def current(self, name: str) -> Instance | None:
        """The newest run of a container."""
        return next(iter(self.containers.get(name, ())), None)

    def previous(self, name: str) -> Instance | None:
        """The run before the newest."""
        return next(iter(self.containers.get(name, ())[1:]), None)

    def put(self, instance: Instance) -> Instance | None:
        """Add or replace a run; returns the one that is too old to be kept."""
        runs = [i for i in self.containers.get(instance.name, []) if i.id != instance.id]
        runs = sorted([*runs, instance], key=lambda i: -i.attempt)
        self.containers[instance.name] = runs[:2]
        return runs[2] if len(runs) > 2 else None

    def find(self, container_id: str) -> Instance | None:
        """The run with this engine id, the sandbox included."""
        known: Iterable[Instance] = (i for runs in self.containers.values() for i in runs)
        if self.sandbox is not None and self.sandbox.id == container_id:
            return self.sandbox
        return next((i for i in known if i.id == container_id), None)

    def alive(self) -> list[Instance]:
        """Everything whose process lives as far as we know, the sandbox included."""
        sandbox = [] if self.sandbox is None or not self.sandbox.is_running else [self.sandbox]
        return [*sandbox, *self.running()]

    def running(self) -> list[Instance]:
        """All containers whose process lives, without the sandbox."""
        return [i for runs in self.containers.values() for i in runs if i.is_running]


def reason_of(exit_code: int, *, oom_killed: bool = False) -> str:
    """Completed, Error or OOMKilled."""
    if oom_killed:
        return "OOMKilled"
    return "Error" if exit_code else "Completed"


def from_state(state: ContainerState) -> Instance:
    """What the engine says of a container after the kubelet was restarted."""
    labels: Mapping[str, str] = state.labels
    status: Literal["created", "running", "exited"] = "exited"
    if state.status in ("running", "paused", "restarting"):
        status = "running"
    elif state.status == "created":
        status = "created"
    return Instance(
        id=state.id,
        name=labels.get(LABEL_CONTAINER_NAME, ""),
        attempt=naming.attempt_of(labels),
        state=status,
        image=state.image,
        image_id=state.image_id,
        started_at=_unix(state.started_at),
        finished_at=_unix(state.finished_at),
        exit_code=state.exit_code,
        reason=reason_of(state.exit_code, oom_killed=state.oom_killed) if status == "exited" else "",
        message=state.error,
    )


def _unix(text: str) -> float:
    return times.to_unix(text) if text else 0.0
