"""Images: names from contents, pulls that are given up, and what is removed again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import docker
import docker.errors
import pytest

from labctl.errors import LabctlError
from labctl.lab.images import docker as images
from labctl.lab.images import recipes
from labctl.lab.images.docker import ImageStore


class Response:
    def __init__(self, code: int) -> None:
        self.status_code = code


class Api:
    """As much of the SDK's low-level client as an ImageStore uses."""

    def __init__(self, *tags: str, used: tuple[str, ...] = (), answers: tuple[dict[str, str], ...] = ()) -> None:
        self.tags = list(tags)
        self.used = used
        self.answers = answers
        self.pulled: list[str] = []

    def images(self) -> list[dict[str, Any]]:
        return [{"RepoTags": [tag]} for tag in self.tags] + [{"RepoTags": None}]

    def pull(self, repository: str, *, tag: str, **_: object) -> tuple[dict[str, str], ...]:
        self.pulled.append(f"{repository}:{tag}")
        return self.answers

    def remove_image(self, tag: str) -> None:
        if tag in self.used:
            raise docker.errors.APIError("conflict", response=cast(Any, Response(409)))
        self.tags.remove(tag)

    def build(self, **_: object) -> tuple[dict[str, str], ...]:
        return self.answers


def store(api: Api) -> ImageStore:
    client = type("Client", (), {"api": api})()
    return ImageStore(cast(docker.DockerClient, client))


def nothing(_: str) -> None:
    pass


def test_a_tag_tells_contents_and_names_but_not_bytecode(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    before = images.digest(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert images.digest(tmp_path) == before
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert images.digest(tmp_path) != before
    assert images.digest("ab", "c") != images.digest("a", "bc")


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("kiamol/ch03-sleep", "docker.io"),
        ("debian:bookworm-slim", "docker.io"),
        ("registry.k8s.io/coredns/coredns:v1", "registry.k8s.io"),
        ("localhost/x", "localhost"),
        ("host:5000/x:1", "host:5000"),
    ],
)
def test_the_registry_of_an_image(image: str, registry: str) -> None:
    assert images.registry_of(image) == registry


def test_an_unreachable_registry_is_asked_once() -> None:
    api = Api(answers=({"error": "dial tcp: i/o timeout"},))
    found = store(api)
    assert not found.pull("one/a:1", nothing)
    assert not found.pull("two/b", nothing)
    assert not found.pull("quay.example/c:1", nothing)
    assert api.pulled == ["one/a:1", "quay.example/c:1"]


def test_a_missing_image_does_not_make_its_registry_unreachable() -> None:
    api = Api(answers=({"error": "manifest unknown"},))
    found = store(api)
    assert not found.pull("one/a:1", nothing)
    assert not found.pull("two/b", nothing)
    assert api.pulled == ["one/a:1", "two/b:latest"]


def test_what_was_pulled_is_there() -> None:
    found = store(Api(answers=({"status": "done"},)))
    assert found.pull("one/a:1", nothing)
    assert found.has("one/a:1")
    assert not found.has("one/a")


def test_a_build_that_fails_says_where(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    api = Api(answers=({"stream": "Step 1/1 : RUN false\n"}, {"error": "returned a non-zero code: 1"}))
    with pytest.raises(LabctlError) as failed:
        store(api).build("labctl/x:1", tmp_path, files={}, say=nothing)
    assert failed.value.message == "building labctl/x:1: returned a non-zero code: 1"
    assert "Step 1/1 : RUN false" in failed.value.hint


def test_images_of_older_versions_go_but_for_those_in_use() -> None:
    api = Api("labctl/lab:1", "labctl/lab:2", "labctl/lab-of-mine:1", "nginx:1", used=("labctl/lab:2",))
    found = store(api)
    assert found.of_repository("labctl/lab") == ["labctl/lab:1", "labctl/lab:2"]
    assert found.remove(found.of_repository("labctl/lab")) == ["labctl/lab:1"]
    assert api.tags == ["labctl/lab:2", "labctl/lab-of-mine:1", "nginx:1"]
    assert not found.has("labctl/lab:1") and found.has("labctl/lab:2")


def test_every_image_built_here_is_known_to_its_removal() -> None:
    tags = [recipes.base_tag(), recipes.python_tag(), recipes.lab_tag(), recipes.coredns_tag()]
    tags += [recipes.application_tag(name) for name in recipes.APPLICATIONS.values()]
    assert {tag.rpartition(":")[0] for tag in tags} == set(recipes.built())
