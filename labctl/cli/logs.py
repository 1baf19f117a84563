"""`labctl logs`: what containers have written, one or many, once or following."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.api.status import ApiError
from labctl.cli.errors import Plain
from labctl.cli.session import Container, Context, Namespace, Selector, Session
from labctl.errors import LabctlError


@dataclass(frozen=True, slots=True)
class Source:
    """One container whose log is wanted."""

    pod: Object
    container: str

    @property
    def prefix(self) -> str:
        """`[pod/web-5d4f/main] `."""
        return f"[pod/{self.pod['metadata']['name']}/{self.container}] "


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Pods")(logs)


def logs(
    target: Annotated[str, typer.Argument(metavar="POD|TYPE/NAME", help="Which pod.")] = "",
    container_word: Annotated[str, typer.Argument(metavar="[CONTAINER]", help="Its container.")] = "",
    container: Container = "",
    selector: Selector = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows.")] = False,
    previous: Annotated[bool, typer.Option("--previous", "-p", help="Of the container before its restart.")] = False,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="With the time of each line.")] = False,
    since: Annotated[str, typer.Option("--since", help="Not older than this, as in 5s, 2m, 3h.")] = "",
    since_time: Annotated[str, typer.Option("--since-time", help="Not older than this RFC 3339 time.")] = "",
    tail: Annotated[int | None, typer.Option("--tail", help="Only this many last lines; all unless given.")] = None,
    limit_bytes: Annotated[int, typer.Option("--limit-bytes", min=1, help="At most this many bytes.")] = 1 << 62,
    all_containers: Annotated[bool, typer.Option("--all-containers", help="All containers of the pod.")] = False,
    all_pods: Annotated[bool, typer.Option("--all-pods", help="All pods of the workload.")] = False,
    prefix: Annotated[bool, typer.Option("--prefix", help="Each line with its pod and container.")] = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Print what a container wrote.

    Examples: `labctl logs deploy/web -f`, `labctl logs -l app=web --prefix --tail=20`
    """
    if bool(target) == bool(selector):
        raise Plain("error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required"
                    " argument for the logs command\nSee 'kubectl logs -h' for help and examples")  # fmt: skip
    if since and since_time:
        raise Plain("error: at most one of `sinceTime` or `sinceSeconds` may be specified")
    if tail is not None and tail < -1:
        raise LabctlError("--tail must be greater than or equal to -1")
    session = Session(context, namespace)
    query = {
        name: "true" for name, on in (("follow", follow), ("previous", previous), ("timestamps", timestamps)) if on
    }
    if since:
        query["sinceSeconds"] = str(_seconds(since))
    if since_time:
        query["sinceTime"] = since_time
    if tail is None and selector and not follow:
        tail = 10
    if tail is not None and tail >= 0:
        query["tailLines"] = str(tail)
    if limit_bytes < 1 << 62:
        query["limitBytes"] = str(limit_bytes)
    sources = _sources(
        session,
        target,
        selector,
        container or container_word,
        all_containers=all_containers or bool(selector and not container and all_containers),
        all_pods=all_pods,
    )
    with_prefix = prefix or all_pods
    if follow and len(sources) > 1:
        _follow_all(context, namespace, sources, query, with_prefix=with_prefix)
        return
    for source in sources:
        _copy(session, source, query, prefix=source.prefix if with_prefix else "")


def _sources(
    session: Session, target: str, selector: str, container: str, *, all_containers: bool, all_pods: bool
) -> list[Source]:
    from labctl.cli import pods as choose

    if selector:
        found = session.list_all(kinds.POD, {"labelSelector": selector})
        if not found:
            typer.echo(f"No resources found in {session.namespace} namespace.", err=True)
    elif all_pods and "/" in target:
        resource = session.resources([target])[0]
        found = choose.pods_behind(session, resource, session.get(resource))
    else:
        found = [_pod(session, target)]
    if not all_containers:
        return [Source(pod, choose.container_of(pod, container)) for pod in found]
    fields = ("initContainers", "containers", "ephemeralContainers")
    return [Source(pod, c["name"]) for pod in found for field in fields for c in pod["spec"].get(field) or ()]


def _pod(session: Session, target: str) -> Object:
    from labctl.cli import pods

    try:
        return pods.pod_of(session, target)
    except ApiError as error:  # logs has words of its own for this
        if error.code != 404:
            raise
        where = f'in namespace "{session.namespace}"'
        raise Plain(f"error: error from server ({error.reason}): {error.message} {where}") from error


def _copy(
    session: Session, source: Source, query: dict[str, str], *, prefix: str, lock: threading.Lock | None = None
) -> None:
    meta = source.pod["metadata"]
    path = session.path(kinds.POD, meta["name"], "log", namespace=meta["namespace"])
    lead = prefix.encode()
    for line in session.transport.raw_lines(path, {**query, "container": source.container}):
        with lock or threading.Lock():
            sys.stdout.buffer.write(lead + line)
            sys.stdout.buffer.flush()


def _follow_all(
    context: str, namespace: str, sources: Sequence[Source], query: dict[str, str], *, with_prefix: bool
) -> None:
    """One connection and one thread for each; lines stay whole."""
    lock = threading.Lock()
    errors: list[LabctlError] = []

    def follow(source: Source) -> None:
        try:
            prefix = source.prefix if with_prefix else ""
            _copy(Session(context, namespace), source, query, prefix=prefix, lock=lock)
        except LabctlError as error:
            errors.append(error)

    threads = [threading.Thread(target=follow, args=(s,), daemon=True) for s in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _seconds(text: str) -> int:
    """`90s`, `1m30s`, `2h` as seconds, rounded up as the API takes whole ones."""
    import math
    import re

    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    parts = re.findall(r"([0-9.]+)(ms|h|m|s)", text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise Plain(f'error: invalid argument "{text}" for "--since" flag: time: invalid duration "{text}"')
    return max(1, math.ceil(sum(float(n) * units[u] for n, u in parts)))
