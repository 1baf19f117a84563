"""Files of a volume that hide each other (warningsForOverlappingVirtualPaths of pkg/api/pod)."""

from __future__ import annotations

from collections.abc import Iterable

from labctl.api.objects import Object

Files = list[tuple[str, str]]
"""Paths, and where each is from: empty in a volume of one source."""


def overlaps(volumes: Iterable[Object]) -> list[str]:
    """What a pod's volumes have twice."""
    found: list[str] = []
    for volume in volumes:
        for kind, title, name in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
            source = volume.get(kind) or {}
            found += _told(volume, f'{title} "{source.get(name, "")}"', _items(source))
        found += _told(volume, "DownwardAPI", _items(volume.get("downwardAPI") or {}))
        if volume.get("projected") is not None:
            found += _of_projected(volume)
    return found


def _of_projected(volume: Object) -> list[str]:
    sources = volume["projected"].get("sources") or ()
    empty = [f'volume "{volume.get("name", "")}" (Projected) has no sources provided' for s in sources if not s]
    return empty + _told(volume, "Projected", [file for source in sources for file in _files(source)])


def _files(source: Object) -> Files:
    for kind, title in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if (given := source.get(kind)) and given.get("items"):
            return _items(given, f'{title} "{given.get("name", "")}"')
    if source.get("downwardAPI"):
        return _items(source["downwardAPI"], "DownwardAPI")
    token = source.get("serviceAccountToken")
    return [(token.get("path", ""), "ServiceAccountToken")] if token else []


def _items(source: Object, origin: str = "") -> Files:
    return [(item.get("path", ""), origin) for item in source.get("items") or ()]


def _told(volume: Object, source: str, files: Files) -> list[str]:
    found, known = list[str](), list[tuple[str, str]]()
    for path, origin in files:
        file = (path.rstrip("/"), origin)
        found += [
            f'volume "{volume.get("name", "")}" ({source}): overlapping paths: {_shown(file)} with {_shown(other)}'
            for other in known
            if _collide(file[0], other[0])
        ]
        known.append(file)
    return found


def _collide(one: str, other: str) -> bool:
    return bool(one and other) and (f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/"))


def _shown(file: tuple[str, str]) -> str:
    return f'"{file[0]}" ({file[1]})' if file[1] else f'"{file[0]}"'
