"""Playing a lesson: print the command, run it, compare what it says, count.

A lesson is a folder with `lesson.yaml` and manifests. Its `leftovers` command removes what a lesson that was broken off has
left; it is shown only when there was something. A step has a `say` text, a `run` command (words of kubectl, or a shell
command), and what to expect: `expect` (a regular expression for the whole output), `within` (seconds to wait for it), `code`.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labctl.errors import LabctlError, UsageError

FOLDER = Path(__file__).parent
OUTSIDE = "192.168.123.234"
"""The host outside the cluster, as the chapter writes it; a lab beside another one has another LAN."""
PORT = 8080
"""The load balancer's port; another one when somebody on this machine holds it."""
_PAUSE_S, _LONGEST_S = 0.1, 60.0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a lesson; `expect` is a regular expression for the whole of stdout and stderr."""

    run: str
    say: str = ""
    expect: str = ""
    code: int = 0
    within: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command answered, and what is wrong with it (nothing: all well)."""

    output: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """How a lesson ended."""

    passed: int
    failed: int


def names() -> list[str]:
    """The lessons there are."""
    return sorted(p.parent.name for p in FOLDER.glob("*/lesson.yaml"))


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson's text."""

    title: str
    leftovers: Step
    steps: Sequence[Step]


def load(name: str) -> Lesson:
    """A lesson by name. Raises UsageError for an unknown one."""
    import yaml

    path = FOLDER / name / "lesson.yaml"
    if not path.is_file():
        raise UsageError(f'there is no lesson "{name}"', hint=f"lessons: {', '.join(names())}")
    data: dict[str, Any] = yaml.safe_load(path.read_text())
    return Lesson(data["title"], Step(data["leftovers"]), [Step(**step) for step in data["steps"]])


def play(
    name: str, *, environment: Mapping[str, str], write: Callable[[str], None], changes: Mapping[str, str] | None = None
) -> Summary:
    """Play a lesson against the current context. `changes` are made to the texts of all steps and manifests first:
    another client, another address of the lab's LAN."""
    lesson = load(name)
    with tempfile.TemporaryDirectory(prefix="labctl-lesson-") as folder:
        _copy(FOLDER / name, Path(folder), changes or {})
        leftovers, *steps = (_changed(s, changes or {}) for s in (lesson.leftovers, *lesson.steps))
        return _play(Lesson(lesson.title, leftovers, steps), Path(folder), environment, write)


def _copy(lesson: Path, folder: Path, changes: Mapping[str, str]) -> None:
    for manifest in lesson.glob("*.yaml"):
        (folder / manifest.name).write_text(_replaced(manifest.read_text(), changes))


def _replaced(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def _changed(step: Step, changes: Mapping[str, str]) -> Step:
    return replace(
        step,
        run=_replaced(step.run, changes),
        say=_replaced(step.say, changes),
        expect=_replaced(step.expect, changes),
    )


def _play(lesson: Lesson, folder: Path, environment: Mapping[str, str], write: Callable[[str], None]) -> Summary:
    write(f"{lesson.title}\n")
    if removed := perform(lesson.leftovers, folder=folder, environment=environment).output:
        write(f"\n# An earlier lesson was broken off; removing what it left.\n$ {lesson.leftovers.run}\n{removed}")
    passed = failed = 0
    for step in lesson.steps:
        if step.say:
            write(f"\n# {step.say}\n")
        write(f"$ {step.run}\n")
        outcome = perform(step, folder=folder, environment=environment)
        write(outcome.output)
        if outcome.problem:
            failed += 1
            write(f"  FAILED: {outcome.problem}\n")
        else:
            passed += 1
    write(f"\n{passed} passed, {failed} failed\n")
    return Summary(passed, failed)


def perform(
    step: Step, *, folder: Path, environment: Mapping[str, str], pause: Callable[[float], None] = time.sleep
) -> Outcome:
    """Run a step, again and again for `within` seconds until it answers as expected."""
    deadline = time.monotonic() + step.within
    while True:
        outcome = _once(step, folder, environment)
        if not outcome.problem or time.monotonic() > deadline:
            return outcome
        pause(_PAUSE_S)


def _once(step: Step, folder: Path, environment: Mapping[str, str]) -> Outcome:
    try:
        done = subprocess.run(
            ["sh", "-c", step.run],
            cwd=folder,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return Outcome(str(error.stdout or ""), f"no end within {_LONGEST_S:.0f} s")
    except OSError as error:
        raise LabctlError(f"a shell could not be started: {error}") from error
    return Outcome(done.stdout, compare(step, done.returncode, done.stdout))


def compare(step: Step, code: int, output: str) -> str:
    """What differs from what the step expects, or nothing."""
    if code != step.code:
        return f"exit code {code} instead of {step.code}"
    if step.expect and not re.fullmatch(step.expect.strip("\n"), output.strip("\n")):
        return f"the output does not match {step.expect.strip()!r}"
    return ""
