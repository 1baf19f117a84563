"""`labctl scale`: how many replicas."""

from __future__ import annotations

from typing import Annotated

import typer

from labctl.api.status import ApiError
from labctl.cli.errors import raise_all
from labctl.cli.session import Context, Namespace, Session, needs
from labctl.errors import LabctlError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Objects")(scale)


def scale(
    words: Annotated[list[str], typer.Argument(metavar="TYPE/NAME...", help="What to scale.")],
    replicas: Annotated[int, typer.Option("--replicas", min=0, help="How many there shall be.")],
    current_replicas: Annotated[int, typer.Option("--current-replicas", help="Only if there are this many.")] = -1,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Change how many pods a Deployment or ReplicaSet has.

    Example: `labctl scale deploy/web --replicas=3`
    """
    session = Session(context, namespace)
    errors: list[LabctlError] = []
    for resource in session.resources(needs(words, "say what to scale")):
        try:
            path = session.path(resource.kind, resource.name, "scale")
            if current_replicas >= 0:
                seen = session.transport.request("GET", path).json()["spec"].get("replicas", 0)
                if seen != current_replicas:
                    raise LabctlError(f"Expected replicas to be {current_replicas}, was {seen}")
            body = {"spec": {"replicas": replicas}}
            session.transport.request("PATCH", path, body=body, content_type="application/merge-patch+json")
            typer.echo(f"{resource.title} scaled")
        except ApiError as error:
            errors.append(error)
    raise_all(errors)
