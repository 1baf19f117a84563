"""The frame of all commands: help, wrong use, what is kubectl's, and exit codes."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.cli import kubectl, main
from labctl.errors import LabctlError, MissingPrerequisite, UsageError


class BecameKubectl(Exception):
    """os.execv never returns."""


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Command lines that would have become kubectl's."""
    lines: list[list[str]] = []

    def become(words: list[str]) -> None:
        lines.append(list(words))
        raise BecameKubectl

    monkeypatch.setattr(kubectl, "hand_over", become)
    monkeypatch.setattr(kubectl, "is_there", lambda: True)
    return lines


def ended(*argv: str) -> int:
    try:
        main.main(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def test_without_words_it_helps(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended() == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in main.MODULES)
    assert "Handed to kubectl: annotate" in shown


@pytest.mark.parametrize("verb", main.MODULES)
def test_every_command_tells_what_it_is_for(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(verb, "-h") == 0
    shown = capsys.readouterr().out
    assert f"labctl {verb}" in shown


@pytest.mark.parametrize("verb", ["describe", "rollout", "create", "port-forward"])
def test_verbs_of_kubectl_become_kubectl(verb: str, handed: list[list[str]]) -> None:
    with pytest.raises(BecameKubectl):
        main.main([verb, "--any", "thing"])
    assert handed == [[verb, "--any", "thing"]]


@pytest.mark.parametrize(
    "words",
    [
        ["get", "svc", "--chunk-size=10"],
        ["delete", "svc", "web", "--wait=false"],
        ["get", "svc", "--request-timeout", "1s"],
    ],
    ids=" ".join,
)
def test_options_that_only_kubectl_has_make_it_kubectls(words: list[str], handed: list[list[str]]) -> None:
    with pytest.raises(BecameKubectl):
        main.main(words)
    assert handed == [words]


WRONG: dict[str, tuple[list[str], int, str]] = {
    "unknown command": (["frobnicate"], 1, 'error: unknown command "frobnicate" for "labctl"'),
    "unknown option of a lab's command": (["up", "--nosuch"], 2, "error: No such option: --nosuch"),
    "no number": (["up", "--nodes", "many"], 2, "error: Invalid value for '--nodes'"),
    "too many words": (["down", "a", "b"], 2, "error: Got unexpected extra argument"),
    "nothing to get": (["get"], 1, "You must specify the type of resource to get."),
    "nothing to apply": (["apply"], 1, "error: must specify one of -f and -k\n"),
    "unknown option before any command": (["--nosuch"], 2, "error: No such option: --nosuch"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_said_in_words(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, code, text = WRONG[case]
    assert ended(*words) == code
    said = capsys.readouterr()
    assert said.err.startswith(text)
    assert (said.out, "Traceback" in said.err) == ("", False)


def test_without_kubectl_an_unknown_flag_is_said_in_its_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kubectl, "is_there", lambda: False)
    assert ended("get", "svc", "--nosuch") == 1
    assert capsys.readouterr().err == "error: unknown flag: --nosuch\nSee 'labctl get --help' for usage.\n"


ENDS: dict[str, tuple[BaseException, int, str]] = {
    "refusal": (LabctlError("no", hint="try again"), 1, "error: no (try again)\n"),
    "wrong use": (UsageError("no"), 2, "error: no\n"),
    "missing": (MissingPrerequisite("no Docker"), 3, "error: no Docker\n"),
    "Ctrl-C": (KeyboardInterrupt(), 130, ""),
    "reader gone": (BrokenPipeError(), 0, ""),
}


@pytest.mark.parametrize("case", ENDS)
def test_each_end_has_its_code_and_one_line(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error, code, text = ENDS[case]

    def fail(_: Any) -> None:
        raise error

    monkeypatch.setattr(main, "_run", fail)
    monkeypatch.setattr("sys.stderr.close", lambda: None)
    assert ended("up") == code
    assert capsys.readouterr().err == text
