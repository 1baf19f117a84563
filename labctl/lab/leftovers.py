"""Everything in Docker that carries a lab's label: found, and removed. Nothing else is ever touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labctl.config import LABEL_LAB, LABEL_POD_NAMESPACE, LABEL_ROLE
from labctl.lab import engine

if TYPE_CHECKING:
    import docker


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a lab. `state` is Docker's word: running, exited, created, restarting, ..."""

    id: str
    name: str
    role: str
    state: str
    image: str
    pod_namespace: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a lab has in Docker: containers, and names of networks and volumes."""

    containers: tuple[Container, ...] = ()
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.containers or self.networks or self.volumes)

    def with_role(self, role: str) -> list[Container]:
        """Containers of one role."""
        return [c for c in self.containers if c.role == role]


def find(client: docker.DockerClient, name: str) -> Found:
    """Everything of a lab, running or not."""
    wanted = {"label": f"{LABEL_LAB}={name}"}
    with engine.translated("asking Docker for the lab's parts"):
        containers = client.api.containers(all=True, filters=wanted)
        networks = client.api.networks(filters=wanted)
        volumes = client.api.volumes(filters=wanted).get("Volumes") or []
    return Found(
        containers=tuple(sorted((_container(c) for c in containers), key=lambda c: c.name)),
        networks=tuple(sorted(n["Name"] for n in networks)),
        volumes=tuple(sorted(v["Name"] for v in volumes)),
    )


def labs(client: docker.DockerClient) -> list[str]:
    """Names of all labs that have a container, running or not."""
    with engine.translated("asking Docker for labs"):
        containers = client.api.containers(all=True, filters={"label": LABEL_LAB})
    return sorted({c["Labels"][LABEL_LAB] for c in containers})


def _container(entry: dict[str, Any]) -> Container:
    labels = entry.get("Labels") or {}
    return Container(
        id=entry["Id"],
        name=(entry.get("Names") or [entry["Id"][:12]])[0].removeprefix("/"),
        role=labels.get(LABEL_ROLE, ""),
        state=entry.get("State", ""),
        image=entry.get("Image", ""),
        pod_namespace=labels.get(LABEL_POD_NAMESPACE, ""),
    )


def remove(client: docker.DockerClient, found: Found) -> None:
    """Remove it all: the control plane first, so that nobody replaces what goes; then containers, networks, volumes."""
    first = found.with_role("control-plane")
    rest = [c for c in found.containers if c not in first]
    api = client.api
    with ThreadPoolExecutor(8, thread_name_prefix="remove") as workers:

        def each(what: str, remove_one: Callable[[str], object], names: Iterable[str]) -> None:
            list(workers.map(lambda name: _gone(what, remove_one, name), names))

        each("removing a container", lambda i: api.remove_container(i, force=True, v=True), (c.id for c in first))
        each("removing a container", lambda i: api.remove_container(i, force=True, v=True), (c.id for c in rest))
        each("removing a network", api.remove_network, found.networks)
        each("removing a volume", api.remove_volume, found.volumes)


def _gone(what: str, remove_one: Callable[[str], object], name: str) -> None:
    import docker.errors

    with engine.translated(f"{what}, {name}"):
        try:
            remove_one(name)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if "already in progress" not in str(error):
                raise
