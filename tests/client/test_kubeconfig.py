"""Contexts are found as kubectl merges files; edits keep what others wrote and can be taken back."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.client import kubeconfig
from labctl.errors import LabctlError, UsageError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "sub" / "config"
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def write(path: Path, **content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def cluster(name: str, server: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "cluster": {"server": server, **more}}


def context(name: str, *, of: str = "", user: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "context": {"cluster": of or name, "user": user or name, **more}}


def add(name: str, path: Path | None = None) -> str:
    return kubeconfig.add_context(name, server=f"https://{name}", ca_certificate="CA", token="secret", path=path)


def test_a_lab_comes_and_goes_and_the_context_before_it_is_current_again(file: Path) -> None:
    write(
        file, **{"current-context": "work", "contexts": [context("work")], "clusters": [cluster("work", "https://w")]}
    )
    before = read(file)
    assert add("labctl") == "work"
    found = kubeconfig.load()
    assert (found.server, found.ca_certificate, found.token, found.namespace, found.context) == (
        "https://labctl",
        "CA",
        "secret",
        "default",
        "labctl",
    )
    assert kubeconfig.has_context("work")
    kubeconfig.remove_context("labctl", previous="work")
    after = read(file)
    assert {k: v for k, v in after.items() if k in before} == before
    assert not kubeconfig.has_context("labctl")


def test_adding_twice_renews_and_a_previous_context_that_is_gone_is_not_chosen(file: Path) -> None:
    add("labctl")
    assert add("labctl") == "labctl"
    assert len(read(file)["contexts"]) == len(read(file)["users"]) == 1
    kubeconfig.remove_context("labctl", previous="nowhere")
    assert read(file)["current-context"] == ""


def test_what_others_wrote_and_the_mode_of_the_file_stay(file: Path) -> None:
    write(file, preferences={"colors": True}, extensions=[{"name": "x"}], users=[{"name": "u", "user": {"token": "t"}}])
    file.chmod(0o640)
    add("labctl")
    kubeconfig.remove_context("labctl")
    left = read(file)
    assert left["preferences"] == {"colors": True}
    assert left["extensions"] == [{"name": "x"}]
    assert left["users"] == [{"name": "u", "user": {"token": "t"}}]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_new_file_is_for_its_owner_only_and_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    add("labctl")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    link = tmp_path / "link"
    link.symlink_to(file)
    add("two", path=link)
    assert link.is_symlink()
    assert [c["name"] for c in read(file)["contexts"]] == ["labctl", "two"]


def test_files_are_merged_and_the_first_that_names_a_thing_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    write(one, contexts=[context("a", of="shared")], clusters=[cluster("shared", "https://first")])
    write(
        two,
        **{"current-context": "a"},
        clusters=[cluster("shared", "https://second")],
        users=[{"name": "a", "user": {"token": "t"}}],
    )
    monkeypatch.setenv("KUBECONFIG", f"{one}:{tmp_path / 'missing'}:{two}")
    found = kubeconfig.load()
    assert (found.server, found.token) == ("https://first", "t")


def test_data_wins_over_files_and_files_are_read(file: Path, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("FROM FILE")
    (tmp_path / "token").write_text("from file\n")
    data = base64.b64encode(b"FROM DATA").decode()
    path = str(tmp_path / "ca.crt")
    write(
        file,
        contexts=[context("a", namespace="shop"), context("b", user="a")],
        clusters=[
            cluster("a", "https://a", **{"certificate-authority": path}),
            cluster("b", "https://b", **{"certificate-authority": path, "certificate-authority-data": data}),
        ],
        users=[{"name": "a", "user": {"tokenFile": str(tmp_path / "token")}}],
    )
    one, two = kubeconfig.load("a"), kubeconfig.load("b")
    assert (one.ca_certificate, one.token, one.namespace) == ("FROM FILE", "from file", "shop")
    assert two.ca_certificate == "FROM DATA"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing chosen": ({}, "no context is chosen in the kubeconfig"),
    "unknown": ({"current-context": "nope"}, 'context "nope" does not exist'),
    "no cluster": ({"current-context": "a", "contexts": [context("a")]}, 'context "a" has no cluster with a server'),
    "plugin": (
        {
            "current-context": "a",
            "contexts": [context("a")],
            "clusters": [cluster("a", "https://a")],
            "users": [{"name": "a", "user": {"exec": {"command": "x"}}}],
        },
        'context "a" logs in through a plugin',
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_missing_is_said_in_one_line(file: Path, case: str) -> None:
    content, words = WRONG[case]
    write(file, **content)
    with pytest.raises(UsageError) as caught:
        kubeconfig.load()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


BROKEN = {
    "not YAML": "a: [b",
    "a list": "- a",
    "entries that are none": "contexts: [1, {}]\nclusters: 7\n",
    "binary": "\x00\x01\x02",
    "broken base64": "current-context: a\ncontexts: [{name: a, context: {cluster: a}}]\n"
    "clusters: [{name: a, cluster: {server: 'https://a', certificate-authority-data: '!'}}]\n",
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_and_left_as_it_is(file: Path, case: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(BROKEN[case])
    with pytest.raises(LabctlError) as caught:
        kubeconfig.load("a")
    assert "\n" not in str(caught.value)
    if case != "broken base64":
        with pytest.raises(LabctlError) as caught:
            add("labctl")
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert file.read_text() == BROKEN[case]


def test_a_folder_where_nothing_can_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabctlError, match="cannot be") as caught:
        add("labctl", path=tmp_path / "file" / "config")
    assert "\n" not in str(caught.value)
