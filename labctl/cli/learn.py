"""Commands for learning: lessons, and why something does not work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from labctl.cli.lab import DEFAULT, Name

_PANEL = "Learn"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=_PANEL)(lesson)
    app.command(rich_help_panel=_PANEL)(why)


def lesson(
    chapter: Annotated[str, typer.Argument(help="Which lesson, for example chapter3.")] = "chapter3",
    name: Name = DEFAULT,
) -> None:
    """Play a lesson with stock kubectl step by step; exit code 1 when a step does not come out.

    Example: `labctl lesson chapter3`
    """
    from labctl.lab.lessons import player, stage
    from labctl.lab.tools import kubectl_binary

    kubectl = kubectl_binary()
    environment = {**os.environ, "PATH": f"{Path(kubectl).parent}:{os.environ['PATH']}"}
    with stage.outside_hosts(name):
        summary = player.play(chapter, environment=environment, write=_write)
    raise typer.Exit(1 if summary.failed else 0)


def why(
    target: Annotated[str, typer.Argument(help="svc/NAME, pod/NAME, a URL or HOST:PORT.")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace to look from.")] = "",
    context: Annotated[str, typer.Option(help="Context of the kubeconfig; the current one unless given.")] = "",
) -> None:
    """Say why a Service, a Pod or a URL does not work, and which command mends it; exit code 1 when it does not.

    Example: `labctl why svc/numbers-api`
    """
    import asyncio

    from labctl.client import kubeconfig
    from labctl.why.ask import explain

    where = kubeconfig.load(context)
    found = asyncio.run(explain(where.api(), target, namespace or where.namespace))
    width = max((len(f.about) for f in found), default=0)
    for finding in found:
        typer.echo(f"{finding.severity.value:<8} {finding.about:<{width}}  {finding.text}")
        if finding.fix:
            typer.echo(f"{'':<8} {'':<{width}}  {finding.fix}")
    raise typer.Exit(1 if any(f.is_problem for f in found) else 0)


def _write(text: str) -> None:
    typer.echo(text, nl=False)
