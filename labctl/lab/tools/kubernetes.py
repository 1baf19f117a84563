"""kubectl and kube-proxy, unmodified, compiled from the module k8s.io/kubernetes.

That module's go.mod replaces its sibling modules by folders which its zip does not carry; replaced by the published
modules of the same release (v0.36.3 belongs to v1.36.3) it builds.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import labctl
from labctl.lab import shell
from labctl.lab.progress import Say
from labctl.lab.tools import go

_MODULE = "k8s.io/kubernetes"


def _ignore(_: str) -> None:
    return None


def kubectl_binary(say: Say = _ignore) -> Path:
    """The kubectl on PATH, else one compiled for this machine."""
    found = shutil.which("kubectl")
    return Path(found) if found else compiled_kubectl(say)


def compiled_kubectl(say: Say = _ignore) -> Path:
    """The kubectl of the release that labctl speaks, compiled for this machine."""
    return _build("kubectl", say, system="darwin" if sys.platform == "darwin" else "linux")


def kube_proxy_binary(say: Say = _ignore) -> Path:
    """kube-proxy for Linux, compiled, to compare with."""
    return _build("kube-proxy", say, system="linux")


def _build(name: str, say: Say, *, system: str) -> Path:
    version = labctl.KUBERNETES_VERSION
    stamped = ("k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion")
    program = go.Program(
        name=name,
        package=f"{_MODULE}/cmd/{name}",
        version=version,
        module=_MODULE,
        replacements=_siblings(version, say),
        variables=dict.fromkeys(stamped, version),
    )
    return go.build(program, architecture=go.host_architecture(), system=system, say=say)


def _siblings(version: str, say: Say) -> dict[str, str]:
    """Every k8s.io module that go.mod replaces by a staging folder -> its published version."""
    command, environment = go.toolchain(say)
    say(f"fetching {_MODULE} {version}")
    answer = json.loads(shell.run([command, "mod", "download", "-json", f"{_MODULE}@{version}"], env=environment))
    text = Path(answer["GoMod"]).read_text() + (Path(answer["Dir"]) / "go.work").read_text()
    names = set(re.findall(r"staging/src/(k8s\.io/[a-z0-9-]+)", text))
    return dict.fromkeys(sorted(names), f"v0.{version.removeprefix('v1.')}")
