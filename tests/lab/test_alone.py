"""Two labctl at the same lab."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from labctl.errors import LabctlError
from labctl.lab.alone import alone
from labctl.lab.paths import StateFolder
from labctl.lab.progress import Progress, ignore


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state" / "lab")


def test_the_second_waits_for_the_first_and_says_so(folder: StateFolder) -> None:
    told: list[Progress] = []
    waits, order = threading.Event(), []

    def report(progress: Progress) -> None:
        told.append(progress)
        waits.set()

    def second() -> None:
        with alone(folder, report):
            order.append("second")
            folder.write(folder.lab, "{}")

    with alone(folder, ignore):
        other = threading.Thread(target=second)
        other.start()
        assert waits.wait(10)
        folder.remove()  # as `down` does at its end
        order.append("first")
    other.join(10)
    assert order == ["first", "second"]
    assert told[0] == Progress("start", "waiting for another labctl up or down")
    assert folder.lab.exists()


def test_nothing_stays_of_a_lab_that_nothing_was_decided_for(folder: StateFolder) -> None:
    with pytest.raises(ValueError, match="refused"), alone(folder, ignore):
        raise ValueError("refused")
    assert not folder.root.exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(LabctlError, match=r"file/lab cannot be used: Not a directory"),
        alone(StateFolder(tmp_path / "file" / "lab"), ignore),
    ):
        pass
