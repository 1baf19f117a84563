"""Why a Pod is not Ready.

Reasons are those the kubelet and the scheduler write into the Pod's status and Events
(https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/).
"""

from __future__ import annotations

from typing import Any

from labctl.api.objects import Object, key_of
from labctl.why import commands
from labctl.why import facts as f
from labctl.why.findings import Finding, fine, nearest, note, problem
from labctl.why.policies import port_number


def explain_pod(facts: f.Facts, pod: Object) -> list[Finding]:
    """All that keeps a pod from being Ready; a single FINE finding when nothing does."""
    namespace, name = key_of(pod)
    about = f"pod/{name}"
    status = pod.get("status") or {}
    if "deletionTimestamp" in pod["metadata"]:
        return [note(about, "is terminating: Services stop sending it new connections")]
    if not pod["spec"].get("nodeName"):
        return [_unscheduled(facts, pod, about)]
    found = [
        finding
        for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
        if (finding := _container(facts, pod, container)) is not None
    ]
    if not status.get("containerStatuses"):
        found += _waiting_for_containers(facts, pod, about)
    if found:
        return found
    if f.is_ready(pod):
        return [fine(about, f"is Ready at {status.get('podIP', 'no address')} on {pod['spec']['nodeName']}")]
    if status.get("phase") in ("Succeeded", "Failed"):
        return [problem(about, f"has ended ({status['phase']}): an ended pod is no endpoint")]
    return [problem(about, _newest(facts, pod) or "is not Ready", see=f"kubectl describe pod {name} -n {namespace}")]


def _unscheduled(facts: f.Facts, pod: Object, about: str) -> Finding:
    message = f.condition(pod, "PodScheduled").get("message") or "no node has been chosen yet"
    cordoned = [key_of(n).name for n in facts.nodes if n["spec"].get("unschedulable")]
    fix = f"kubectl uncordon {cordoned[0]}" if cordoned else ""
    return problem(about, f"is not on any node: {message}", fix=fix)


def _waiting_for_containers(facts: f.Facts, pod: Object, about: str) -> list[Finding]:
    newest = _newest(facts, pod, warnings_only=True)
    return [problem(about, f"has no container yet: {newest}")] if newest else []


def _newest(facts: f.Facts, pod: Object, *, warnings_only: bool = False) -> str:
    for event in facts.events_of(pod):
        if event.get("type") == "Warning" or not warnings_only:
            return f"{event.get('reason')}: {event.get('message')}"
    return ""


def _container(facts: f.Facts, pod: Object, status: dict[str, Any]) -> Finding | None:
    about = f"pod/{key_of(pod).name}"
    state = status.get("state") or {}
    if waiting := state.get("waiting"):
        return _waiting(facts, pod, status, waiting)
    if terminated := state.get("terminated"):
        if terminated.get("exitCode") == 0 and terminated.get("reason") == "Completed":
            return None
        return problem(about, f'container "{status["name"]}" ' + _ended(facts, pod, status["name"], terminated),
                       fix=_change(facts, pod), see=commands.logs(pod, status["name"]))  # fmt: skip
    if not status.get("ready") and "running" in state:
        return _not_ready(facts, pod, status)
    return None


def _ended(facts: f.Facts, pod: Object, container: str, terminated: dict[str, Any]) -> str:
    words = facts.seen.last_words.get((key_of(pod), container), "")
    last = f'; its last words: "{words}"' if words else ""
    code = terminated.get("exitCode", "?")
    if terminated.get("reason") == "OOMKilled":
        return f"was killed for using more memory than its limit{last}"
    if code == 0:
        return f"ended by itself (exit code 0); a Deployment wants containers that keep running{last}"
    return f"ended with exit code {code}{last}"


def _waiting(facts: f.Facts, pod: Object, status: dict[str, Any], waiting: dict[str, Any]) -> Finding | None:
    namespace, name = key_of(pod)
    about, reason = f"pod/{name}", waiting.get("reason") or "Waiting"
    what = f'container "{status["name"]}"'
    if reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"):
        return _no_image(facts, pod, status, waiting)
    if reason == "CrashLoopBackOff":
        last = (status.get("lastState") or {}).get("terminated") or {}
        times = status["restartCount"]
        text = f"{what} is started again and again ({times} restarts): it {_ended(facts, pod, status['name'], last)}"
        see = commands.logs(pod, status["name"], previous=True)
        return problem(about, text, fix=_change(facts, pod), see=see)
    if reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        see = f"kubectl describe pod {name} -n {namespace}"
        return problem(about, f"{what}: {waiting.get('message') or reason}", fix=_change(facts, pod), see=see)
    return None


def _no_image(facts: f.Facts, pod: Object, status: dict[str, Any], waiting: dict[str, Any]) -> Finding:
    (namespace, name), (kind, workload) = key_of(pod), commands.workload_of(pod)
    spec: dict[str, Any] = next((c for c in pod["spec"]["containers"] if c["name"] == status["name"]), {})
    image = str(spec.get("image") or status.get("image"))
    working = {
        c["image"]
        for other in facts.pods
        if f.is_ready(other)
        for c in other["spec"]["containers"]
        if c.get("image") and c["image"] != image
    }
    near = nearest(image, working)
    text = f'container "{status["name"]}" cannot get image "{image}" ({waiting.get("reason")})'
    text += f'; other pods run "{near}"' if near else f": {waiting.get('message') or 'no registry has it'}"
    fix = f"kubectl set image {kind}/{workload} {status['name']}={near or 'IMAGE'} -n {namespace}"
    if not near and _has_older(facts, pod):
        fix = _change(facts, pod)
    return problem(f"pod/{name}", text, fix=fix, see=f"kubectl describe pod {name} -n {namespace}")


def _not_ready(facts: f.Facts, pod: Object, status: dict[str, Any]) -> Finding:
    about = f"pod/{key_of(pod).name}"
    unhealthy = next((e for e in facts.events_of(pod) if e.get("reason") == "Unhealthy"), None)
    number, spec = next(
        ((i, c) for i, c in enumerate(pod["spec"]["containers"]) if c["name"] == status["name"]), (0, dict[str, Any]())
    )
    see = commands.logs(pod, status["name"])
    if not spec.get("readinessProbe"):
        return problem(about, f'container "{status["name"]}" runs but is not ready: it is still starting', see=see)
    why = unhealthy["message"] if unhealthy else "its readinessProbe has not succeeded yet"
    fix, more = _mended_probe(facts, pod, number, spec)
    return problem(about, f'container "{status["name"]}" runs but is not ready: {why}{more}', fix=fix, see=see)


def _mended_probe(facts: f.Facts, pod: Object, number: int, container: dict[str, Any]) -> tuple[str, str]:
    """What would make a readiness probe succeed, and what was seen; the older revision where that cannot be known."""
    probe = container["readinessProbe"]
    listening = facts.seen.listening.get(key_of(pod))
    kind = "httpGet" if "httpGet" in probe else "tcpSocket" if "tcpSocket" in probe else ""
    (workload, name), namespace = commands.workload_of(pod), key_of(pod).namespace
    if kind and listening and workload == "deploy":
        asked = port_number(pod, probe[kind]["port"], "TCP")
        if asked not in listening:
            path = f"/spec/template/spec/containers/{number}/readinessProbe/{kind}/port"
            seen = f"; it listens on {', '.join(map(str, sorted(listening)))}, the probe asks {probe[kind]['port']}"
            return commands.json_patch("deploy", name, namespace, path, min(listening)), seen
    return _change(facts, pod), ""


def _has_older(facts: f.Facts, pod: Object) -> bool:
    kind, name = commands.workload_of(pod)
    sets = facts.in_namespace(facts.replica_sets, key_of(pod).namespace)
    own = [r for r in sets if any(o.get("name") == name for o in r["metadata"].get("ownerReferences") or ())]
    return kind == "deploy" and len(own) > 1


def _change(facts: f.Facts, pod: Object) -> str:
    """Back to the revision before, if there is one; else to the editor."""
    kind, name = commands.workload_of(pod)
    if _has_older(facts, pod):
        return f"kubectl rollout undo deploy/{name} -n {key_of(pod).namespace}"
    return f"kubectl edit {kind}/{name} -n {key_of(pod).namespace}"
