"""Which pod a command means: `web-5d4f`, `deploy/web`, `svc/web`; and which of its containers (pkg/polymorphichelpers)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from labctl.api import kinds, selectors
from labctl.api.objects import Object
from labctl.api.times import to_unix
from labctl.cli.errors import Plain
from labctl.cli.session import Resource, Session

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def pod_of(session: Session, word: str) -> Object:
    """The pod that a word means; of a workload or Service the one that works best. Raises Plain, ApiError."""
    kind, slash, name = word.partition("/")
    if not slash:
        return session.get(Resource(kinds.POD, word))
    resource = Resource(session.mapper.resolve(kind), name)
    found = session.get(resource)
    if resource.kind.kind == "Pod":
        return found
    pods = pods_behind(session, resource, found)
    if not pods:
        raise Plain(f"error: timed out waiting for the condition: no pod runs for {resource.title}")
    return max(pods, key=_fitness)


def pods_behind(session: Session, resource: Resource, obj: Object) -> list[Object]:
    """The pods that a workload's or Service's selector selects. Raises Plain for what has none."""
    spec: dict[str, Any] = obj.get("spec") or {}
    selector = spec.get("selector")
    if not selector:
        if resource.kind.kind == "Service":
            raise Plain(f"error: invalid service '{resource.name}': Service is defined without a selector")
        raise Plain(f"error: cannot attach to *{resource.kind.kind}: selector for {resource.title} not implemented")
    if resource.kind.kind in ("Service", "ReplicationController"):
        text = ",".join(f"{k}={v}" for k, v in selector.items())
    else:
        text = str(selectors.from_object(selector))
    return session.list_all(kinds.POD, {"labelSelector": text})


def _fitness(pod: Object) -> tuple[Any, ...]:
    """Order of podutils.ActivePods: scheduled, running, ready, ready for long, few restarts, old."""
    status = pod.get("status") or {}
    ready: Object = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})
    restarts = max((c.get("restartCount", 0) for c in status.get("containerStatuses") or ()), default=0)
    return (
        bool(pod["spec"].get("nodeName")),
        {"Pending": 0, "Unknown": 1, "Running": 2}.get(status.get("phase", ""), 0),
        ready.get("status") == "True",
        -to_unix(ready["lastTransitionTime"]) if ready.get("lastTransitionTime") else 0,
        -restarts,
        -to_unix(pod["metadata"]["creationTimestamp"]),
    )


def container_of(
    pod: Object, asked: str, *, quiet: bool = False, write: Callable[[str], Any] = sys.stderr.write
) -> str:
    """The container to talk to; tells which one was chosen when there are several. Raises Plain."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    main = [c["name"] for c in spec["containers"]]
    others = [(c["name"], kind) for f, kind in _OTHERS for c in spec.get(f) or ()]
    if asked:
        if asked not in (*main, *(n for n, _ in others)):
            every = ", ".join([*main, *(f"{n} ({kind})" for n, kind in others)])
            raise Plain(f"error: container {asked} is not valid for pod {name} out of: {every}")
        return asked
    default = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER)
    if default in main:
        return str(default)
    if len(main) + len(others) > 1 and not quiet:
        all_names = ", ".join([*main, *(f"{n} ({kind})" for n, kind in others)])
        write(f'Defaulted container "{main[0]}" out of: {all_names}\n')
    return str(main[0])


_OTHERS = (("ephemeralContainers", "ephem"), ("initContainers", "init"))
