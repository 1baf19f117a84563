from __future__ import annotations

from typing import Any

import pytest

from labctl.api import kinds
from labctl.api.managed_fields import record, sets
from labctl.api.objects import Object

EMPTY: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}
NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def config_map(entries: Any = None, **data: str) -> Object:
    metadata = {"name": "c", "uid": "u", "resourceVersion": "1", "creationTimestamp": NOW}
    if entries:
        metadata["managedFields"] = entries
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def owned(*names: str, with_map: bool = False) -> sets.FieldSet:
    return {"f:data": ({".": {}} if with_map else {}) | {f"f:{n}": {} for n in names}}


def shown(entries: Any) -> dict[str, sets.FieldSet]:
    return {e["manager"]: e["fieldsV1"] for e in entries}


def created(**data: str) -> Object:
    return config_map(record(kinds.CONFIG_MAP, EMPTY, config_map(**data), manager="a", time=NOW), **data)


def test_creation_owns_all_but_what_the_server_gives() -> None:
    (entry,) = created(x="1")["metadata"]["managedFields"]
    assert entry == {
        "manager": "a",
        "operation": "Update",
        "apiVersion": "v1",
        "time": NOW,
        "fieldsType": "FieldsV1",
        "fieldsV1": owned("x", with_map=True),
    }


def test_a_change_takes_fields() -> None:
    live = created(x="1", y="1")
    entries = record(kinds.CONFIG_MAP, live, config_map(x="2", y="1", z="1"), manager="b", time=LATER)
    assert shown(entries) == {"a": owned("y", with_map=True), "b": owned("x", "z")}
    assert [e["time"] for e in entries] == [NOW, LATER]


def test_what_is_removed_belongs_to_nobody() -> None:
    live = created(x="1", y="1")
    entries = record(kinds.CONFIG_MAP, live, config_map(x="1"), manager="b", time=LATER)
    assert shown(entries) == {"a": owned("x", with_map=True)}


def test_no_change_gives_the_same_entries() -> None:
    live = created(x="1")
    assert (
        record(kinds.CONFIG_MAP, live, config_map(x="1"), manager="b", time=LATER) is live["metadata"]["managedFields"]
    )


def test_untracked_objects_stay_untracked() -> None:
    assert record(kinds.CONFIG_MAP, config_map(x="1"), config_map(x="2"), manager="b", time=NOW) == []


@pytest.mark.parametrize("given", [[], [{}]], ids=["empty", "one-empty"])
def test_reset(given: Any) -> None:
    assert record(kinds.CONFIG_MAP, created(x="1"), config_map(x="2"), manager="b", time=NOW, given=given) == []


def test_clients_may_write_managed_fields() -> None:
    live = created(x="1", y="1")
    given = [{**live["metadata"]["managedFields"][0], "manager": "heir"}]
    entries = record(kinds.CONFIG_MAP, live, config_map(x="1", y="1"), manager="b", time=NOW, given=given)
    assert shown(entries) == {"heir": owned("x", "y", with_map=True)}


def test_nonsense_is_left_aside() -> None:
    live = created(x="1")
    given = [{"manager": "z", "operation": "Nonsense"}]
    entries = record(kinds.CONFIG_MAP, live, config_map(x="1"), manager="b", time=NOW, given=given)
    assert entries is live["metadata"]["managedFields"]


def test_subresources_have_entries_of_their_own() -> None:
    live: Object = {"metadata": {"uid": "u"}, "spec": {"nodeName": "n"}, "status": {"phase": "Pending"}}
    live["metadata"]["managedFields"] = record(
        kinds.POD, {"metadata": {}, "spec": {}}, live, manager="kubelet", time=NOW, ignored=sets.of(("f:status",))
    )
    new = {**live, "spec": {}, "status": {"phase": "Running"}}
    entries = record(
        kinds.POD,
        live,
        new,
        manager="kubelet",
        time=NOW,
        subresource="status",
        given=[],
        ignored=sets.of(("f:spec",)),
    )
    assert [(e.get("subresource"), e["fieldsV1"]) for e in entries] == [
        (None, {"f:spec": {"f:nodeName": {}}}),
        ("status", {"f:status": {"f:phase": {}}}),
    ]


def test_ownership_ends_at_the_border_of_a_group() -> None:
    live: Object = {"metadata": {"uid": "u", "labels": {"a": "b"}}, "reason": "R"}
    live["metadata"]["managedFields"] = record(kinds.EVENT, {"metadata": {}}, live, manager="core", time=NOW)
    new = {**live, "metadata": {**live["metadata"], "labels": {"a": "c"}}}
    entries = record(kinds.EVENTS_EVENT, live, new, manager="events", time=NOW)
    assert shown(entries) == {"events": {"f:metadata": {"f:labels": {"f:a": {}}}}}
