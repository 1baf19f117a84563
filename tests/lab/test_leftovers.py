"""What carries a lab's label, and the order in which it goes."""

from __future__ import annotations

from typing import Any, cast

import docker
import docker.errors
import pytest

from labctl.errors import LabctlError
from labctl.lab import leftovers
from labctl.lab.leftovers import Container, Found

LABEL = "labctl.lab"


def entry(name: str, role: str, lab: str = "one") -> dict[str, Any]:
    labels = {LABEL: lab, "labctl.role": role}
    return {"Id": f"id-{name}", "Names": [f"/{name}"], "Labels": labels, "State": "running", "Image": "i"}


class Api:
    """Docker with containers, networks and volumes; removals are written down."""

    def __init__(self, *entries: dict[str, Any], failure: docker.errors.APIError | None = None) -> None:
        self.entries = list(entries)
        self.removed: list[str] = []
        self.failure = failure

    def containers(self, *, all: bool, filters: dict[str, str]) -> list[dict[str, Any]]:  # the SDK's name
        assert all
        _, _, lab = filters["label"].partition("=")
        return [e for e in self.entries if not lab or e["Labels"][LABEL] == lab]

    def networks(self, *, filters: dict[str, str]) -> list[dict[str, Any]]:
        return [{"Name": f"{filters['label']}-pods"}]

    def volumes(self, *, filters: dict[str, str]) -> dict[str, Any]:
        return {"Volumes": None if "none" in filters["label"] else [{"Name": "state"}]}

    def remove_container(self, name: str, *, force: bool, v: bool) -> None:
        assert force and v
        if self.failure:
            raise self.failure
        self.removed.append(name)

    def remove_network(self, name: str) -> None:
        self.removed.append(name)

    def remove_volume(self, name: str) -> None:
        self.removed.append(name)


def client(api: Api) -> docker.DockerClient:
    return cast(docker.DockerClient, type("Client", (), {"api": api})())


def test_only_what_carries_the_labs_label_is_found() -> None:
    api = Api(entry("b", "node"), entry("a", "control-plane"), entry("x", "node", lab="two"))
    found = leftovers.find(client(api), "one")
    assert [c.name for c in found.containers] == ["a", "b"]
    assert found.networks == ("labctl.lab=one-pods",)
    assert [c.name for c in found.with_role("node")] == ["b"]
    assert leftovers.labs(client(api)) == ["one", "two"]
    assert not Found()


def container(name: str, role: str) -> Container:
    return Container(name, name, role, "running", "i", "")


FOUND = Found((container("a-pod", "sandbox"), container("main", "control-plane")), ("net",), ("vol",))


def test_the_control_plane_goes_first_so_that_nobody_replaces_what_goes() -> None:
    api = Api()
    leftovers.remove(client(api), FOUND)
    assert api.removed == ["main", "a-pod", "net", "vol"]


@pytest.mark.parametrize(
    "error", [docker.errors.NotFound("gone"), docker.errors.APIError("removal of x is already in progress")]
)
def test_what_goes_by_itself_is_no_failure(error: docker.errors.APIError) -> None:
    api = Api(failure=error)
    leftovers.remove(client(api), FOUND)
    assert api.removed == ["net", "vol"]


def test_what_docker_refuses_is_told() -> None:
    with pytest.raises(LabctlError, match="removing a container, main: device or resource busy"):
        leftovers.remove(client(Api(failure=docker.errors.APIError("device or resource busy"))), FOUND)
