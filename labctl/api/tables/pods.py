"""Pods: the STATUS column is the most looked at word of Kubernetes.

`summary` follows printPod of pkg/printers/internalversion: it starts from the pod's phase, lets the first unfinished
init container speak (`Init:…`), then the app containers, of which the first in the pod's order has the last word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from labctl.api.objects import Object
from labctl.api.tables.columns import AGE, NAME, NONE, WIDE, Column, Printer, age, age_of, name_of
from labctl.api.times import to_unix


@dataclass(frozen=True, slots=True)
class Summary:
    """READY, STATUS and RESTARTS of a pod; `restarted_at` is empty when no container has ended yet."""

    ready: int
    total: int
    reason: str
    restarts: int
    restarted_at: str


def reason(pod: Object) -> str:
    """What STATUS says."""
    return summary(pod).reason


def summary(pod: Object) -> Summary:
    """The pod in five values."""
    status = pod.get("status") or {}
    init_specs = pod["spec"].get("initContainers") or ()
    sidecars = {c["name"] for c in init_specs if c.get("restartPolicy") == "Always"}
    init_states = status.get("initContainerStatuses") or ()
    states = status.get("containerStatuses") or ()

    text, ready_sidecars, initializing = _init(init_states, sidecars, len(init_specs), _phase(status))
    ready, counted = ready_sidecars, list(init_states)
    if not initializing or _is_true(status, "Initialized"):
        text = _main(status, states, text)
        ready += sum(1 for s in states if _runs_ready(s))
        counted = [*(s for s in init_states if s["name"] in sidecars), *states]
    return Summary(
        ready,
        len(pod["spec"].get("containers") or ()) + len(sidecars),
        _deleted(pod, text),
        sum(s.get("restartCount", 0) for s in counted),
        _last_end(counted),
    )


def _phase(status: Object) -> str:
    conditions = status.get("conditions") or ()
    if any(c["type"] == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in conditions):
        return "SchedulingGated"
    return str(status.get("reason") or status.get("phase") or "")


def _init(states: Iterable[Object], sidecars: set[str], total: int, text: str) -> tuple[str, int, bool]:
    """The text so far, how many sidecars are ready, and whether an init container is still to finish."""
    ready = 0
    for index, state in enumerate(states):
        current = state.get("state") or {}
        terminated, waiting = current.get("terminated"), current.get("waiting") or {}
        if terminated is not None and terminated.get("exitCode", 0) == 0:
            continue
        if state["name"] in sidecars and state.get("started"):
            ready += bool(state.get("ready"))
            continue
        if terminated is not None:
            return f"Init:{_ended(terminated)}", ready, True
        if waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}", ready, True
        return f"Init:{index}/{total}", ready, True
    return text, ready, False


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _main(status: Object, states: Iterable[Object], text: str) -> str:
    running, failure = False, ""
    for state in reversed(list(states)):
        current = state.get("state") or {}
        if (current.get("waiting") or {}).get("reason"):
            text = current["waiting"]["reason"]
        elif current.get("terminated") is not None:
            text = _ended(current["terminated"])
            if current["terminated"].get("exitCode", 0) != 0:
                failure = text
        elif _runs_ready(state):
            running = True
    if text != "Completed":
        return text
    if running and _is_true(status, "Ready"):
        return "Running"
    return failure or ("NotReady" if running else text)


def _runs_ready(state: Object) -> bool:
    current = state.get("state") or {}
    decided = (current.get("waiting") or {}).get("reason") or current.get("terminated") is not None
    return not decided and bool(state.get("ready")) and current.get("running") is not None


def _is_true(status: Object, condition: str) -> bool:
    return any(c["type"] == condition and c["status"] == "True" for c in status.get("conditions") or ())


def _deleted(pod: Object, text: str) -> str:
    status = pod.get("status") or {}
    if not pod["metadata"].get("deletionTimestamp"):
        return text
    if status.get("reason") == "NodeLost":
        return "Unknown"
    return text if status.get("phase") in ("Succeeded", "Failed") else "Terminating"


def _last_end(states: Iterable[Object]) -> str:
    ends = [e for s in states if (e := ((s.get("lastState") or {}).get("terminated") or {}).get("finishedAt"))]
    return max(ends, key=to_unix, default="")


def _gates(pod: Object) -> str:
    gates = pod["spec"].get("readinessGates") or ()
    if not gates:
        return NONE
    status = pod.get("status") or {}
    return f"{sum(_is_true(status, g['conditionType']) for g in gates)}/{len(gates)}"


def _cells(pod: Object, now_s: float) -> list[Any]:
    status, seen = pod.get("status") or {}, summary(pod)
    ips = status.get("podIPs") or ([{"ip": status["podIP"]}] if status.get("podIP") else [])
    ago = f" ({age(seen.restarted_at, now_s)} ago)" if seen.restarts and seen.restarted_at else ""
    return [
        name_of(pod),
        f"{seen.ready}/{seen.total}",
        seen.reason,
        f"{seen.restarts}{ago}",
        age_of(pod, now_s),
        ips[0]["ip"] if ips else NONE,
        pod["spec"].get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(pod),
    ]


_COMPLETED = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}


def _conditions(pod: Object) -> list[Object]:
    phase = (pod.get("status") or {}).get("phase", "")
    if phase not in _COMPLETED:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _COMPLETED[phase]}]


PODS = Printer(
    (
        NAME,
        Column("Ready", "How many of the pod's containers are ready, of how many."),
        Column("Status", "The phase of the pod, or what keeps its containers from running."),
        Column("Restarts", "How often containers of the pod were restarted, and when that last happened."),
        AGE,
        Column("IP", "The pod's address, once it has one.", WIDE),
        Column("Node", "The node the pod was assigned to.", WIDE),
        Column("Nominated Node", "The node where room is being made for the pod.", WIDE),
        Column("Readiness Gates", "How many of the pod's extra readiness conditions are true, of how many.", WIDE),
    ),
    _cells,
    _conditions,
)
