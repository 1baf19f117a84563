"""Which resource a word stands for: `svc`, `service`, `services`, `deployments.apps`, `deploy.v1.apps`.

Everything is taken from the server's discovery documents, so that labctl knows the kinds of any cluster. They are kept in the
user's cache folder for some minutes; a word that is not found there is looked up afresh before it is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.api.kinds import Kind
from labctl.api.objects import Object, split_api_version
from labctl.api.status import ApiError
from labctl.cli.transport import JSON, Transport
from labctl.errors import LabctlError

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," + JSON
_KEEP_S = 600
_FORMAT = 1  # of the cache file


class NoResourceType(LabctlError):
    """The server has no such resource."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All resources of a server in its own order; of each group the preferred version first."""

    kinds: tuple[Kind, ...]

    def by_word(self, word: str) -> Kind | None:
        """The resource a word stands for, if any."""
        word = word.lower()
        name, *rest = word.split(".", 1)
        group = rest[0] if rest else None
        version, _, after = (group or "").partition(".")
        # `deployments.v1.apps` or `deployments.apps`; the word alone may also be all of a resource's name
        attempts: list[tuple[str, str | None, str | None]] = [(name, after, version)] if group is not None else []
        attempts += [(name, group, None)]
        for wanted, in_group, in_version in attempts:
            for match in (_is_plural, _is_singular, _is_short):
                for kind in self.kinds:
                    fits = in_group is None or kind.group == in_group or kind.group.startswith(f"{in_group}.")
                    if fits and in_version in (None, kind.version) and match(kind, wanted):
                        return kind
        return None

    def in_category(self, word: str) -> list[Kind]:
        """The resources of a category such as `all`."""
        found: dict[tuple[str, str], Kind] = {}
        for kind in self.kinds:
            if word in kind.categories:
                found.setdefault((kind.group, kind.resource), kind)
        return list(found.values())

    def by_object(self, obj: Object) -> Kind | None:
        """The resource that an object's apiVersion and kind name."""
        group, version = split_api_version(str(obj.get("apiVersion") or ""))
        return next((k for k in self.kinds if (k.group, k.version, k.kind) == (group, version, obj.get("kind"))), None)

    def preferred(self) -> list[Kind]:
        """Each resource once, in its preferred version."""
        found: dict[tuple[str, str], Kind] = {}
        for kind in self.kinds:
            found.setdefault((kind.group, kind.resource), kind)
        return list(found.values())


def _is_plural(kind: Kind, word: str) -> bool:
    return kind.resource == word


def _is_singular(kind: Kind, word: str) -> bool:
    return word in (kind.singular, kind.kind.lower())


def _is_short(kind: Kind, word: str) -> bool:
    return word in kind.short_names


class Mapper:
    """The catalogue of the server behind a transport, from the cache where that is enough."""

    def __init__(self, transport: Transport, *, cache: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._transport = transport
        self._clock = clock
        self._path = None
        if cache is not None:
            name = hashlib.sha256(transport.address.encode()).hexdigest()[:16]
            self._path = cache / f"{name}.json"
        self._known: Catalogue | None = None
        self._is_fresh = False

    def catalogue(self) -> Catalogue:
        """What is known, without asking when the cache is young enough."""
        if self._known is None:
            self._known = self._cached()
        return self._known or self.refreshed()

    def refreshed(self) -> Catalogue:
        """What the server says now."""
        if self._known is None or not self._is_fresh:
            listed = [k for path in ("/api", "/apis") for k in _discover(self._transport, path)]
            self._known, self._is_fresh = Catalogue(tuple(listed)), True
            self._store(listed)
        return self._known

    def resolve(self, word: str) -> Kind:
        """The resource a word stands for. Raises NoResourceType in kubectl's words."""
        kind = self.catalogue().by_word(word) or self.refreshed().by_word(word)
        if kind is None:
            raise NoResourceType(f'the server doesn\'t have a resource type "{word}"')
        return kind

    def expand(self, word: str) -> list[Kind]:
        """The resources of a category, or the one resource a word stands for."""
        return self.catalogue().in_category(word) or [self.resolve(word)]

    def of(self, obj: Object) -> Kind | None:
        """The resource of an object."""
        return self.catalogue().by_object(obj) or self.refreshed().by_object(obj)

    def _cached(self) -> Catalogue | None:
        if self._path is None:
            return None
        try:
            data = json.loads(self._path.read_bytes())
            if data["format"] != _FORMAT or not 0 <= self._clock() - data["time"] < _KEEP_S:
                return None
            return Catalogue(tuple(_kind(*entry) for entry in data["kinds"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _store(self, listed: Iterable[Kind]) -> None:
        if self._path is None:
            return
        entries = [
            (k.group, k.version, k.kind, k.resource, k.singular, k.namespaced, k.short_names, k.categories, k.verbs)
            for k in listed
        ]
        temporary = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"format": _FORMAT, "time": self._clock(), "kinds": entries}))
            temporary.replace(self._path)
        except OSError:
            return  # a home that cannot be written to costs some milliseconds per command, no more


def _kind(
    group: str,
    version: str,
    kind: str,
    resource: str,
    singular: str,
    namespaced: bool,
    short: Iterable[str],
    categories: Iterable[str],
    verbs: Iterable[str],
) -> Kind:
    return Kind(group, version, kind, resource, singular, namespaced, tuple(short), tuple(categories), tuple(verbs))


def _discover(transport: Transport, path: str) -> list[Kind]:
    document: Any = transport.request("GET", path, accept=_AGGREGATED).json()
    if document.get("kind") == "APIGroupDiscoveryList":
        return [
            _aggregated(item["metadata"].get("name", ""), version["version"], resource)
            for item in document.get("items") or ()
            for version in item.get("versions") or ()
            for resource in version.get("resources") or ()
        ]
    if path == "/api":
        versions = [("", v) for v in document["versions"]]
    else:
        versions = [(g["name"], v["version"]) for g in document["groups"] for v in _preferred_first(g)]
    return [k for group, version in versions for k in _plain(transport, group, version)]


def _aggregated(group: str, version: str, resource: Object) -> Kind:
    response = resource.get("responseKind") or {}
    return _kind(
        response.get("group") or group,
        response.get("version") or version,
        response.get("kind", ""),
        resource["resource"],
        resource.get("singularResource", ""),
        resource.get("scope") == "Namespaced",
        resource.get("shortNames") or (),
        resource.get("categories") or (),
        resource.get("verbs") or (),
    )


def _preferred_first(group: Object) -> list[Object]:
    first = (group.get("preferredVersion") or {}).get("version")
    return sorted(group["versions"], key=lambda v: v["version"] != first)


def _plain(transport: Transport, group: str, version: str) -> list[Kind]:
    """One group version of a server (before Kubernetes 1.26) that does not aggregate."""
    try:
        listed = transport.request("GET", f"/apis/{group}/{version}" if group else f"/api/{version}").json()
    except ApiError:
        return []  # an aggregated API whose server is down must not keep the others from being found
    return [
        _kind(
            group,
            version,
            r["kind"],
            r["name"],
            r.get("singularName", ""),
            bool(r.get("namespaced")),
            r.get("shortNames") or (),
            r.get("categories") or (),
            r.get("verbs") or (),
        )
        for r in listed.get("resources") or ()
        if "/" not in r["name"]
    ]
