"""Commands for learning: lessons."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from labctl.cli.lab import DEFAULT, Name
from labctl.errors import UsageError

_PANEL = "Learn"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel=_PANEL)(lesson)


def lesson(
    chapter: Annotated[str, typer.Argument(help="Which lesson, for example chapter3.")] = "chapter3",
    client: Annotated[str, typer.Option("--with", help="kubectl or labctl; kubectl unless it is not on PATH.")] = "",
    name: Name = DEFAULT,
) -> None:
    """Play a lesson step by step; exit code 1 when a step does not come out.

    Example: `labctl lesson chapter3`
    """
    from labctl.lab.lessons import player, stage
    from labctl.lab.paths import context_of

    client = client or ("kubectl" if shutil.which("kubectl") else "labctl")
    if client not in ("kubectl", "labctl"):
        raise UsageError(f'a lesson is played with kubectl or labctl, not with "{client}"')
    # The lesson's context is the lab's, whatever the current one is: its commands are shown as one would type them.
    with stage.outside_hosts(name) as outside, kubeconfig_of(context_of(name)) as path:
        environment = {**os.environ, "KUBECONFIG": path, "LABCTL_NAME": name}
        environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        port = stage.free_port(player.PORT)
        if port != player.PORT:
            _write(f"Port {player.PORT} of this machine is taken: the lesson uses {port} instead.\n\n")
        changes = {"kubectl ": f"{client} ", player.OUTSIDE: outside, str(player.PORT): str(port)}
        summary = player.play(chapter, environment=environment, write=_write, changes=changes)
    raise typer.Exit(1 if summary.failed else 0)


@contextmanager
def kubeconfig_of(context: str) -> Iterator[str]:
    """A kubeconfig of its own with one context, for the commands of a lesson."""
    from labctl.client import kubeconfig

    with tempfile.TemporaryDirectory(prefix="labctl-") as folder:
        path = Path(folder, "config")
        found = kubeconfig.load(context)
        kubeconfig.add_context(
            context, server=found.server, ca_certificate=found.ca_certificate, token=found.token, path=path
        )
        yield str(path)


def _write(text: str) -> None:
    typer.echo(text, nl=False)
