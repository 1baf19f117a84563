"""`labctl rules`: the packet filter rules of nodes with the object behind each, and what a command changes in them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.lab import DEFAULT, Name
from labctl.errors import UsageError

if TYPE_CHECKING:
    from labctl.proxy.explain import Explained

_PANEL = "Learn"
_KINDS = ("svc", "service", "services")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel=_PANEL)(rules)


def rules(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[svc/NAME]", help="Only the rules of this Service.")
    ] = None,
    node: Annotated[str, typer.Option(help="Only this node; else the first, and with --diff all.")] = "",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the Service.")] = "default",
    diff: Annotated[bool, typer.Option("--diff", help="Run the command after -- and show what it changes.")] = False,
    quiet: Annotated[float, typer.Option(help="With --diff: seconds without a change that end the watching.")] = 1.0,
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
    name: Name = DEFAULT,
) -> None:
    """Show a node's rules as the kernel has them, each with the object that put it there.

    Examples: `labctl rules svc/numbers-api`; `labctl rules --diff -- kubectl scale deploy/numbers-api --replicas 3`
    """
    if output not in ("text", "json"):
        raise UsageError(f'output "{output}" is neither text nor json')
    if diff:
        raise typer.Exit(_diff(words or [], node, name, output, quiet_s=quiet))
    service = _service(words or [], namespace)
    from labctl.lab import rules as lab_rules

    there = lab_rules.nodes(name, node)
    first = next(iter(there.containers))
    index = there.index()
    read = lab_rules.Nodes(there.client, there.lab, {first: there.containers[first]}).read()[first]
    found = [e for e in map(index.explain, read) if not service or e.service == service]
    if service and not found:
        raise UsageError(
            f"{first} has no rule of Service {service}", hint=f"'labctl why svc/{service.partition('/')[2]}'"
        )
    _print(sorted(found, key=lambda e: e.rank) if service else found, output)


def _service(words: list[str], namespace: str) -> str:
    """`svc/web` as `default/web`."""
    if not words:
        return ""
    kind, slash, wanted = words[0].partition("/")
    if len(words) > 1 or not slash or kind not in _KINDS or not wanted:
        raise UsageError(f'"{" ".join(words)}" names no Service', hint="such as svc/numbers-api")
    return f"{namespace}/{wanted}"


def _diff(command: list[str], node: str, name: str, output: str, *, quiet_s: float) -> int:
    """Rules before and after a command on every node; its exit code."""
    if not command:
        raise UsageError("--diff needs a command", hint="labctl rules --diff -- kubectl apply -f FILE")
    from labctl.lab import rules as lab_rules
    from labctl.proxy.explain import changes

    nodes = lab_rules.nodes(name, node)
    index, before = nodes.index(), nodes.read()
    try:
        code = subprocess.run(command, check=False).returncode
    except FileNotFoundError:
        raise UsageError(f"{command[0]}: no such command") from None
    sys.stdout.flush()
    after = lab_rules.settled(nodes.read, quiet_s=quiet_s)
    index_after = nodes.index()
    for each, had in before.items():
        changed = changes(had, after[each])
        explained = [((index if sign == "-" else index_after).explain(rule), sign) for sign, rule in changed]
        if output == "text":
            typer.echo(f"{each}: {'no rule changed' if not changed else ''}".rstrip(": ") + (":" if changed else ""))
        _print([e for e, _ in explained], output, node=each, signs=[sign for _, sign in explained])
    return code


def _print(found: Iterable[Explained], output: str, *, node: str = "", signs: list[str] | None = None) -> None:
    """A line each, under the heading of its chain; the objects stand behind a #."""
    if output == "json":
        import orjson

        for number, each in enumerate(found):
            more = {"node": node, "change": signs[number]} if signs else {}
            typer.echo(orjson.dumps({**more, **each.to_json()}).decode())
        return
    heading = ""
    for number, each in enumerate(found):
        where = f"{each.rule.table} {each.rule.chain}"
        if where != heading:
            heading = where
            typer.echo(f"{'  ' if signs else ''}{where}")
        sign = f"{signs[number]} " if signs else ""
        typer.echo(f"  {sign}{each.rule.text}" + (f"\n        # {each.words}" if each.words else ""))
