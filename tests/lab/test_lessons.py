"""Playing a lesson, with a shell and no lab."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labctl.errors import UsageError
from labctl.lab.lessons import player
from labctl.lab.lessons.player import Step

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def played(step: Step, folder: Path) -> player.Outcome:
    return player.perform(step, folder=folder, environment=ENVIRONMENT, pause=lambda _: None)


def test_a_step_passes_when_the_whole_output_matches(tmp_path: Path) -> None:
    assert played(Step("echo one; echo two >&2", expect="one\ntwo"), tmp_path).problem == ""
    assert played(Step("exit 7", code=7), tmp_path).problem == ""


def test_a_step_fails_with_the_difference(tmp_path: Path) -> None:
    assert played(Step("exit 7"), tmp_path).problem == "exit code 7 instead of 0"
    assert played(Step("echo one two", expect="one"), tmp_path).problem == "the output does not match 'one'"


def test_a_step_that_may_take_its_time_is_repeated(tmp_path: Path) -> None:
    slow = "echo . >> tries; test $(wc -l < tries) -ge 3 && echo done"
    assert played(Step(slow, expect="done", within=30), tmp_path).problem == ""
    assert len((tmp_path / "tries").read_text().split()) == 3


def test_the_chapter_can_be_read_and_its_manifests_are_there() -> None:
    lesson = player.load("chapter3")
    named = {word for step in lesson.steps for word in step.run.split() if word.endswith(".yaml")}
    assert named and all((player.FOLDER / "chapter3" / name).is_file() for name in named)


def test_an_unknown_lesson_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError) as refused:
        player.load("chapter99")
    assert str(refused.value) == 'there is no lesson "chapter99" (lessons: chapter3)'


@pytest.fixture
def lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    folder.joinpath("lesson.yaml").write_text(
        "title: Small\nleftovers: cat left 2>/dev/null || true\n"
        "steps: [{say: 'Port 8080.', run: cat port.yaml, expect: 'port: 8080'}, {run: 'false'}]\n"
    )
    folder.joinpath("port.yaml").write_text("port: 8080\n")
    monkeypatch.setattr(player, "FOLDER", tmp_path)
    return folder


def test_a_lesson_is_told_step_by_step_and_counted(lessons: Path) -> None:
    said: list[str] = []
    summary = player.play("small", environment=ENVIRONMENT, write=said.append, changes={"8080": "8081"})
    assert (summary.passed, summary.failed) == (1, 1)
    assert "".join(said) == (
        "Small\n\n# Port 8081.\n$ cat port.yaml\nport: 8081\n"
        "$ false\n  FAILED: exit code 1 instead of 0\n\n1 passed, 1 failed\n"
    )
    assert lessons.joinpath("port.yaml").read_text() == "port: 8080\n"


def test_what_an_earlier_lesson_left_is_removed_in_sight(lessons: Path) -> None:
    text = lessons.joinpath("lesson.yaml").read_text()
    lessons.joinpath("lesson.yaml").write_text(text.replace("cat left 2>/dev/null || true", "echo gone"))
    said: list[str] = []
    player.play("small", environment=ENVIRONMENT, write=said.append)
    assert "# An earlier lesson was broken off; removing what it left.\n$ echo gone\ngone\n" in "".join(said)
