from __future__ import annotations

from typing import Any

import pytest

from labctl.api.managed_fields import managers
from labctl.api.managed_fields.managers import APPLY, UPDATE, EntriesError, Owner, identity


def entry(manager: str = "m", operation: str = UPDATE, time: str = "", **more: Any) -> dict[str, Any]:
    found = {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1"}
    return found | ({"time": time} if time else {}) | {"fieldsV1": {"f:data": {"f:a": {}}}} | more


def test_there_and_back() -> None:
    entries = [entry("a", APPLY, "2026-01-01T00:00:00Z"), entry("b", subresource="status")]
    written = managers.write(managers.read(entries))
    assert written == entries
    assert written[0] is entries[0], "what did not change is not made again"


def test_order() -> None:
    entries = [
        entry("a"),
        entry("b", APPLY, "2026-01-02T00:00:00Z"),
        entry("c", APPLY, "2026-01-01T00:00:00Z"),
        entry("a", subresource="status"),
    ]
    names = [(e["manager"], e.get("subresource")) for e in managers.write(managers.read(entries))]
    assert names == [("c", None), ("b", None), ("a", None), ("a", "status")]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"operation": "Bad"}, "operation must be `Apply` or `Update`"),
        ({"apiVersion": ""}, "apiVersion must not be empty"),
        ({"fieldsType": ""}, "missing fieldsType in managed fields entry 1"),
        ({"fieldsType": "X"}, 'invalid fieldsType "X" in managed fields entry 1'),
        ({"fieldsV1": {"f:a": {"nonsense": {}}}}, "error decoding set: missing colon: nonsense"),
    ],
)
def test_what_clients_write_is_checked(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(EntriesError, match=message.replace("(", r"\(")):
        managers.parse([entry(), {**entry("n"), **wrong}])


def test_appliers_keep_their_entry_in_another_version() -> None:
    assert identity("a", APPLY, "v1") == identity("a", APPLY, "v2")
    assert identity("a", UPDATE, "v1") != identity("a", UPDATE, "v2")


@pytest.mark.parametrize(("entries", "expected"), [([], True), ([{}], True), ([{}, {}], False), (None, False)])
def test_reset(entries: Any, expected: bool) -> None:
    assert managers.is_reset(entries) is expected


def test_old_updaters_become_one() -> None:
    owners = {
        identity(f"u{i:02}", UPDATE, "v1"): Owner({f"f:{i}": {}}, "v1", f"2026-01-{i + 1:02}T00:00:00Z")
        for i in range(13)
    }
    owners[identity("applier", APPLY, "v1")] = Owner({"f:x": {}}, "v1")
    capped = managers.capped(owners)
    ancient = capped[identity("ancient-changes", UPDATE, "v1")]
    assert set(ancient.fields) == {"f:0", "f:1", "f:2", "f:3"}
    assert ancient.time == "2026-01-04T00:00:00Z"
    assert sum(who.operation == UPDATE for who in capped) == 10
    assert identity("applier", APPLY, "v1") in capped


def test_equal_sets_are_shared() -> None:
    assert managers.shared({"f:a": {"f:b": {}}}) is managers.shared({"f:a": {"f:b": {}}})


def test_times_alone_are_no_difference() -> None:
    early, late = entry(time="2026-01-01T00:00:00Z"), entry(time="2026-01-02T00:00:00Z")
    other = entry("b", time="2026-01-01T12:00:00Z")
    assert managers.same_but_times([early, other], [other, late])
    assert not managers.same_but_times([early], [late, other])
    assert not managers.same_but_times([early], [entry(subresource="status")])
