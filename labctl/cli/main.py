"""The command `labctl`: all commands, and what becomes of errors."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from labctl.cli import lab, learn
from labctl.errors import LabctlError

_HELP = """A lab for Kubernetes Services on one machine's Docker: real packets, real DNS, stock kubectl.

Start one with `labctl up`, work in it with kubectl, look behind it with `labctl why`, remove it with `labctl down`.
"""

app = typer.Typer(
    name="labctl", help=_HELP, no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False
)
lab.register(app)
learn.register(app)


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command; a failure is one line on stderr and an exit code."""
    try:
        app(list(argv) if argv is not None else None)
    except LabctlError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
