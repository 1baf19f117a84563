"""`labctl doctor`: what on this machine could keep a lab from working, before it does. Reads only."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from labctl.errors import LabctlError
from labctl.lab import compose, engine, networks, record
from labctl.lab.images import recipes
from labctl.lab.images.docker import ImageStore
from labctl.lab.plan import Ranges, UpOptions

if TYPE_CHECKING:
    import docker

_GIB = 1 << 30
_NEEDED_FREE = 3 * _GIB  # all images, CoreDNS' build included, with room to spare


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `warning` does not keep a lab from working; `hint` is the next step, empty when all is well."""

    name: str
    verdict: Literal["ok", "warning", "failed"]
    detail: str
    hint: str = ""


def doctor(name: str) -> list[Check]:
    """Every check for a lab of this name. Never raises: what cannot be asked is a failed check."""
    try:
        client = engine.connect(timeout_s=10)
    except LabctlError as error:
        return [Check("Docker", "failed", error.message, error.hint), _guarded("Compose", _compose)]
    return [
        Check("Docker", "ok", _engine(client)),
        _guarded("Compose", _compose),
        _guarded("address ranges", lambda: _ranges(client, name)),
        _guarded("disk space", lambda: _disk(client)),
        *_images(client),
        *host(client.api.api_version),
    ]


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except LabctlError as error:
        return Check(name, "failed", error.message, error.hint)


def _engine(client: docker.DockerClient) -> str:
    version = client.api.version(api_version=False)
    return (
        f"engine {version.get('Version')}, API {version.get('ApiVersion')}, {version.get('Os')}/{version.get('Arch')}"
    )


def _compose() -> Check:
    return Check("Compose", "ok", " ".join(compose.command()))


def _ranges(client: docker.DockerClient, name: str) -> Check:
    if known := record.load(name):
        config = known.config
        return Check("address ranges", "ok", f"{'; '.join(Ranges.of(config).words())} (lab {name})")
    chosen = networks.choose(UpOptions(name=name), networks.in_use(client, but_of_lab=name))
    return Check("address ranges", "ok", f"pods {chosen.pods}, LAN {chosen.lan} are free")


def _disk(client: docker.DockerClient) -> Check:
    root = Path(client.info().get("DockerRootDir") or "/")
    if not root.is_dir():  # the engine runs in a virtual machine
        return Check("disk space", "ok", "kept by the engine's virtual machine")
    free = shutil.disk_usage(root).free
    detail = f"{free / _GIB:.0f} GiB free in {root}"
    if free < _NEEDED_FREE:
        return Check("disk space", "warning", detail, "a first set-up needs about 3 GiB: docker system prune")
    return Check("disk space", "ok", detail)


def _images(client: docker.DockerClient) -> Iterator[Check]:
    store = ImageStore(client)
    wanted = {"lab image": recipes.lab_tag(), "base image": recipes.base_tag()}
    for name, tag in wanted.items():
        there = store.has(tag)
        yield Check(name, "ok", tag if there else f"{tag} will be made by the next labctl up")
    if not store.has(recipes.base_tag()) and not store.has(recipes.DEBIAN) and not shutil.which("mmdebstrap"):
        yield Check(
            "image sources",
            "warning",
            f"{recipes.DEBIAN} has to be pulled, there is no mmdebstrap to make it",
            "without an image registry, on Debian: apt-get install mmdebstrap",
        )


def host(api_version: str, proc: Path = Path("/proc")) -> Iterator[Check]:
    """What of the machine itself matters to a lab on an engine with this version of its API."""
    name = "bridge-nf-call-iptables"
    bridge = proc / "sys/net/bridge" / name
    if bridge.exists() and bridge.read_text().strip() == "1":
        if engine.direct_access(api_version) == "closed":
            detail = "1: this version of Docker drops what pods send to node ports"
            yield Check(name, "warning", detail, f"update Docker to 28.2 or newer, or: sysctl net.bridge.{name}=0")
        else:
            yield Check(name, "ok", "1: bridged packets pass the host's rules too; labs work with that")
    kubectl = shutil.which("kubectl")
    yield Check("kubectl", "ok", kubectl or "not installed; labctl has the same verbs")
