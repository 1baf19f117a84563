"""Why a Pod is not Ready.

Reasons are those the kubelet and the scheduler write into the Pod's status and Events
(https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/).
"""

from __future__ import annotations

from typing import Any

from labctl.api.objects import Object, key_of
from labctl.why import facts as f
from labctl.why.findings import Finding, fine, note, problem


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
    return [problem(about, _newest(facts, pod) or "is not Ready", fix=f"kubectl describe pod {name} -n {namespace}")]


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
        return _waiting(pod, status, waiting)
    if terminated := state.get("terminated"):
        if terminated.get("exitCode") == 0 and terminated.get("reason") == "Completed":
            return None
        return problem(
            about,
            f'container "{status["name"]}" ended with exit code {terminated.get("exitCode")}',
            fix=_logs(pod, status["name"]),
        )
    if not status.get("ready") and "running" in state:
        return _not_ready(facts, pod, status)
    return None


def _waiting(pod: Object, status: dict[str, Any], waiting: dict[str, Any]) -> Finding | None:
    namespace, name = key_of(pod)
    about, reason = f"pod/{name}", waiting.get("reason") or "Waiting"
    what = f'container "{status["name"]}"'
    if reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"):
        text = f'{what} cannot get image "{status.get("image")}" ({reason}): {waiting.get("message", "")}'
        owner: dict[str, Any] = next(iter(pod["metadata"].get("ownerReferences") or ()), {})
        workload = owner.get("name", "").rpartition("-")[0]
        fix = f"kubectl set image deploy/{workload} {status['name']}=IMAGE -n {namespace}" if workload else ""
        return problem(about, text, fix=fix)
    if reason == "CrashLoopBackOff":
        last = (status.get("lastState") or {}).get("terminated") or {}
        text = (
            f"{what} keeps ending with exit code {last.get('exitCode', '?')}, restarted {status['restartCount']} times"
        )
        return problem(about, text, fix=_logs(pod, status["name"], previous=True))
    if reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        return problem(about, f"{what}: {waiting.get('message') or reason}")
    return None


def _not_ready(facts: f.Facts, pod: Object, status: dict[str, Any]) -> Finding:
    about = f"pod/{key_of(pod).name}"
    unhealthy = next((e for e in facts.events_of(pod) if e.get("reason") == "Unhealthy"), None)
    spec: dict[str, Any] = next((c for c in pod["spec"]["containers"] if c["name"] == status["name"]), {})
    if unhealthy:
        why = unhealthy["message"]
    elif spec.get("readinessProbe"):
        why = "its readinessProbe has not succeeded yet"
    else:
        why = "it is still starting"
    text = f'container "{status["name"]}" runs but is not ready: {why}'
    return problem(about, text, fix=_logs(pod, status["name"]))


def _logs(pod: Object, container: str, *, previous: bool = False) -> str:
    namespace, name = key_of(pod)
    return f"kubectl logs {name} -c {container} -n {namespace}" + (" --previous" if previous else "")
