"""When a container is started again: restart policies and the crash-loop back-off. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from labctl.api.objects import Object

INITIAL_S = 10.0
MAX_S = 300.0


def is_sidecar(container: Object) -> bool:
    """An init container that keeps running beside the pod's containers."""
    return container.get("restartPolicy") == "Always"


def should_restart(pod: Object, container: Object, exit_code: int, *, is_init: bool = False) -> bool:
    """Whether a container that ended with this code runs again."""
    if any(_demands_restart(rule, exit_code) for rule in container.get("restartPolicyRules") or ()):
        return True
    policy = container.get("restartPolicy") or pod["spec"].get("restartPolicy") or "Always"
    if is_init and not is_sidecar(container):
        return exit_code != 0 and policy != "Never"
    if policy == "Always":
        return True
    return policy == "OnFailure" and exit_code != 0


def _demands_restart(rule: Object, exit_code: int) -> bool:
    codes = rule.get("exitCodes") or {}
    is_listed = exit_code in (codes.get("values") or ())
    return rule.get("action") == "Restart" and is_listed == (codes.get("operator") == "In")


@dataclass(slots=True)
class Backoff:
    """Doubling delays per key, counted from the time of the last failure; forgotten after twice the maximum."""

    initial_s: float = INITIAL_S
    max_s: float = MAX_S
    _delays: dict[str, tuple[float, float]] = field(default_factory=dict)  # key -> delay, time of last use

    def delay_s(self, key: str) -> float:
        """The delay that applies now; 0 before the first failure."""
        return self._delays.get(key, (0.0, 0.0))[0]

    def wait_s(self, key: str, *, since: float, now: float) -> float:
        """How long from now until the delay that started at `since` is over (0: it is)."""
        return max(0.0, since + self.delay_s(key) - now)

    def grow(self, key: str, *, now: float) -> None:
        """Double the delay after a failure at `now`."""
        delay, used = self._delays.get(key, (0.0, 0.0))
        is_expired = not delay or now - used > 2 * self.max_s
        self._delays[key] = (self.initial_s if is_expired else min(delay * 2, self.max_s), now)

    def forget(self, prefix: str) -> None:
        """Drop all keys that start with `prefix`."""
        for key in [k for k in self._delays if k.startswith(prefix)]:
            del self._delays[key]


def duration_text(seconds: float) -> str:
    """Go's writing of a duration: `10s`, `1m20s`, `5m0s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
