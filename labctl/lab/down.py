"""`labctl down`: remove everything of one lab and only that, and prove it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.client import kubeconfig
from labctl.errors import LabctlError
from labctl.lab import engine, leftovers
from labctl.lab.alone import alone
from labctl.lab.images import recipes
from labctl.lab.images.docker import ImageStore
from labctl.lab.leftovers import Found
from labctl.lab.paths import StateFolder, checked_name, command, context_of
from labctl.lab.progress import Report, step

if TYPE_CHECKING:
    import docker


@dataclass(frozen=True, slots=True)
class Removed:
    """What was there and is gone, and how long it took. Empty when there was nothing."""

    found: Found
    seconds: float
    images: tuple[str, ...] = ()


def down(name: str, report: Report, *, images: bool = False) -> Removed:
    """Remove a lab and, when asked, the images built for labs, unless there are other labs.

    Raises LabctlError when anything with the lab's label is left.
    """
    started = time.monotonic()
    folder = StateFolder.of(checked_name(name))
    with alone(folder, report):
        client = engine.connect()
        removed = _remove(client, folder, name, report)
        unused = _remove_images(client, report) if images else ()
    return Removed(removed, time.monotonic() - started, unused)


def _remove(client: docker.DockerClient, folder: StateFolder, name: str, report: Report) -> Found:
    with step(report, "removing containers, networks and volumes") as say:
        removed = leftovers.find(client, name)
        # A control plane stopped in the middle may have created one more container after the first look.
        for _ in range(3):
            found = leftovers.find(client, name)
            if not found:
                break
            leftovers.remove(client, found)
        say(f"{len(removed.containers)} containers, {len(removed.networks)} networks, {len(removed.volumes)} volumes")
    with step(report, "checking that nothing is left") as say:
        if left := leftovers.find(client, name):
            names = [c.name for c in left.containers] + [*left.networks, *left.volumes]
            raise LabctlError(
                f'lab "{name}" is not gone: {", ".join(names)}', hint=f"run '{command('down', name)}' again"
            )
        kubeconfig.remove_context(context_of(name), previous=folder.previous_context)
        folder.remove()
        say(f"nothing carries the label of lab {name}")
    return removed


def _remove_images(client: docker.DockerClient, report: Report) -> tuple[str, ...]:
    with step(report, "removing images") as say:
        if others := leftovers.labs(client):
            say(f"kept for lab {', '.join(others)}")
            return ()
        store = ImageStore(client)
        gone = store.remove(store.of_repository(*recipes.built()))
        say(f"{len(gone)} images")
    return tuple(gone)
