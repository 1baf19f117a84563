"""`labctl trace`: run a command in a pod and tell the way of its packets, rule by rule."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.cli.errors import Exit, Plain
from labctl.cli.lab import DEFAULT, Name
from labctl.cli.session import Container, Namespace, Session
from labctl.errors import UsageError

if TYPE_CHECKING:
    from labctl.lab.rules import Nodes
    from labctl.trace.story import Story


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Learn")(trace)


def trace(
    source: Annotated[str, typer.Argument(metavar="POD|TYPE/NAME", help="Which pod's packets.")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="HOST:PORT | -- COMMAND...", help="Where to connect, or what to run.")
    ] = None,
    container: Container = "",
    udp: Annotated[
        bool, typer.Option("--udp", help="With HOST:PORT: a UDP packet instead of a TCP connection.")
    ] = False,
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
    namespace: Namespace = "",
    name: Name = DEFAULT,
) -> None:
    """Run the real thing and tell it step by step: names, rules with the objects behind them, nodes, the reply.

    Examples: `labctl trace deploy/web -- curl -s http://numbers-api/rng`, `labctl trace deploy/web numbers-api:80`
    """
    from labctl.cli import pods
    from labctl.lab import rules, taps
    from labctl.lab.paths import context_of

    if output not in ("text", "json"):
        raise UsageError(f'output "{output}" is neither text nor json')
    if not words:
        raise UsageError(
            "say where to connect or what to run", hint="labctl trace deploy/web -- curl http://numbers-api/"
        )
    session = Session(context_of(name), namespace)
    pod = pods.pod_of(session, source)
    address, node = _placed(pod)
    nodes = rules.nodes(name)
    nodes = replace(nodes, containers={node: nodes.containers[node], **nodes.containers})
    others = [
        a["address"] for n in session.list_all(kinds.NODE) for a in n["status"]["addresses"] if a["type"] != "Hostname"
    ]
    tapped = taps.start(nodes, address, others)
    code = 0
    try:
        if _is_address(words):
            host, _, port = words[0].rpartition(":")
            said = taps.probe(nodes, _sandbox(nodes, pod), host, int(port), "udp" if udp else "tcp")
            typer.echo(f"{words[0]}: {said}", err=True)
        else:
            code = _run(session, pod, container, words, quiet=output == "json")
    finally:
        seen = tapped.stop()
    from labctl.trace import story

    known = story.names(session.list_all(kinds.SERVICE, namespace=""), session.list_all(kinds.POD, namespace=""),
                        session.list_all(kinds.NODE))  # fmt: skip
    told = story.tell(
        pod=f"{pod['metadata']['namespace']}/{pod['metadata']['name']}",
        address=address,
        node=node,
        search=_search(nodes, pod),
        seen=seen,
        known=known,
        index=nodes.index(),
    )
    _print(told, output)
    raise typer.Exit(code)


def _print(told: Story, output: str) -> None:
    from labctl.trace import show

    if output == "json":
        import orjson

        typer.echo(orjson.dumps(told.to_json(), option=orjson.OPT_INDENT_2).decode())
        return
    for line in show.lines(told):
        typer.echo(line)


def _placed(pod: Object) -> tuple[str, str]:
    """Address and node of a pod that runs. Raises Plain."""
    status = pod.get("status") or {}
    name = pod["metadata"]["name"]
    if status.get("phase") != "Running" or not status.get("podIP"):
        raise Plain(f"error: pod {name} does not run (labctl why pod/{name})")
    if pod["spec"].get("hostNetwork"):
        raise Plain(f"error: pod {name} has its node's network, where its packets cannot be told from others'")
    return str(status["podIP"]), str(pod["spec"]["nodeName"])


def _is_address(words: list[str]) -> bool:
    return len(words) == 1 and re.fullmatch(r"[\w.:\[\]-]+:\d{1,5}", words[0]) is not None


def _run(session: Session, pod: Object, container: str, words: list[str], *, quiet: bool) -> int:
    from labctl.cli import execute

    session.namespace = pod["metadata"]["namespace"]
    before = sys.stdout
    if quiet:
        sys.stdout = sys.stderr  # the trace alone is what programs read
    try:
        execute.stream(session, pod["metadata"]["name"], container, "exec", words, stdin=False, tty=False, quiet=True)
    except Exit as ended:
        return ended.exit_code
    finally:
        sys.stdout = before
    return 0


def _sandbox(nodes: Nodes, pod: Object) -> str:
    """The container that holds the pod's network namespace."""
    wanted = [f"io.kubernetes.pod.uid={pod['metadata']['uid']}", "io.kubernetes.container.name=POD"]
    found = nodes.client.api.containers(filters={"label": wanted})
    if not found:
        raise Plain(f"error: the sandbox of pod {pod['metadata']['name']} does not run")
    return str(found[0]["Id"])


def _search(nodes: Nodes, pod: Object) -> list[str]:
    """The search list of the pod's resolver, as its sandbox has it."""
    execution = nodes.client.api.exec_create(_sandbox(nodes, pod), ["cat", "/etc/resolv.conf"])
    text: str = nodes.client.api.exec_start(execution["Id"]).decode(errors="replace")
    return next((line.split()[1:] for line in text.splitlines() if line.startswith("search ")), [])
