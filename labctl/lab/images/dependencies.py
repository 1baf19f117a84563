"""The Python packages of the lab image: the very versions that this labctl runs with, fetched for the image's Python.

The host fetches them, because its index, proxy and certificates work there and inside a build they need not. Wheels
only, so the host's own Python version and system do not matter.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from labctl.errors import MissingPrerequisite
from labctl.lab import shell

IMAGE_PYTHON = "3.11"  # Debian bookworm's
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# glibc 2.36 in the image accepts every one of these; pip has to be told each, uv knows that they are a ladder.
_MANYLINUX = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
_HOST_ONLY = {"typer", "rich"}  # the command line's, and no command line runs in a container


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _required(distribution: str) -> list[str]:
    """Names of what a distribution needs, without its extras."""
    plain = [text for text in metadata.requires(distribution) or () if "extra ==" not in text]
    return [_normalised(match[0]) for text in plain if (match := re.match(r"[A-Za-z0-9._-]+", text))]


def pins() -> list[str]:
    """`name==version` of every package that containers need, sorted."""
    direct = [name for name in _required("labctl") if name not in _HOST_ONLY]
    seen: dict[str, str] = {}
    todo = list(direct)
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        try:
            seen[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # needed on another system or Python only
            continue
        todo += _required(name)
    return [f"{name}=={version}" for name, version in sorted(seen.items())]


def fetch(target: Path, *, architecture: str) -> None:
    """Unpack the packages into `target` for a Linux machine of this architecture (Go's word for it)."""
    machine = _MACHINES.get(architecture, architecture)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(pins()) + "\n")
        listed.flush()
        shell.run([*_installer(machine), "--target", str(target), "--requirement", listed.name])


def _installer(machine: str) -> list[str]:
    if uv := shutil.which("uv"):
        where = ["--python-version", IMAGE_PYTHON, "--python-platform", f"{machine}-manylinux_2_34"]
        return [uv, "pip", "install", "--quiet", "--only-binary", ":all:", "--no-deps", *where]
    if find_spec("pip"):
        where = ["--python-version", IMAGE_PYTHON, *(a for m in _MANYLINUX for a in ("--platform", f"{m}_{machine}"))]
        return [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--no-deps", *where]
    raise MissingPrerequisite("neither uv nor pip is there to fetch the image's Python packages", hint="install uv")
