"""`labctl why`: why a Service, a pod or a URL does not work, and which command mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.session import AllNamespaces, Context, Namespace
from labctl.errors import LabctlError, UsageError

if TYPE_CHECKING:
    from labctl.client.kubeconfig import Target
    from labctl.lab.eyes import LabEyes
    from labctl.why.findings import Finding


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Learn")(why)


def why(
    target: Annotated[
        str, typer.Argument(help="svc/NAME, pod/NAME, deploy/NAME, a URL or HOST:PORT; everything unless given.")
    ] = "",
    source: Annotated[
        str,
        typer.Option("--from", metavar="POD|TYPE/NAME", help="The pod that asks; any of the namespace unless given."),
    ] = "",
    namespace: Namespace = "",
    all_namespaces: AllNamespaces = False,
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
    context: Context = "",
) -> None:
    """Say why a Service, a pod or a URL does not work, and which command mends it; exit code 1 when it does not.

    Examples: `labctl why`, `labctl why svc/numbers-api`, `labctl why http://numbers-api/rng --from deploy/numbers-web`
    """
    import asyncio

    from labctl.cli.session import labs_context
    from labctl.client import kubeconfig
    from labctl.why.ask import explain, explain_everything

    if output not in ("text", "json"):
        raise UsageError(f'output "{output}" is neither text nor json')
    where = kubeconfig.load(context or labs_context())
    namespace = namespace or where.namespace
    eyes = _eyes(where)
    if target:
        found = asyncio.run(explain(where.api(), target, namespace, eyes=eyes, source=source))
    else:
        found = asyncio.run(explain_everything(where.api(), "" if all_namespaces else namespace, eyes=eyes))
    _print(found, output)
    raise typer.Exit(1 if any(f.is_problem for f in found) else 0)


def _eyes(where: Target) -> LabEyes | None:
    """Who looks into the pods, if the context is that of a lab on this machine; of other clusters the API tells all."""
    from labctl.lab import engine, paths

    if not any(where.context == paths.context_of(name) for name in paths.known_labs()):
        return None
    from labctl.lab.eyes import LabEyes

    try:
        return LabEyes(engine.connect(timeout_s=30))
    except LabctlError:
        return None


def _print(found: list[Finding], output: str) -> None:
    if output == "json":
        import orjson

        typer.echo(orjson.dumps([f.to_json() for f in found], option=orjson.OPT_INDENT_2).decode())
        return
    from labctl.why.findings import lines

    for line in lines(found):
        typer.echo(line)
