"""What a pod's volumes contain, from ConfigMaps, Secrets, the pod itself and tokens. Pure.

A volume is either an empty folder (emptyDir) or a payload of small files. Other types would need storage that a lab
does not have; they raise MountError, which becomes a FailedMount Event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from labctl.api import kinds, quantities, volumes
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.kubelet import fields
from labctl.kubelet.environment import Lookup, data_of

DEFAULT_MODE = 0o644


class MountError(Exception):
    """The volume cannot be set up; the text follows `MountVolume.SetUp failed for volume "x" : `."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a payload."""

    data: bytes
    mode: int = DEFAULT_MODE


@dataclass(frozen=True, slots=True)
class EmptyDir:
    """A folder of the pod's own; `in_memory` for medium Memory."""

    in_memory: bool = False
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Payload:
    """Files by their path within the volume."""

    files: Mapping[str, File] = field(default_factory=dict)


Token = Callable[[str, int], str]
"""Gives the pod's ServiceAccount token for an audience (empty: the API server's) and an expiry in seconds."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where contents come from."""

    lookup: Lookup
    token: Token
    identity: fields.Identity


def contents(pod: Object, volume: Mapping[str, Any], sources: Sources) -> EmptyDir | Payload:
    """What the volume holds. Raises MountError in the kubelet's words."""
    if "emptyDir" in volume:
        spec = volume["emptyDir"] or {}
        size = quantities.parse(str(spec["sizeLimit"])).value() if spec.get("sizeLimit") else 0
        return EmptyDir(in_memory=spec.get("medium") == "Memory", size_bytes=size)
    for source in ("configMap", "secret", "downwardAPI"):
        if source in volume:
            mode = volume[source].get("defaultMode", DEFAULT_MODE)
            return Payload(dict(_source_files(pod, source, volume[source], mode, sources)))
    if "projected" in volume:
        mode = volume["projected"].get("defaultMode", DEFAULT_MODE)
        return Payload(
            {
                path: file
                for projection in volume["projected"].get("sources") or ()
                for name, spec in projection.items()
                for path, file in _source_files(pod, name, spec, mode, sources)
            }
        )
    raise MountError(volumes.lack(volume))


def referenced(pod: Object) -> set[tuple[Kind, str]]:
    """The ConfigMaps and Secrets (by name) whose changes change this pod's volumes."""
    found: set[tuple[Kind, str]] = set()
    for volume in pod["spec"].get("volumes") or ():
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            if "configMap" in source:
                found.add((kinds.CONFIG_MAP, source["configMap"].get("name") or ""))
            if "secret" in source:
                found.add((kinds.SECRET, _secret_name(source["secret"])))
    return found


def _secret_name(spec: Mapping[str, Any]) -> str:
    return spec.get("secretName") or spec.get("name") or ""  # a projection says `name`


def _source_files(
    pod: Object, source: str, spec: Mapping[str, Any], mode: int, sources: Sources
) -> Iterator[tuple[str, File]]:
    if source == "configMap":
        yield from _object_files(pod, kinds.CONFIG_MAP, spec.get("name") or "", spec, mode, sources)
    elif source == "secret":
        yield from _object_files(pod, kinds.SECRET, _secret_name(spec), spec, mode, sources)
    elif source == "downwardAPI":
        for item in spec.get("items") or ():
            yield item["path"], File(_downward(pod, item, sources.identity).encode(), item.get("mode", mode))
    elif source == "serviceAccountToken":
        token = sources.token(spec.get("audience") or "", spec.get("expirationSeconds") or 3600)
        yield spec["path"], File(token.encode(), mode)
    else:
        raise MountError(f"labctl has no {source} sources in projected volumes")


def _object_files(
    pod: Object, kind: Kind, name: str, spec: Mapping[str, Any], mode: int, sources: Sources
) -> Iterator[tuple[str, File]]:
    is_optional = bool(spec.get("optional"))
    found = sources.lookup(kind, pod["metadata"]["namespace"], name)
    if found is None:
        if is_optional:
            return
        raise MountError(f'{kind.singular} "{name}" not found')
    data = data_of(kind, found)
    items = spec.get("items")
    if not items:
        yield from ((key, File(value, mode)) for key, value in data.items())
        return
    for item in items:
        if item["key"] in data:
            yield item["path"], File(data[item["key"]], item.get("mode", mode))
        elif not is_optional:
            noun = "config" if kind is kinds.CONFIG_MAP else "secret"
            raise MountError(f"references non-existent {noun} key: {item['key']}")


def _downward(pod: Object, item: Mapping[str, Any], identity: fields.Identity) -> str:
    if "fieldRef" in item:
        return fields.field_value(pod, item["fieldRef"]["fieldPath"], identity)
    reference = item["resourceFieldRef"]
    container = fields.container_named(pod, reference.get("containerName") or "")
    return fields.resource_value(reference, container or {}, identity)
