"""Recording what every write but an apply changes: create, update and the three other patches.

Who changes a field owns it, alone: it is taken from everybody else, also from those who applied it. Who writes a value that
is there already owns nothing.
"""

from __future__ import annotations

from typing import Any

from labctl.api.kinds import Kind
from labctl.api.managed_fields import managers, sets
from labctl.api.managed_fields.managers import UPDATE, EntriesError, Owner, Owners
from labctl.api.managed_fields.sets import LEAF, FieldSet
from labctl.api.managed_fields.versions import Changes
from labctl.api.managed_fields.walk import Comparison
from labctl.api.objects import Object

Entries = list[dict[str, Any]]


def record(
    kind: Kind,
    old: Object,
    new: Object,
    *,
    manager: str,
    time: str,
    given: Any = None,
    subresource: str = "",
    ignored: FieldSet = LEAF,
) -> Entries:
    """The managed fields of `new` after a write that found `old` (for a creation: the kind's empty object).

    `given` is metadata.managedFields of the request, None when it left them out; `time` is RFC 3339. Without a change the
    live entries themselves come back. An object that nobody tracks is not tracked from here on either.
    """
    live: Entries = old["metadata"].get("managedFields") or []
    owners = _present(live, given, is_subresource=bool(subresource))
    if not owners and old["metadata"].get("uid"):
        return []
    after = changed(kind, old, new, owners, manager=manager, time=time, subresource=subresource, ignored=ignored)
    entries = managers.write(managers.capped(after))
    return live if entries == live else entries


def changed(
    kind: Kind,
    old: Object,
    new: Object,
    owners: Owners,
    *,
    manager: str,
    time: str,
    subresource: str = "",
    ignored: FieldSet = LEAF,
) -> Owners:
    """Who owns what after one manager changed an object."""
    changes = Changes(kind, old, new, ignored)
    found = changes.of(kind.api_version)
    assert found is not None  # a kind is served in its own version
    if not any(found):
        return {who: owner for who, owner in owners.items() if owner.fields}
    after: Owners = {}
    for who, owner in owners.items():
        theirs = changes.of(owner.api_version)
        if theirs is not None and (rest := left(owner, theirs)) is not None:
            after[who] = rest
    mine = sets.union(found.modified, found.added)
    if mine:
        who = managers.identity(manager, UPDATE, kind.api_version, subresource)
        if who in after:
            mine = sets.union(mine, after[who].fields)
        after[who] = Owner(mine, kind.api_version, time)
    return after


def left(owner: Owner, found: Comparison) -> Owner | None:
    """What somebody still owns after others changed the object."""
    fields = owner.fields
    for part in found:
        fields = sets.difference(fields, part)
    if fields is owner.fields:
        return owner if fields else None
    return Owner(fields, owner.api_version, owner.time) if fields else None


def _present(live: Entries, given: Any, *, is_subresource: bool) -> Owners:
    """The owners a write starts from: those a client sent, if it sent any that make sense, or the live object's."""
    if is_subresource or given is None or given is live or given == live:
        return managers.read(live)
    if managers.is_reset(given):
        return {}
    try:
        return managers.parse(given) or managers.read(live)
    except EntriesError:
        return managers.read(live)
