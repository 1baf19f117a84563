"""The lab's own images, each as a tag that is a hash of everything it is made of, and the way to make it."""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from labctl.errors import MissingPrerequisite
from labctl.lab import paths, resources, shell
from labctl.lab.images import dependencies
from labctl.lab.images.docker import Content, ImageStore, digest
from labctl.lab.progress import Say
from labctl.lab.tools import go

COREDNS_VERSION = "1.15.0"
COREDNS_PUBLISHED = (f"registry.k8s.io/coredns/coredns:v{COREDNS_VERSION}", f"coredns/coredns:{COREDNS_VERSION}")
DEBIAN = "debian:bookworm-slim"
NETEXEC = "labctl/netexec"
# Original image -> application of images/apps that stands in for it.
APPLICATIONS = {
    "kiamol/ch03-numbers-api": "numbers-api",
    "kiamol/ch03-numbers-web": "numbers-web",
    "kiamol/ch03-sleep": "sleep",
    NETEXEC: "netexec",
}
# Parts of the package that no container runs: leaving them out spares a rebuild when only they change.
_HOST_ONLY = ("cli", "lab", "_resources")


def _recipe(name: str) -> Path:
    return resources.folder("images") / name


@cache
def base_tag() -> str:
    """Debian with the packages of images/base/packages.txt."""
    return f"labctl/base:{digest(_recipe('base'))}"


@cache
def python_tag() -> str:
    """Base with the Python dependencies."""
    return f"labctl/python:{digest(base_tag(), _recipe('python'), *dependencies.pins())}"


@cache
def lab_tag() -> str:
    """The lab image: python with this checkout's code."""
    return f"labctl/lab:{digest(python_tag(), _recipe('lab'), *_code().values())}"


@cache
def coredns_tag() -> str:
    """CoreDNS as built here."""
    return f"labctl/coredns:{COREDNS_VERSION}-{digest(_recipe('coredns'))}"


@cache
def application_tag(name: str) -> str:
    """A stand-in of images/apps."""
    return f"labctl/{name}:{digest(base_tag(), _recipe('apps'))}"


def _code() -> dict[str, Path]:
    """Name in the image -> file or folder of the package, for everything that containers run."""
    package = resources.package()
    kept = [p for p in sorted(package.iterdir()) if p.name not in (*_HOST_ONLY, "__pycache__")]
    return {f"app/labctl/{p.name}": p for p in kept}


def build_base(store: ImageStore, say: Say) -> str:
    """Ensure the base: from a pulled Debian, else from Debian packages alone."""
    if store.has(tag := base_tag()):
        return tag
    recipe = _recipe("base")
    files: dict[str, Content] = {name: recipe / name for name in ("packages.txt", "finish.sh")}
    if store.has(DEBIAN) or store.pull(DEBIAN, say):
        store.build(tag, recipe, files=files, say=say)
    else:
        store.import_tree(tag, _bootstrapped(tag, say))
    return tag


def _bootstrapped(tag: str, say: Say) -> Path:
    """A Debian root file system made by mmdebstrap, kept for the next time."""
    tarball = paths.cache() / "images" / f"{tag.replace('/', '-').replace(':', '-')}.tar"
    if tarball.is_file():
        return tarball
    if not shutil.which("mmdebstrap"):
        raise MissingPrerequisite(
            f"the base image cannot be made: no registry gives {DEBIAN} and mmdebstrap is not installed",
            hint="make an image registry reachable, or on Debian: apt-get install mmdebstrap",
        )
    recipe = _recipe("base")
    lines = (recipe / "packages.txt").read_text().splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    tarball.parent.mkdir(parents=True, exist_ok=True)
    for old in tarball.parent.glob("labctl-base-*.tar"):
        old.unlink()
    temporary = tarball.with_suffix(f".{os.getpid()}.new")
    argv = [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(packages)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "man", "locale", "info")),
        f"--customize-hook=copy-in {recipe / 'finish.sh'} /tmp",
        '--customize-hook=chroot "$1" sh /tmp/finish.sh',
        '--customize-hook=rm "$1/tmp/finish.sh"',
        "--format=tar",
        "bookworm",
        str(temporary),
    ]
    say("Debian packages, by mmdebstrap")
    shell.follow(argv, lambda line: say(line.removeprefix("I: ")))
    temporary.replace(tarball)
    return tarball


def build_python(store: ImageStore, say: Say) -> str:
    """Ensure the base with Python dependencies."""
    if store.has(tag := python_tag()):
        return tag
    base = build_base(store, say)
    with tempfile.TemporaryDirectory(prefix="labctl-") as folder:
        site = Path(folder) / "site"
        say("Python dependencies")
        dependencies.fetch(site, architecture=store.platform)
        store.build(tag, _recipe("python"), files={"site": site}, arguments={"BASE": base}, say=say)
    return tag


def build_lab(store: ImageStore, say: Say) -> str:
    """Ensure the lab image for this very code."""
    if store.has(tag := lab_tag()):
        return tag
    python = build_python(store, say)
    files: dict[str, Content] = dict(_code())
    store.build(tag, _recipe("lab"), files=files, arguments={"BASE": python}, say=say)
    # Every version of labctl's code makes an image of its own; those that no lab uses any more would pile up.
    old = set(store.of_repository("labctl/lab", "labctl/python")) - {tag, python}
    store.remove(sorted(old))
    return tag


def built() -> tuple[str, ...]:
    """Repositories of all images that are built here, what is made of others first."""
    return (
        "labctl/lab",
        "labctl/python",
        *(f"labctl/{name}" for name in APPLICATIONS.values()),
        "labctl/coredns",
        "labctl/base",
    )


def build_coredns(store: ImageStore, say: Say) -> str:
    """Ensure CoreDNS: an image in Docker, else pulled, else compiled from its Go module."""
    for tag in (*COREDNS_PUBLISHED, coredns_tag()):
        if store.has(tag):
            return tag
    for tag in COREDNS_PUBLISHED:
        if store.pull(tag, say):
            return tag
    say("compiling CoreDNS")
    binary = go.build(
        go.Program("coredns", "github.com/coredns/coredns", f"v{COREDNS_VERSION}"),
        architecture=store.platform,
        say=say,
    )
    bundle = next((p for p in map(Path, _CA_BUNDLES) if p.is_file()), None)
    certificates: Content = bundle.resolve() if bundle else b""
    store.build(
        coredns_tag(), _recipe("coredns"), files={"coredns": binary, "ca-certificates.crt": certificates}, say=say
    )
    return coredns_tag()


_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def build_application(store: ImageStore, original: str, say: Say) -> str | None:
    """Ensure an application: None when the original is there, else the tag of its stand-in."""
    tag = application_tag(APPLICATIONS[original])
    if store.has(tag):
        return tag
    if original != NETEXEC and (store.has(f"{original}:latest") or store.pull(f"{original}:latest", say)):
        return None
    base = build_base(store, say)
    recipe = _recipe("apps")
    binary = go.build_folder(recipe, f"apps-{digest(recipe)}", architecture=store.platform, say=say)
    arguments = {"BASE": base, "APPLICATION": APPLICATIONS[original]}
    store.build(tag, recipe, files={"apps": binary}, arguments=arguments, say=say)
    return tag
