"""Pods: the STATUS column is the most looked at word of Kubernetes."""

from __future__ import annotations

from typing import Any

from labctl.api.objects import Object
from labctl.api.tables.columns import NONE, Printer, age, age_of, columns


def reason(pod: Object) -> str:
    """What STATUS says: printPod of pkg/printers/internalversion."""
    status = pod.get("status") or {}
    text = status.get("reason") or status.get("phase") or "Unknown"
    initialising, text = _init(pod, text)
    if not initialising:
        text = _main(status, text)
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            return "Unknown"
        if status.get("phase") not in ("Succeeded", "Failed"):
            return "Terminating"
    return text


def _init(pod: Object, text: str) -> tuple[bool, str]:
    specs = {c["name"]: c for c in pod["spec"].get("initContainers") or ()}
    for index, state in enumerate((pod.get("status") or {}).get("initContainerStatuses") or ()):
        terminated = (state.get("state") or {}).get("terminated")
        waiting = (state.get("state") or {}).get("waiting")
        if terminated is not None and terminated.get("exitCode") == 0:
            continue
        if specs.get(state["name"], {}).get("restartPolicy") == "Always" and state.get("started"):
            continue
        if terminated is not None:
            return True, "Init:" + _ended(terminated)
        if waiting is not None and waiting.get("reason") not in (None, "", "PodInitializing"):
            return True, "Init:" + waiting["reason"]
        return True, f"Init:{index}/{len(specs)}"
    return False, text


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _main(status: Object, text: str) -> str:
    running = False
    for state in reversed(status.get("containerStatuses") or ()):
        current = state.get("state") or {}
        if (current.get("waiting") or {}).get("reason"):
            text = current["waiting"]["reason"]
        elif current.get("terminated") is not None:
            text = _ended(current["terminated"])
        elif state.get("ready") and current.get("running") is not None:
            running = True
    if text == "Completed" and running:
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ())
        return "Running" if ready else "NotReady"
    return text


def _restarts(pod: Object, now_s: float) -> str:
    status = pod.get("status") or {}
    sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"}
    init = list(status.get("initContainerStatuses") or ())
    if reason(pod).startswith("Init:"):
        counted = init
    else:
        counted = [*(s for s in init if s["name"] in sidecars), *(status.get("containerStatuses") or ())]
    total = sum(s.get("restartCount", 0) for s in counted)
    ends = [e for s in counted if (e := ((s.get("lastState") or {}).get("terminated") or {}).get("finishedAt"))]
    return f"{total} ({age(max(ends), now_s)} ago)" if total and ends else str(total)


def _ready(pod: Object) -> str:
    status = pod.get("status") or {}
    sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"}
    total = len(pod["spec"].get("containers") or ()) + len(sidecars)
    states = [*(s for s in status.get("initContainerStatuses") or () if s["name"] in sidecars)]
    states += status.get("containerStatuses") or ()
    ready = sum(1 for s in states if s.get("ready") and (s.get("state") or {}).get("running") is not None)
    return f"{ready}/{total}"


def _gates(pod: Object) -> str:
    gates = pod["spec"].get("readinessGates") or ()
    if not gates:
        return NONE
    true = {c["type"] for c in (pod.get("status") or {}).get("conditions") or () if c["status"] == "True"}
    return f"{sum(g['conditionType'] in true for g in gates)}/{len(gates)}"


def _cells(pod: Object, now_s: float) -> list[Any]:
    status = pod.get("status") or {}
    ips = status.get("podIPs") or ([{"ip": status["podIP"]}] if status.get("podIP") else [])
    return [
        pod["metadata"]["name"],
        _ready(pod),
        reason(pod),
        _restarts(pod, now_s),
        age_of(pod, now_s),
        ips[0]["ip"] if ips else NONE,
        pod["spec"].get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(pod),
    ]


PRINTER = Printer(
    columns("Ready", "Status", "Restarts", "Age", wide=("IP", "Node", "Nominated Node", "Readiness Gates")), _cells
)
