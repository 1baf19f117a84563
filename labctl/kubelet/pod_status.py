"""A pod's status from its containers: states, phase and conditions. Pure; follows the kubelet's status generation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from labctl.api import times
from labctl.api.objects import Object
from labctl.kubelet.instances import Instance, PodInstances
from labctl.kubelet.restarts import is_sidecar, should_restart

KUBELET_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container is not running: ContainerCreating, CrashLoopBackOff, ErrImagePull …"""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a status is made of; `started` and `ready` hold the names of containers whose probes say so."""

    instances: PodInstances
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    started: frozenset[str] = frozenset()
    ready: frozenset[str] = frozenset()
    pod_ips: tuple[str, ...] = ()
    host_ips: tuple[str, ...] = ()
    has_sandbox: bool = False
    is_node_lost: bool = False  # nobody reaches the pod
    is_terminal: bool = False  # deleted: nothing will be started again
    failure: tuple[str, str] | None = None  # reason, message of a pod that the kubelet has failed (DeadlineExceeded)


def build(pod: Object, facts: Facts, now: float) -> Object:
    """The complete status of the pod."""
    spec, old = pod["spec"], pod.get("status") or {}
    inits = [_container_status(pod, c, facts, is_init=True) for c in spec.get("initContainers") or ()]
    apps = [_container_status(pod, c, facts) for c in spec["containers"]]
    phase = _phase(pod, inits, apps, facts)
    status: Object = {
        "phase": phase,
        "conditions": _conditions(pod, phase, inits, apps, facts, now),
        "hostIP": next(iter(facts.host_ips), ""),
        "hostIPs": [{"ip": ip} for ip in facts.host_ips],
        "startTime": old.get("startTime") or times.format_time(now),
        "containerStatuses": apps,
        "qosClass": old.get("qosClass") or qos_class(pod),
        "resources": {},
    }
    if facts.failure is not None:
        status["reason"], status["message"] = facts.failure
    elif phase == old.get("phase"):
        status |= {key: old[key] for key in ("reason", "message") if old.get(key)}
    if inits:
        status["initContainerStatuses"] = inits
    if ephemeral := spec.get("ephemeralContainers"):
        status["ephemeralContainerStatuses"] = [_container_status(pod, c, facts) for c in ephemeral]
    if facts.pod_ips:
        status |= {"podIP": facts.pod_ips[0], "podIPs": [{"ip": ip} for ip in facts.pod_ips]}
    if "generation" in pod["metadata"]:
        status["observedGeneration"] = pod["metadata"]["generation"]
    return status


def _container_status(pod: Object, container: Object, facts: Facts, *, is_init: bool = False) -> Object:
    name = container["name"]
    current, previous = facts.instances.current(name), facts.instances.previous(name)
    if current is not None and current.state == "created":
        current = None if previous is None else previous
        previous = None
    state, last = _state(pod, container, facts, current, previous, is_init=is_init)
    is_running = "running" in state
    to_the_end = is_init and not is_sidecar(container)
    is_ready = state.get("terminated", {}).get("exitCode") == 0 if to_the_end else is_running and name in facts.ready
    status: Object = {
        "name": name,
        "state": state,
        "lastState": {} if last is None else {"terminated": _terminated(last)},
        "ready": is_ready,
        "restartCount": 0 if current is None else current.attempt,
        "image": container["image"] if current is None else current.image,
        "imageID": "" if current is None else current.image_id,
        "started": is_running and name in facts.started,
    }
    if current is not None:
        status |= {"containerID": f"docker://{current.id}", "resources": container.get("resources") or {}}
        if requests := (container.get("resources") or {}).get("requests"):
            status["allocatedResources"] = requests
    if mounts := container.get("volumeMounts"):
        status["volumeMounts"] = [_mount_status(m) for m in mounts]
    return status


def _mount_status(mount: Mapping[str, Any]) -> Object:
    status: Object = {"name": mount["name"], "mountPath": mount["mountPath"]}
    return status | ({"readOnly": True, "recursiveReadOnly": "Disabled"} if mount.get("readOnly") else {})


def _state(
    pod: Object,
    container: Object,
    facts: Facts,
    current: Instance | None,
    previous: Instance | None,
    *,
    is_init: bool,
) -> tuple[Object, Instance | None]:
    """The state and the run that lastState tells of."""
    waiting = facts.waiting.get(container["name"])
    if current is None:
        default = "PodInitializing" if pod["spec"].get("initContainers") else "ContainerCreating"
        return {"waiting": _waiting(waiting or Waiting(default))}, previous
    if current.is_running:
        return {"running": {"startedAt": times.format_time(current.started_at)}}, previous
    again = not facts.is_terminal and should_restart(pod, container, current.exit_code, is_init=is_init)
    if waiting is not None and again:
        return {"waiting": _waiting(waiting)}, current
    return {"terminated": _terminated(current)}, previous


def _waiting(waiting: Waiting) -> Object:
    return {"reason": waiting.reason} | ({"message": waiting.message} if waiting.message else {})


def _terminated(instance: Instance) -> Object:
    ended: Object = {
        "containerID": f"docker://{instance.id}",
        "exitCode": instance.exit_code,
        "finishedAt": times.format_time(instance.finished_at) if instance.finished_at else None,
        "reason": instance.reason,
        "startedAt": times.format_time(instance.started_at) if instance.started_at else None,
    }
    return ended | ({"message": instance.message} if instance.message else {})


def _phase(pod: Object, inits: list[Object], apps: list[Object], facts: Facts) -> str:
    if facts.failure is not None:
        return "Failed"
    old = (pod.get("status") or {}).get("phase")
    if old in ("Succeeded", "Failed"):
        return str(old)
    specs = {c["name"]: c for c in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"])}
    regular = [s for s in inits if not is_sidecar(specs[s["name"]])]
    if any(_has_failed_for_good(pod, specs[s["name"]], s) for s in regular):
        return "Failed"
    if any(_is_pending_init(s) for s in regular):
        return "Pending"
    have_run = any("waiting" not in s["state"] or s["lastState"] for s in apps)
    sidecars = [s for s in inits if is_sidecar(specs[s["name"]])]
    if not have_run and any(not s["started"] for s in sidecars):
        return "Pending"
    return _phase_of_apps(pod, specs, apps, facts, sidecars_run=any("running" in s["state"] for s in sidecars))


def _phase_of_apps(
    pod: Object, specs: Mapping[str, Object], apps: list[Object], facts: Facts, *, sidecars_run: bool
) -> str:
    ends = [_last_end(s) for s in apps]
    if any("waiting" in s["state"] and end is None for s, end in zip(apps, ends, strict=True)):
        return "Pending"
    if any("running" in s["state"] for s in apps) or (
        sidecars_run and not facts.is_terminal and _any_restarts(pod, specs, apps)
    ):
        return "Running"
    if not facts.is_terminal and _any_restarts(pod, specs, apps):
        return "Running"
    return "Succeeded" if all(end is not None and end["exitCode"] == 0 for end in ends) else "Failed"


def _any_restarts(pod: Object, specs: Mapping[str, Object], apps: Iterable[Object]) -> bool:
    return any(
        should_restart(pod, specs[s["name"]], end["exitCode"]) for s in apps if (end := _last_end(s)) is not None
    )


def _last_end(status: Object) -> Object | None:
    ended = status["state"].get("terminated") or status["lastState"].get("terminated")
    return None if "running" in status["state"] else ended


def _is_pending_init(status: Object) -> bool:
    ended = status["state"].get("terminated")
    return ended is None or ended["exitCode"] != 0


def _has_failed_for_good(pod: Object, container: Object, status: Object) -> bool:
    ended = status["state"].get("terminated") or status["lastState"].get("terminated")
    if ended is None or ended["exitCode"] == 0 or "running" in status["state"]:
        return False
    return not should_restart(pod, container, ended["exitCode"], is_init=True)


def _conditions(
    pod: Object, phase: str, inits: list[Object], apps: list[Object], facts: Facts, now: float
) -> list[Object]:
    old = {c["type"]: c for c in (pod.get("status") or {}).get("conditions") or ()}
    foreign = [c for kind, c in old.items() if kind not in KUBELET_CONDITIONS]
    containers_ready = _containers_ready(pod, phase, inits, apps)
    own = {
        "PodReadyToStartContainers": ("True" if facts.has_sandbox else "False", "", ""),
        "Initialized": _initialized(pod, phase, inits, apps),
        "Ready": ("False", "", "") if facts.is_node_lost else _ready(pod, containers_ready, foreign),
        "ContainersReady": containers_ready,
        "PodScheduled": ("True", "", ""),
    }
    return [*foreign, *(_condition(kind, *own[kind], old.get(kind), pod, now) for kind in KUBELET_CONDITIONS)]


def _condition(kind: str, value: str, reason: str, message: str, old: Object | None, pod: Object, now: float) -> Object:
    is_same = old is not None and old.get("status") == value
    condition: Object = {
        "type": kind,
        "status": value,
        "lastProbeTime": None,
        "lastTransitionTime": old["lastTransitionTime"] if old is not None and is_same else times.format_time(now),
    }
    condition |= {"reason": reason} if reason else {}
    condition |= {"message": message} if message else {}
    if "generation" in pod["metadata"]:
        condition["observedGeneration"] = pod["metadata"]["generation"]
    return condition


_ENDED = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}


def _names(statuses: Iterable[Object]) -> str:
    return "[" + " ".join(s["name"] for s in statuses) + "]"


def _containers_ready(pod: Object, phase: str, inits: list[Object], apps: list[Object]) -> tuple[str, str, str]:
    if phase in _ENDED:
        return "False", _ENDED[phase], ""
    sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if is_sidecar(c)}
    unready = [s for s in (*(s for s in inits if s["name"] in sidecars), *apps) if not s["ready"]]
    if unready:
        return "False", "ContainersNotReady", f"containers with unready status: {_names(unready)}"
    return "True", "", ""


def _ready(pod: Object, containers_ready: tuple[str, str, str], foreign: list[Object]) -> tuple[str, str, str]:
    if containers_ready[0] != "True":
        return containers_ready
    known = {c["type"]: c.get("status") for c in foreign}
    complaints = []
    for gate in pod["spec"].get("readinessGates") or ():
        kind = gate["conditionType"]
        if kind not in known:
            complaints.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif known[kind] != "True":
            complaints.append(f'the status of pod readiness gate "{kind}" is not "True", but {known[kind]}')
    return ("False", "ReadinessGatesNotReady", ", ".join(complaints)) if complaints else ("True", "", "")


def _initialized(pod: Object, phase: str, inits: list[Object], apps: list[Object]) -> tuple[str, str, str]:
    if phase == "Succeeded" and inits:
        return "True", "PodCompleted", ""
    have_run = any("waiting" not in s["state"] or s["lastState"] for s in apps)
    sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if is_sidecar(c)}
    incomplete = [s for s in inits if not (s["started"] if s["name"] in sidecars else s["ready"])]
    if incomplete and not have_run:
        return "False", "ContainersNotInitialized", f"containers with incomplete status: {_names(incomplete)}"
    return "True", "", ""


def qos_class(pod: Object) -> str:
    """Guaranteed, Burstable or BestEffort, from requests and limits of cpu and memory."""
    spec = pod["spec"]
    resources = [c.get("resources") or {} for c in (*(spec.get("initContainers") or ()), *spec["containers"])]
    amounts = [(r.get("requests") or {}, r.get("limits") or {}) for r in resources]
    used = [{k: v for k, v in d.items() if k in ("cpu", "memory")} for pair in amounts for d in pair]
    if not any(used):
        return "BestEffort"
    for requests, limits in amounts:
        if any(limits.get(k) is None or requests.get(k, limits[k]) != limits[k] for k in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"
