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
from labctl.errors import LabctlError, UsageError

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
    "bench": "bench",
    "get": "get",
    "apply": "apply",
    "delete": "delete",
    "scale": "scale",
    "exec": "execute",
    "attach": "execute",
    "logs": "logs",
}
"""Command -> module of this package whose `register(app)` adds it."""

# The base of what click raises for a wrong command line: typer 0.26 and newer bring a click of their own.
_CLICK_USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]

_HELP = """A lab for Kubernetes Services on one machine's Docker: real packets, real DNS, stock kubectl.

Start one with `labctl up`, work in it with `labctl` or `kubectl`, look behind it
with `labctl why`, remove it with `labctl down`. Verbs on objects are kubectl's, word for word.

A typical day:

    labctl up                                    # takes three seconds
    labctl apply -f manifests/                   # or kubectl apply
    labctl exec deploy/web -- nslookup api
    labctl trace deploy/web -- curl http://api/  # each rule that it met
    labctl why svc/api                           # and what mends it
    labctl down                                  # nothing is left
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
        context_settings={"help_option_names": ["-h", "--help"]},
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
        _run(words)
    except LabctlError as error:
        from labctl.cli import errors

        if isinstance(error, errors.Elsewhere) and kubectl.is_there():
            kubectl.hand_over(words)
        sys.stdout.flush()
        for line in errors.lines(error):
            sys.stderr.write(f"{line}\n")
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:  # `labctl get pods -w | head`
        sys.stderr.close()
        raise SystemExit(0) from None


def _run(words: list[str]) -> None:
    verb = words[0] if words else "--help"
    if verb in kubectl.VERBS:
        kubectl.hand_over(words)
    try:
        code = application(verb)(words or [verb], prog_name="labctl", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except _CLICK_USAGE_ERROR as error:
        raise _wrong_use(verb, error) from None
    if isinstance(code, int) and code:
        raise SystemExit(code)


def _wrong_use(verb: str, error: Exception) -> LabctlError:
    """An option or argument that labctl does not know: one line; of a verb that is kubectl's too, kubectl may know it."""
    from labctl.cli.errors import Elsewhere

    message: str = error.format_message()  # type: ignore[attr-defined]  # click's
    if verb in kubectl.SHARED:
        unknown = getattr(error, "option_name", None) if type(error).__name__ == "NoSuchOption" else None
        text = f"error: unknown flag: {unknown}" if unknown else f"error: {message}"
        return Elsewhere(f"{text}\nSee 'labctl {verb} --help' for usage.")
    if verb not in MODULES and not verb.startswith("-"):
        return LabctlError(f'unknown command "{verb}" for "labctl"', hint="labctl --help lists them all")
    return UsageError(message, hint=f"labctl {verb} --help" if verb in MODULES else "labctl --help")


if __name__ == "__main__":
    main()
