"""What image recipes ask of Docker: is it there, can it be pulled, build it from files.

Builds use the classic builder over the API: it is part of every engine from 20.10 on, needs no buildx and no docker
command. Pulls are bounded: a registry that does not begin to answer is given up, and not asked again in this run.
"""

from __future__ import annotations

import hashlib
import io
import queue
import tarfile
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.errors import LabctlError
from labctl.lab import engine
from labctl.lab.progress import Say

if TYPE_CHECKING:
    import docker

LABEL_RECIPE = "labctl.recipe"
FIRST_ANSWER_S = 15.0  # a registry that has not begun to answer by then counts as unreachable
NEXT_ANSWER_S = 60.0
_IN_USE = 409

Content = bytes | Path
"""A file or folder on disk, or a file's bytes."""


def digest(*parts: str | bytes | Path) -> str:
    """A short content hash: text, bytes, or a folder with names and contents of its files."""
    hashed = hashlib.sha256()
    for part in parts:
        for name, data in _pieces(part):
            hashed.update(f"{name}\0{len(data)}\0".encode())
            hashed.update(data)
    return hashed.hexdigest()[:12]


def _pieces(part: str | bytes | Path) -> list[tuple[str, bytes]]:
    if isinstance(part, bytes):
        return [("", part)]
    if isinstance(part, str):
        return [("", part.encode())]
    if part.is_file():
        return [(part.name, part.read_bytes())]
    files = sorted(p for p in part.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return [(str(p.relative_to(part)), p.read_bytes()) for p in files]


def registry_of(image: str) -> str:
    """The registry host of an image reference."""
    first, _, rest = image.partition("/")
    return first if rest and ("." in first or ":" in first or first == "localhost") else "docker.io"


class ImageStore:
    """The engine's images during one run."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._api = client.api
        self._unreachable: dict[str, str] = {}
        self._lock = threading.Lock()
        self._tags: set[str] = set()
        self.refresh()

    def refresh(self) -> None:
        """Read again which images there are."""
        with engine.translated("listing images"):
            self._tags = {tag for image in self._api.images() for tag in image.get("RepoTags") or ()}

    def has(self, tag: str) -> bool:
        """Whether an image is in Docker, under this very name and tag."""
        return tag in self._tags or f"{tag}:latest" in self._tags

    @property
    def platform(self) -> str:
        """The engine's architecture in Go's words: amd64, arm64."""
        with engine.translated("asking the engine's version"):
            return str(self._api.version()["Arch"])

    def pull(self, image: str, say: Say) -> bool:
        """Fetch an image; False when no registry gives it."""
        registry = registry_of(image)
        if registry in self._unreachable:
            return False
        say(f"pulling {image}")
        failure = self._pull(image)
        if failure is None:
            self._tags.add(image)
            return True
        if not any(words in failure for words in ("not found", "manifest unknown", "denied")):
            with self._lock:
                self._unreachable[registry] = failure
        say(f"{registry} does not give it")
        return False

    def _pull(self, image: str) -> str | None:
        """The error text, or None. The SDK blocks without bound, so it runs in a thread that may be left behind."""
        answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._pull_into, args=(image, answers), name=f"pull {image}", daemon=True).start()
        limit_s = FIRST_ANSWER_S
        while True:
            try:
                answer = answers.get(timeout=limit_s)
            except queue.Empty:
                return f"no answer for {limit_s:.0f} s"
            if answer is None:
                return None
            if "error" in answer:
                return str(answer["error"])
            limit_s = NEXT_ANSWER_S

    def _pull_into(self, image: str, answers: queue.SimpleQueue[dict[str, Any] | None]) -> None:
        repository, _, tag = image.rpartition(":") if ":" in image.rsplit("/", 1)[-1] else (image, "", "latest")
        try:
            with engine.translated(f"pulling {image}"):
                for line in self._api.pull(repository, tag=tag, stream=True, decode=True):
                    answers.put(line)
        except LabctlError as error:
            answers.put({"error": str(error)})
        else:
            answers.put(None)

    def build(
        self,
        tag: str,
        recipe: Path,
        *,
        files: Mapping[str, Content],
        say: Say,
        arguments: Mapping[str, str] | None = None,
    ) -> None:
        """Build `recipe/Dockerfile` with a context of exactly `files` (name in the context -> content)."""
        with tempfile.TemporaryFile() as context:
            with tarfile.open(fileobj=context, mode="w") as tar:
                tar.add(recipe / "Dockerfile", "Dockerfile")
                for name, content in files.items():
                    _add(tar, name, content)
            context.seek(0)
            with engine.translated(f"building {tag}"):
                self._read_build(
                    tag,
                    self._api.build(
                        fileobj=context,
                        custom_context=True,
                        tag=tag,
                        rm=True,
                        forcerm=True,
                        decode=True,
                        buildargs=dict(arguments or {}),
                        labels={LABEL_RECIPE: recipe.name},
                    ),
                    say,
                )
        self._tags.add(tag)

    def _read_build(self, tag: str, lines: Any, say: Say) -> None:
        said: list[str] = []
        for line in lines:
            if text := str(line.get("stream") or "").strip():
                said.append(text)
                if text.startswith("Step "):
                    say(text)
            if "error" in line:
                raise LabctlError(f"building {tag}: {line['error']}", hint=" | ".join(said[-3:]))

    def import_tree(self, tag: str, tarball: Path) -> None:
        """Make an image of one layer from a root file system."""
        repository, _, version = tag.rpartition(":")
        with engine.translated(f"importing {tag}"):
            answer = self._api.import_image_from_file(
                str(tarball),
                repository=repository,
                tag=version,
                changes=["ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 'CMD ["/bin/sh"]'],
            )
        if '"error"' in str(answer):
            raise LabctlError(f"importing {tag}: {answer}")
        self._tags.add(tag)

    def remove(self, tags: Iterable[str]) -> list[str]:
        """Remove images that no container uses, running or not; returns the names that are gone."""
        import docker.errors

        gone = []
        for tag in tags:
            with engine.translated(f"removing image {tag}"):
                try:
                    self._api.remove_image(tag)
                except docker.errors.NotFound:
                    continue
                except docker.errors.APIError as error:
                    if error.status_code == _IN_USE:
                        continue
                    raise
            gone.append(tag)
        self._tags -= set(gone)
        return gone

    def of_repository(self, *repositories: str) -> list[str]:
        """All tags of some repositories."""
        return sorted(tag for tag in self._tags if tag.rpartition(":")[0] in repositories)

    def tag(self, image: str, name: str) -> None:
        """Give an image a second name."""
        repository, _, version = name.rpartition(":")
        with engine.translated(f"tagging {image}"):
            self._api.tag(image, repository, version)
        self._tags.add(name)


def _add(tar: tarfile.TarFile, name: str, content: Content) -> None:
    if isinstance(content, bytes):
        member = tarfile.TarInfo(name)
        member.size = len(content)
        member.mode = 0o644
        tar.addfile(member, io.BytesIO(content))
    else:
        tar.add(content, name, filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Owner root, no bytecode of the host, and no time stamps, so that the builder's cache knows equal files."""
    if "__pycache__" in member.name:
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    return member
