"""The command `labctl`: which module has which command, and what becomes of errors.

Only the module of the command that was asked for is imported: `labctl get svc` wants to be done before one notices.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

import labctl
from labctl.cli import kubectl
from labctl.errors import LabctlError

MODULES = {
    "up": "lab",
    "status": "lab",
    "doctor": "lab",
    "down": "lab",
    "apiserver": "apiserver",
    "lesson": "learn",
    "why": "why",
    "trace": "trace",
    "rules": "rules",
    "get": "get",
    "apply": "apply",
    "delete": "delete",
    "scale": "scale",
    "exec": "execute",
    "attach": "execute",
    "logs": "logs",
}
"""Command -> module of this package whose `register(app)` adds it."""

_HELP = """A lab for Kubernetes Services on one machine's Docker: real packets, real DNS, stock kubectl.

Start one with `labctl up`, work in it with `labctl` or `kubectl`, look behind it
with `labctl why`, remove it with `labctl down`. Verbs on objects are kubectl's, word for word.
"""


def application(command: str = "") -> typer.Typer:
    """The application with this command only, or with all."""
    app = typer.Typer(
        name="labctl",
        help=_HELP,
        epilog=f"Handed to kubectl: {', '.join(kubectl.VERBS)}.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(_root)
    names = [MODULES[command]] if command in MODULES else dict.fromkeys(MODULES.values())
    for name in names:
        import_module(f"labctl.cli.{name}").register(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"labctl {labctl.__version__} (Kubernetes API {labctl.KUBERNETES_VERSION})")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show labctl's version.")
    ] = False,
) -> None:
    # Without a callback, typer takes an application of one command for that command and loses its name.
    del version  # answered by its callback


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command; a failure is one line on stderr and an exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words and words[0] in kubectl.VERBS:
            kubectl.hand_over(words)
        application(words[0] if words else "")(words)
    except LabctlError as error:
        from labctl.cli import errors

        sys.stdout.flush()
        for line in errors.lines(error):
            sys.stderr.write(f"{line}\n")
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:  # `labctl get pods -w | head`
        sys.stderr.close()
        raise SystemExit(0) from None


if __name__ == "__main__":
    main()
