"""Projected and downwardAPI volumes: files made of other objects' data (validateProjectionSources)."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import forbidden, invalid, required
from labctl.api.validation.pods import fields
from labctl.api.validation.pods.paths import file_mode, not_reserved

_KINDS = ("secret", "configMap", "downwardAPI", "serviceAccountToken")
_MIN_TOKEN_S, _MAX_TOKEN_S = 10 * 60, 2**32
_CONFLICT = "conflicting duplicate paths"


def key_to_path(path: str, item: Object) -> list[Cause]:
    """A key of a ConfigMap or Secret as a file."""
    causes = [required(f"{path}.{name}") for name in ("key", "path") if not item.get(name)]
    causes += not_reserved(f"{path}.path", item.get("path", ""))
    return causes + file_mode(f"{path}.mode", item.get("mode"))


def downward_file(path: str, item: Object) -> list[Cause]:
    """A field of the pod as a file. Which item of several it is, Kubernetes does not say."""
    causes = [] if item.get("path") else [required(f"{path}.path")]
    causes += not_reserved(f"{path}.path", item.get("path", ""))
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None:
        causes += fields.field(f"{path}.fieldRef", field, fields.VOLUME_FIELDS)
        if resource is not None:
            detail = "fieldRef and resourceFieldRef can not be specified simultaneously"
            causes.append(invalid(path, "resource", detail))
    elif resource is not None:
        causes += fields.resource(f"{path}.resourceFieldRef", resource, in_volume=True)
    else:
        causes.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    return causes + file_mode(f"{path}.mode", item.get("mode"))


def projected(path: str, volume: Object) -> list[Cause]:
    """A projected volume; no two of its sources may make the same file."""
    causes, files = file_mode(f"{path}.defaultMode", volume.get("defaultMode")), set[str]()
    for index, source in enumerate(volume.get("sources") or ()):
        here = f"{path}.sources[{index}]"
        causes += _source(path, here, source, files)
        if sum(source.get(kind) is not None for kind in _KINDS) > 1:
            causes.append(forbidden(here, "may not specify more than 1 volume type per source"))
    return causes


def _source(path: str, here: str, source: Object, files: set[str]) -> Iterator[Cause]:
    for kind in ("secret", "configMap"):
        if source.get(kind) is not None:
            yield from _keys(path, f"{here}.{kind}", source[kind], files)
    if source.get("downwardAPI") is not None:
        for item in source["downwardAPI"].get("items") or ():
            yield from downward_file(f"{here}.downwardAPI", item)
            yield from _taken(path, item.get("path", ""), files)
    if source.get("serviceAccountToken") is not None:
        yield from _token(path, f"{here}.serviceAccountToken", source["serviceAccountToken"])


def _taken(path: str, file: str, files: set[str], shown: str | None = None) -> Iterator[Cause]:
    if file and file in files:
        yield invalid(path, file if shown is None else shown, _CONFLICT)
    files.add(file)


def _keys(path: str, here: str, source: Object, files: set[str]) -> Iterator[Cause]:
    if not source.get("name"):
        yield required(f"{here}.name")
    for index, item in enumerate(source.get("items") or ()):
        yield from key_to_path(f"{here}.items[{index}]", item)
        yield from _taken(path, item.get("path", ""), files, shown=source.get("name", ""))


def _token(path: str, here: str, token: Object) -> Iterator[Cause]:
    seconds, file = token.get("expirationSeconds", 0), token.get("path", "")
    if seconds < _MIN_TOKEN_S:
        yield invalid(f"{here}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    if seconds > _MAX_TOKEN_S:
        yield invalid(f"{here}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    if file:
        yield from not_reserved(f"{path}.path", file)
    else:
        yield required(f"{path}.path")
