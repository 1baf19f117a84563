"""Watches: changes of one resource as a client selected them.

An object that starts or stops to match a selector is ADDED or DELETED for the watcher, as Kubernetes' watch cache does
it. Bookmarks tell how far the watcher has seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from labctl.api import kinds, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.apiserver.listing import ListOptions, parse_revision
from labctl.apiserver.registry import Registry
from labctl.client.protocol import WatchEvent
from labctl.store.errors import Compacted, FutureRevision
from labctl.store.store import Change, Watcher

_BOOKMARK_EVERY_S = 60.0
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """Query of a watch."""

    selection: ListOptions
    bookmarks: bool = False
    send_initial_events: bool | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """An event, and the change it came from (None for initial events and bookmarks) to share its encoding."""

    event: WatchEvent
    change: Change | None = None


async def watch(registry: Registry, kind: Kind, namespace: str, options: WatchOptions) -> AsyncIterator[list[Seen]]:
    """Batches of events until the time is over or the watcher lags too far behind. Raises ApiError 400, 410."""
    options.selection.field_selector.check(kind)
    watcher, initial = _open(registry, kind, namespace, options)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + options.timeout_s if options.timeout_s else None
    try:
        if initial:
            yield initial
        while True:
            pause = _BOOKMARK_EVERY_S if deadline is None else min(_BOOKMARK_EVERY_S, deadline - loop.time())
            changes = await watcher.batch(max(pause, 0))
            if changes is None:
                return
            events = [seen for c in changes if (seen := _event(kind, namespace, c, options.selection))]
            if not changes and options.bookmarks:
                events = [Seen(_bookmark(kind, registry.store.revision))]
            if events:
                yield events
            if deadline is not None and loop.time() >= deadline:
                return
    finally:
        watcher.close()


def _open(registry: Registry, kind: Kind, namespace: str, options: WatchOptions) -> tuple[Watcher, list[Seen]]:
    resource = kinds.storage_kind(kind).group_resource
    version = options.selection.resource_version
    from_now = version in ("", "0")
    initial: list[Seen] = []
    try:
        if not from_now and not options.send_initial_events:
            return registry.store.watch(resource, since=parse_revision(version)), initial
        watcher = registry.store.watch(resource)
    except Compacted as error:
        raise status.gone(str(error)) from error
    except FutureRevision as error:
        raise status.ApiError(504, "Timeout", f"Timeout: {error}") from error
    # Without a revision a watch starts with what there is ("Get State and Start at Any"), unless told otherwise.
    if options.send_initial_events or (options.send_initial_events is None and from_now):
        found = registry.store.items(resource, namespace)
        initial = [Seen(WatchEvent("ADDED", o)) for o in found if options.selection.selects(kind, o)]
    if options.send_initial_events and options.bookmarks:
        initial.append(Seen(_bookmark(kind, registry.store.revision, initial_end=True)))
    return watcher, initial


def _bookmark(kind: Kind, revision: int, *, initial_end: bool = False) -> WatchEvent:
    metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_end:
        metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
    return WatchEvent("BOOKMARK", {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata})


def _event(kind: Kind, namespace: str, change: Change, selection: ListOptions) -> Seen | None:
    if namespace and change.key.namespace != namespace:
        return None
    now = not change.deleted and selection.selects(kind, change.object)
    before = change.previous is not None and selection.selects(kind, change.previous)
    if now:
        return Seen(WatchEvent("MODIFIED" if before else "ADDED", change.object), change)
    return Seen(WatchEvent("DELETED", change.object), change) if before else None
