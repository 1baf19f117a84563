"""`labctl trace`: run a command in a pod and tell the way of its packets, rule by rule."""

from __future__ import annotations

import re
import subprocess
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
    from labctl.trace.model import Story


HOST = "host"
_LAST_PORT = 65535


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Learn")(trace)


def trace(
    source: Annotated[
        str, typer.Argument(metavar="POD|TYPE/NAME|host", help="Whose packets: a pod's, or this machine's (host).")
    ],
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

    Examples: `labctl trace deploy/web -- curl -s http://numbers-api/rng`, `labctl trace deploy/web numbers-api:80`,
    `labctl trace host -- curl -s http://localhost:8080/`
    """
    from labctl.lab import rules, taps
    from labctl.lab.paths import context_of
    from labctl.trace import model, story

    if output not in ("text", "json"):
        raise UsageError(f'output "{output}" is neither text nor json')
    if not words:
        raise UsageError(
            "say where to connect or what to run", hint="labctl trace deploy/web -- curl http://numbers-api/"
        )
    to = _address(words)
    session = Session(context_of(name), namespace)
    nodes = rules.nodes(name)
    begin = _Host(nodes) if source == HOST else _Pod(session, nodes, source, container)
    others = taps.addresses(begin.nodes)
    tapped = taps.start(
        begin.nodes, begin.origin.addresses, [a for listed in others.values() for a in listed], begin.titles
    )
    code = 0
    try:
        if to is not None:
            said = begin.probe(*to, "udp" if udp else "tcp")
            typer.echo(f"{words[0]}: {said}", err=True)
        else:
            code = begin.run(words, quiet=output == "json")
    finally:
        seen = tapped.stop()
    known = model.names(session.list_all(kinds.SERVICE, namespace=""), session.list_all(kinds.POD, namespace=""),
                        session.list_all(kinds.NODE))  # fmt: skip
    owners = {a: begin.titles.get(c, f"Node {c}") for c, listed in others.items() for a in listed}
    known = model.Names({**owners, begin.origin.address: "this machine", **known.by_address})
    _print(story.tell(begin.origin, seen=seen, known=known, index=nodes.index()), output)
    raise typer.Exit(code)


class _Pod:
    """A pod as the origin of packets."""

    def __init__(self, session: Session, nodes: Nodes, source: str, container: str) -> None:
        from labctl.cli import pods
        from labctl.trace.model import Origin

        self._pod = pods.pod_of(session, source)
        self._session, self._container = session, container
        address, address6, node = _placed(self._pod)
        if node not in nodes.containers:
            raise Plain(f"error: {node}, the pod's node, does not run (labctl up repairs it)")
        self.nodes = replace(nodes, containers={node: nodes.containers[node], **nodes.containers})
        self.titles: dict[str, str] = {}
        self._sandbox = _sandbox(nodes, self._pod)
        search, gateway = _resolver_and_route(nodes, self._sandbox)
        name = f"{self._pod['metadata']['namespace']}/{self._pod['metadata']['name']}"
        self.origin = Origin(f"Pod {name} on {node}", address, (node,), search, gateway, address6)

    def run(self, words: list[str], *, quiet: bool) -> int:
        """Run a command in the pod; its exit code."""
        return _run(self._session, self._pod, self._container, words, quiet=quiet)

    def probe(self, host: str, port: int, protocol: str) -> str:
        """Connect from the pod."""
        from labctl.lab import taps

        return taps.probe(self.nodes, self._sandbox, host, port, protocol)


class _Host:
    """This machine as the origin of packets: they come into the lab through the load balancers' containers."""

    def __init__(self, nodes: Nodes) -> None:
        from labctl.lab import taps
        from labctl.trace.model import Origin

        balancers, self.titles = taps.balancers(nodes)
        if not balancers:
            raise Plain("error: no Service is published on this machine; those of type LoadBalancer and NodePort are")
        self.nodes = replace(nodes, containers={**balancers, **nodes.containers})
        self.origin = Origin("This machine", taps.lan_gateway(nodes), tuple(balancers))

    def run(self, words: list[str], *, quiet: bool) -> int:
        """Run a command on this machine; its exit code."""
        try:
            return subprocess.run(words, check=False, stdout=sys.stderr if quiet else None).returncode
        except OSError as error:
            raise Plain(f"error: {words[0]}: {error.strerror}") from None

    def probe(self, host: str, port: int, protocol: str) -> str:
        """Connect from this machine."""
        from labctl.lab import taps

        return taps.probe_here(host, port, protocol)


def _print(told: Story, output: str) -> None:
    from labctl.trace import show

    if output == "json":
        import orjson

        typer.echo(orjson.dumps(told.to_json(), option=orjson.OPT_INDENT_2).decode())
        return
    sys.stdout.flush()
    for line in show.lines(told):
        typer.echo(line)


def _placed(pod: Object) -> tuple[str, str, str]:
    """The addresses of both families and the node of a pod that runs. Raises Plain."""
    status = pod.get("status") or {}
    name = pod["metadata"]["name"]
    if status.get("phase") != "Running" or not status.get("podIP"):
        raise Plain(f"error: pod {name} does not run (labctl why pod/{name})")
    if pod["spec"].get("hostNetwork"):
        raise Plain(f"error: pod {name} has its node's network, where its packets cannot be told from others'")
    second = next((i["ip"] for i in status.get("podIPs") or () if i["ip"] != status["podIP"]), "")
    return str(status["podIP"]), str(second), str(pod["spec"]["nodeName"])


def _address(words: list[str]) -> tuple[str, int] | None:
    """Host and port, where that is all that is said; None for a command. Raises UsageError for neither."""
    host, colon, port = words[0].rpartition(":")
    if len(words) > 1 or not colon or "/" in words[0]:
        return None
    if not re.fullmatch(r"\d{1,5}", port) or not 0 < int(port) <= _LAST_PORT or not host:
        raise UsageError(f'"{words[0]}" is not HOST:PORT', hint="such as numbers-api:80")
    return host.strip("[]"), int(port)


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
    except Plain as failure:
        if "executable file not found" in str(failure):
            raise Plain(f'error: the image of pod {pod["metadata"]["name"]} has no command "{words[0]}"; '
                        "HOST:PORT instead of a command needs none") from None  # fmt: skip
        raise
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


def _resolver_and_route(nodes: Nodes, sandbox: str) -> tuple[tuple[str, ...], str]:
    """The search list of the pod's resolver and its default route, as its sandbox has them."""
    script = ["sh", "-c", "cat /etc/resolv.conf; ip route show default"]
    execution = nodes.client.api.exec_create(sandbox, script)
    lines = nodes.client.api.exec_start(execution["Id"]).decode(errors="replace").splitlines()
    search = next((line.split()[1:] for line in lines if line.startswith("search ")), [])
    gateway = next((line.split()[2] for line in lines if line.startswith("default via ")), "")
    return tuple(search), gateway
