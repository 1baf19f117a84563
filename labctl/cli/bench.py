"""`labctl bench`: what a number of Services costs on this machine."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.lab import DEFAULT, Name, ProxyMode
from labctl.errors import UsageError

if TYPE_CHECKING:
    from labctl.proxy.mode import Mode

_PANEL = "Learn"
_LARGEST = 20_000


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Measure a lab that runs.", rich_markup_mode="markdown")
    group.command()(synthetic)
    group.callback()(_group)
    app.add_typer(group, name="bench", rich_help_panel=_PANEL)


def _group() -> None:
    """Measure a lab that runs."""


def synthetic(
    services: Annotated[int, typer.Option(help=f"Number of Services, up to {_LARGEST}.")] = 1000,
    proxy_mode: Annotated[ProxyMode | None, typer.Option(help="Only this mode; both unless given.")] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
    name: Name = DEFAULT,
) -> None:
    """Fill a lab with synthetic Services and draw what their number costs, iptables against nftables.

    They are in a namespace of their own and are removed afterwards. Example: `labctl bench synthetic --services 5000`
    """
    import asyncio

    if not 1 <= services <= _LARGEST:
        raise UsageError(f"--services {services}: choose a number from 1 to {_LARGEST}")
    if output not in ("text", "json"):
        raise UsageError(f'-o "{output}": text or json')
    modes: list[Mode] = [proxy_mode.value] if proxy_mode else ["iptables", "nftables"]
    asyncio.run(_run(name, services, modes, is_json=output == "json"))


async def _run(name: str, services: int, modes: list[Mode], *, is_json: bool) -> None:
    from contextlib import aclosing

    from labctl.cli.progress import reporter
    from labctl.lab.synthetic import curve
    from labctl.lab.synthetic.run import measured

    found = []
    if not is_json:
        typer.echo(curve.HEADER)
    async with aclosing(measured(name, services, modes, reporter())) as all_figures:
        async for figures in all_figures:
            found.append(figures)
            if not is_json:
                typer.echo(curve.row(figures))
    if is_json:
        typer.echo(json.dumps([asdict(f) for f in found], indent=2))
    elif drawn := curve.pictures(found, colour=sys.stdout.isatty()):
        typer.echo(f"\n{drawn}")
