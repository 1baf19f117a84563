"""All images of a lab, in the order: in Docker already, pulled, built."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.lab.images import recipes
from labctl.lab.images.docker import ImageStore
from labctl.lab.progress import Progress, Report, step

if TYPE_CHECKING:
    import docker


@dataclass(frozen=True, slots=True)
class Images:
    """Image references. `stand_ins`: the original's name -> what runs where it cannot be pulled."""

    lab: str
    coredns: str
    stand_ins: dict[str, str]


def present(store: ImageStore) -> Images | None:
    """The images when nothing has to be fetched or built."""
    coredns = [tag for tag in (*recipes.COREDNS_PUBLISHED, recipes.coredns_tag()) if store.has(tag)]
    originals = [name for name in recipes.APPLICATIONS if name != recipes.NETEXEC]
    there = all(store.has(name) or store.has(_stand_in(name)) for name in originals)
    if not (store.has(recipes.lab_tag()) and coredns and there):
        return None
    return Images(recipes.lab_tag(), coredns[0], _stand_ins(store))


def _stand_in(original: str) -> str:
    return recipes.application_tag(recipes.APPLICATIONS[original])


def _stand_ins(store: ImageStore) -> dict[str, str]:
    return {name: _stand_in(name) for name in recipes.APPLICATIONS if store.has(_stand_in(name))}


def ensure(client: docker.DockerClient, report: Report) -> Images:
    """Make every image available, one step of progress each. Raises LabctlError."""
    store = ImageStore(client)
    if found := present(store):
        return found
    report = _one_at_a_time(report)
    # Two lanes, because a first set-up waits for the network in one while the other computes.
    with ThreadPoolExecutor(2, thread_name_prefix="images") as lanes:
        coredns = lanes.submit(_coredns, store, report)
        lab = lanes.submit(_lab_and_applications, store, report)
        return Images(lab.result(), coredns.result(), _stand_ins(store))


def _coredns(store: ImageStore, report: Report) -> str:
    with step(report, "image CoreDNS") as say:
        tag = recipes.build_coredns(store, say)
        say(tag)
    return tag


def _lab_and_applications(store: ImageStore, report: Report) -> str:
    with step(report, "image base (Debian)") as say:
        say(recipes.build_base(store, say))
    with step(report, "image lab") as say:
        tag = recipes.build_lab(store, say)
        say(tag)
    for original in recipes.APPLICATIONS:
        if original != recipes.NETEXEC:
            _application(store, original, report)
    return tag


def _application(store: ImageStore, original: str, report: Report) -> None:
    with step(report, f"image {original}") as say:
        stand_in = recipes.build_application(store, original, say)
        say(f"stand-in {stand_in}" if stand_in else "pulled")


def ensure_netexec(client: docker.DockerClient, report: Report) -> str:
    """The test server that labctl's own tests run; no lab needs it. Returns its tag."""
    store = ImageStore(client)
    tag = recipes.application_tag("netexec")
    if not store.has(tag):
        _application(store, recipes.NETEXEC, report)
    return tag


def _one_at_a_time(report: Report) -> Report:
    lock = threading.Lock()

    def locked(progress: Progress) -> None:
        with lock:
            report(progress)

    return locked
