"""metadata.managedFields as managers and what they own, and back.

An entry is known by its manager, operation, subresource and, for updates, version: somebody who applies in another version
goes on with the same entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from labctl.api.managed_fields import sets
from labctl.api.managed_fields.sets import FieldSet

APPLY = "Apply"
UPDATE = "Update"
_MAX_UPDATERS = 10  # k8s.io/apimachinery: DefaultMaxUpdateManagers
_ANCIENT = "ancient-changes"


class Identity(NamedTuple):
    """What tells one entry from another; `api_version` is empty for those who apply."""

    manager: str
    operation: str
    api_version: str
    subresource: str


@dataclass(frozen=True, slots=True)
class Owner:
    """What an entry says: its fields, the version their paths are in, the time (RFC 3339, or empty)."""

    fields: FieldSet
    api_version: str
    time: str = ""
    entry: dict[str, Any] | None = None  # as it came, where nothing changed since


Owners = dict[Identity, Owner]


class EntriesError(ValueError):
    """These are no managed fields; the message is Kubernetes'."""


def identity(manager: str, operation: str, api_version: str, subresource: str = "") -> Identity:
    """The identity of an entry."""
    return Identity(manager, operation, "" if operation == APPLY else api_version, subresource)


def read(entries: list[dict[str, Any]]) -> Owners:
    """Entries that were written here: they are canonical."""
    return {
        identity(e.get("manager", ""), e["operation"], e["apiVersion"], e.get("subresource", "")): Owner(
            e.get("fieldsV1") or {}, e["apiVersion"], e.get("time") or "", e
        )
        for e in entries
    }


def parse(entries: list[dict[str, Any]]) -> Owners:
    """Entries that a client wrote. Raises EntriesError."""
    owners: Owners = {}
    for index, entry in enumerate(entries):
        operation, version = entry.get("operation"), entry.get("apiVersion")
        if operation not in (APPLY, UPDATE):
            raise EntriesError("operation must be `Apply` or `Update`")
        if not version:
            raise EntriesError("apiVersion must not be empty")
        fields_type = entry.get("fieldsType")
        if not fields_type:
            raise EntriesError(f"missing fieldsType in managed fields entry {index}")
        if fields_type != "FieldsV1":
            raise EntriesError(f'invalid fieldsType "{fields_type}" in managed fields entry {index}')
        try:
            fields = sets.ordered(sets.decode(entry.get("fieldsV1") or {}))
        except ValueError as error:
            raise EntriesError(f"error decoding set: {error}") from None
        who = identity(entry.get("manager") or "", operation, version, entry.get("subresource") or "")
        owners[who] = Owner(fields, version, entry.get("time") or "")
    return owners


def is_reset(entries: Any) -> bool:
    """Whether a client asks to forget all managers: an empty list, or one empty entry."""
    return isinstance(entries, list) and (not entries or entries == [{}])


def write(owners: Owners) -> list[dict[str, Any]]:
    """metadata.managedFields, in Kubernetes' order. Entries that did not change are the very ones that were read."""
    entries = [owner.entry or _entry(who, owner) for who, owner in owners.items()]
    return sorted(entries, key=_entry_order)


def _entry(who: Identity, owner: Owner) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if who.manager:
        entry["manager"] = who.manager
    entry |= {"operation": who.operation, "apiVersion": owner.api_version}
    if owner.time:
        entry["time"] = owner.time
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": shared(sets.ordered(owner.fields))}
    if who.subresource:
        entry["subresource"] = who.subresource
    return entry


def _entry_order(entry: dict[str, Any]) -> tuple[str, ...]:
    names = ("operation", "time", "manager", "apiVersion", "subresource")
    return tuple(entry.get(name) or "" for name in names)


_SHARED: dict[bytes, FieldSet] = {}
_MAX_SHARED = 2048


def shared(fields: FieldSet) -> FieldSet:
    """One and the same set for equal sets: thousands of objects of one making own the same fields."""
    text = orjson.dumps(fields)
    found = _SHARED.get(text)
    if found is None:
        if len(_SHARED) >= _MAX_SHARED:
            _SHARED.clear()
        found = _SHARED[text] = fields
    return found


def capped(owners: Owners) -> Owners:
    """At most ten entries of updates: the oldest of a version become one, `ancient-changes`."""
    updaters = [who for who in owners if who.operation == UPDATE]
    excess = len(updaters) - _MAX_UPDATERS
    if excess <= 0:
        return owners
    result = dict(owners)
    first: dict[str, Identity] = {}
    for who in sorted(updaters, key=lambda who: (owners[who].time, who)):
        if excess <= 0:
            break
        version = owners[who].api_version
        if version not in first:
            first[version] = who
            continue
        bucket = identity(_ANCIENT, UPDATE, version)
        gathered = result[bucket] if bucket in result else result.pop(first[version])
        merged = sets.union(owners[who].fields, gathered.fields)
        result.pop(who, None)
        result[bucket] = Owner(merged, version, owners[who].time)
        excess -= 1
    return result


def same_but_times(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    """Whether two lists of entries say the same but for the times: a write that changes no more is not written."""
    if one is other or one == other:
        return True
    return len(one) == len(other) and sorted(map(_timeless, one), key=_entry_order) == sorted(
        map(_timeless, other), key=_entry_order
    )


def _timeless(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "time"}
