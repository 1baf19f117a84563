"""`labctl exec` and `labctl attach`: a process in a pod with our stdin, terminal and exit code."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.cli.errors import Exit, Plain
from labctl.cli.session import Container, Context, Namespace, Session
from labctl.errors import LabctlError

if TYPE_CHECKING:
    from labctl.client.streams import Channels

_CHUNK = 1 << 15
_Stdin = Annotated[bool, typer.Option("--stdin", "-i", help="Pass stdin to the process.")]
_Tty = Annotated[bool, typer.Option("--tty", "-t", help="With a terminal.")]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only what the process prints.")]
_Target = Annotated[str, typer.Argument(metavar="POD|TYPE/NAME", help="Which pod.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("exec", rich_help_panel="Pods")(execute)
    app.command(rich_help_panel="Pods")(attach)


def execute(
    target: _Target,
    command: Annotated[list[str] | None, typer.Argument(metavar="-- COMMAND...", help="What to run.")] = None,
    container: Container = "",
    stdin: _Stdin = False,
    tty: _Tty = False,
    quiet: _Quiet = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Run a command in a pod; its exit code becomes ours.

    Examples: `labctl exec deploy/web -- nslookup api`, `labctl exec -it web-5d4f -- sh`
    """
    if not command:
        raise Plain("error: you must specify at least one command for the container")
    stream(Session(context, namespace), target, container, "exec", command, stdin=stdin, tty=tty, quiet=quiet)


def attach(
    target: _Target,
    container: Container = "",
    stdin: _Stdin = False,
    tty: _Tty = False,
    quiet: _Quiet = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Attach to the process that runs in a container.

    Example: `labctl attach -it web-5d4f`
    """
    stream(Session(context, namespace), target, container, "attach", (), stdin=stdin, tty=tty, quiet=quiet)


def stream(
    session: Session,
    target: str,
    asked: str,
    verb: str,
    command: Sequence[str],
    *,
    stdin: bool,
    tty: bool,
    quiet: bool,
) -> None:
    """Run or attach in the pod that `target` names, to its end. Raises Exit with the process' exit code, if it is not 0."""
    from labctl.cli import pods

    pod = pods.pod_of(session, target)
    phase = (pod.get("status") or {}).get("phase")
    if phase in ("Succeeded", "Failed"):
        doing = "exec into a container in" if verb == "exec" else "attach to"
        raise Plain(f"error: cannot {doing} a completed pod; current phase is {phase}")
    container = pods.container_of(pod, asked, quiet=quiet)
    if tty and not sys.stdin.isatty():
        if not quiet:
            sys.stderr.write("Unable to use a TTY - input is not a terminal or the right kind of file\n")
        tty = False
    tty = tty and stdin
    query = [*(("command", word) for word in command), ("container", container), ("stdout", "true")]
    query += [(name, "true") for name, wanted in (("stdin", stdin), ("tty", tty), ("stderr", not tty)) if wanted]
    path = session.path(kinds.POD, pod["metadata"]["name"], verb, namespace=pod["metadata"]["namespace"])
    if verb == "attach" and not quiet:
        sys.stderr.write("All commands and output from this session will be recorded in container logs, including"
                         " credentials and sensitive information passed through the command prompt.\n")  # fmt: skip
        if tty:
            sys.stderr.write("If you don't see a command prompt, try pressing enter.\n")
    channels = session.transport.channels(path, query)
    try:
        with _raw_terminal(channels) if tty else _nothing():
            if stdin:
                _pass_stdin(channels)
            ended = _copy_output(channels)
    finally:
        channels.close()
    _finish(ended)


def _copy_output(channels: Channels) -> Object | None:
    """Print until the process ends; its Status, None when the server broke off."""
    from labctl.client.streams import ERROR, STDERR, STDOUT

    outputs = {STDOUT: sys.stdout.buffer, STDERR: sys.stderr.buffer}
    for message in channels.messages():
        if message.channel == ERROR:
            found: Object = json.loads(message.data or b"{}")
            return found
        if output := outputs.get(message.channel):
            output.write(message.data)
            output.flush()
    return None


def _finish(ended: Object | None) -> None:
    if ended is None:
        raise LabctlError("the connection to the pod was closed before the command ended")
    if ended.get("status") != "Failure":
        return
    causes = (ended.get("details") or {}).get("causes") or ()
    code = next((c["message"] for c in causes if c.get("reason") == "ExitCode"), None)
    if ended.get("reason") == "NonZeroExitCode" and code is not None:
        sys.stderr.write(f"command terminated with exit code {code}\n")
        raise Exit(int(code))
    raise Plain(f"error: {ended.get('message') or 'the command failed'}")


def _pass_stdin(channels: Channels) -> None:
    from labctl.client.streams import STDIN

    fd = sys.stdin.fileno()

    def forward() -> None:
        data = os.read(fd, _CHUNK)
        if data:
            channels.send(STDIN, data)
        else:
            channels.unwatch(fd)
            channels.end_input()

    try:
        channels.watch(fd, forward)
    except PermissionError:  # epoll takes no regular files: `labctl exec -i … < file`
        fd = _piped(fd)
        channels.watch(fd, forward)


def _piped(file: int) -> int:
    """A pipe that a regular file is poured into, as fast as it is emptied."""
    reading, writing = os.pipe()

    def pour() -> None:
        with os.fdopen(writing, "wb", buffering=0) as end, suppress(BrokenPipeError):
            while data := os.read(file, _CHUNK):
                end.write(data)

    threading.Thread(target=pour, name="stdin", daemon=True).start()
    return reading


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _raw_terminal(channels: Channels) -> Iterator[None]:
    """Our terminal in raw mode, its size kept in step, and restored whatever happens."""
    import termios
    import tty

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    reading, writing = os.pipe()

    def tell_size(*_: object) -> None:
        with suppress(OSError):
            os.write(writing, b"x")

    def send_size() -> None:
        os.read(reading, 64)
        with suppress(OSError):
            size = os.get_terminal_size(fd)
            channels.resize(size.columns, size.lines)

    channels.watch(reading, send_size)
    handler = signal.signal(signal.SIGWINCH, tell_size)
    tell_size()
    try:
        tty.setraw(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, handler)
        os.close(reading)
        os.close(writing)
