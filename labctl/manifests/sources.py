"""Where manifests come from: a file, every manifest of a folder, a glob pattern, a URL, or `-` for standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from labctl.manifests.documents import Document, ManifestError, parse

EXTENSIONS = (".json", ".yaml", ".yml")
"""What is read in a folder; a file named outright may have any name."""

_TIMEOUT_S = 30
_MAX_BYTES = 64 << 20

STDIN = "STDIN"
"""What error messages call standard input."""


def _standard_input() -> str:
    return _decoded(sys.stdin.buffer.read(), STDIN)


def read(
    names: Iterable[str], *, recursive: bool = False, stdin: Callable[[], str] = _standard_input
) -> Iterator[Document]:
    """The objects of all sources, in order: folders by name, and with `recursive` with all their folders.

    Raises ManifestError; what stands before the error has been handed out by then.
    """
    for name in names:
        if name == "-":
            yield from parse(stdin(), STDIN)
        elif name.startswith(("http://", "https://")):
            yield from parse(_fetch(name), name)
        else:
            for path in _paths(name, recursive=recursive):
                yield from parse(_text(path), path)


def _paths(name: str, *, recursive: bool) -> Iterator[str]:
    if not os.path.lexists(name):
        matching = _matching(name)
        if not matching:
            raise ManifestError(f'the path "{name}" does not exist')
        for match in matching:
            yield from _paths(match, recursive=recursive)
    elif Path(name).is_dir():
        found = False
        for path in _in_folder(name, recursive=recursive):
            found = True
            yield path
        if not found:
            raise ManifestError(f"error reading [{name}]: recognized file extensions are [{' '.join(EXTENSIONS)}]")
    else:
        yield name


def _matching(pattern: str) -> list[str]:
    """Paths that a pattern such as `services/*.yaml` stands for, for shells that leave that to us."""
    folder, _, last = pattern.rpartition("/")
    return sorted(str(p) for p in Path(folder or ".").glob(last)) if set("*?[") & set(last) else []


def _in_folder(folder: str, *, recursive: bool) -> Iterator[str]:
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        if entry.is_dir():
            if recursive:
                yield from _in_folder(entry.path, recursive=True)
        elif entry.name.endswith(EXTENSIONS):
            yield entry.path


def _text(path: str) -> str:
    try:
        return _decoded(Path(path).read_bytes(), path)
    except OSError as error:
        raise ManifestError(f'the path "{path}" cannot be accessed: {error.strerror}') from error


def _decoded(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        why = f"it is no UTF-8 text: byte {error.start} is {error.reason}"
        raise ManifestError(f"error parsing {source}: {why}") from None


def _fetch(url: str) -> str:
    import urllib.error  # imported for URLs only: half of kubectl-like calls never open one
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310  # http or https, checked above
            data: bytes = answer.read(_MAX_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            said = f"server reported {error.code} {error.reason}, status code={error.code}"
        raise ManifestError(f'unable to read URL "{url}", {said}') from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise ManifestError(f'unable to read URL "{url}": {getattr(reason, "strerror", None) or reason}') from None
    return _decoded(data, url)
