"""What an applied configuration owns, and what a change takes: tables of structured-merge-diff's behaviour."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from labctl.api import kinds
from labctl.api.managed_fields import sets, types, walk
from tests.api.managed_fields.strategies import SERVICES

SERVICE = types.of_kind(kinds.SERVICE)
POD = types.of_kind(kinds.POD)


@pytest.mark.parametrize(
    ("obj", "fields"),
    [
        ({"spec": {"type": "NodePort"}}, {"f:spec": {"f:type": {}}}),
        ({"spec": {"selector": {"a": "b"}}}, {"f:spec": {"f:selector": {}}}),
        ({"metadata": {"labels": {"a": "b"}}}, {"f:metadata": {"f:labels": {"f:a": {}}}}),
        ({"metadata": {"labels": {}}}, {"f:metadata": {"f:labels": {}}}),
        ({"metadata": {"labels": None}}, {"f:metadata": {"f:labels": {}}}),
        ({"metadata": {"finalizers": ["a/b"]}}, {"f:metadata": {"f:finalizers": {'v:"a/b"': {}}}}),
        ({"metadata": {"finalizers": []}}, {}),
        (
            {"spec": {"ports": [{"port": 80}]}},
            {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}}},
        ),
        (
            {"metadata": {"ownerReferences": [{"uid": "1", "name": "x"}]}},
            {"f:metadata": {"f:ownerReferences": {'k:{"uid":"1"}': {}}}},
        ),
        ({"status": {}}, {"f:status": {}}),
    ],
    ids=["leaf", "atomic", "map", "empty-map", "null", "set", "empty-list", "item", "atomic-item", "empty-struct"],
)
def test_applied(obj: dict[str, Any], fields: sets.FieldSet) -> None:
    assert walk.field_set(SERVICE, obj) == fields


@pytest.mark.parametrize(
    ("old", "new", "removed", "modified", "added"),
    [
        ({}, {}, {}, {}, {}),
        ({"spec": {"type": "A"}}, {"spec": {"type": "B"}}, {}, {"f:spec": {"f:type": {}}}, {}),
        ({"spec": {}}, {"spec": {"type": "B"}}, {}, {}, {"f:spec": {"f:type": {}}}),
        ({}, {"spec": {"type": "B"}}, {}, {}, {"f:spec": {".": {}, "f:type": {}}}),
        (
            {"spec": {"selector": {"a": "1"}}},
            {"spec": {"selector": {"a": "2"}}},
            {},
            {"f:spec": {"f:selector": {}}},
            {},
        ),
        (
            {"metadata": {"labels": {"a": "1", "b": "1"}}},
            {"metadata": {"labels": {"a": "2", "c": "1"}}},
            {"f:metadata": {"f:labels": {"f:b": {}}}},
            {"f:metadata": {"f:labels": {"f:a": {}}}},
            {"f:metadata": {"f:labels": {"f:c": {}}}},
        ),
        (
            {"spec": {"ports": [{"port": 80, "protocol": "TCP"}]}},
            {"spec": {"ports": [{"port": 80}, {"port": 81}]}},
            {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {"f:protocol": {}}}}},
            {},
            {"f:spec": {"f:ports": {'k:{"port":81,"protocol":"TCP"}': {".": {}, "f:port": {}}}}},
        ),
        (
            {"spec": {"ports": None}},
            {"spec": {"ports": [{"port": 80}]}},
            {},
            {},
            {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}}},
        ),
    ],
    ids=["same", "leaf", "new-leaf", "new-struct", "atomic", "map", "items", "from-null"],
)
def test_compare(
    old: dict[str, Any],
    new: dict[str, Any],
    removed: sets.FieldSet,
    modified: sets.FieldSet,
    added: sets.FieldSet,
) -> None:
    assert walk.compare(SERVICE, old, new) == (removed, modified, added)


def env(*values: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": v} for v in values]}]}}


@pytest.mark.parametrize(
    ("old", "new", "part", "marks"),
    [
        (("1", "2"), ("1", "3"), "modified", {}),
        (("1",), ("1", "2"), "added", {}),
        (("1", "2"), (), "removed", {}),
    ],
)
def test_duplicates_are_one_value(old: tuple[str, ...], new: tuple[str, ...], part: str, marks: sets.FieldSet) -> None:
    found = getattr(walk.compare(POD, env(*old), env(*new)), part)
    assert found["f:spec"]["f:containers"]['k:{"name":"c"}']["f:env"]['k:{"name":"A"}'] == marks


def test_skipped_fields_are_not_looked_at() -> None:
    found = walk.compare(SERVICE, {"spec": {"type": "A"}}, {"status": {"x": 1}}, skip=frozenset({"spec", "status"}))
    assert not any(found)


@given(SERVICES, SERVICES)
def test_compare_is_told_from_both_sides(one: dict[str, Any], two: dict[str, Any]) -> None:
    there, back = walk.compare(SERVICE, one, two), walk.compare(SERVICE, two, one)
    assert (there.removed, there.modified, there.added) == (back.added, back.modified, back.removed)
    assert any(there) == (one != two)


@given(SERVICES)
def test_named_fields_add_only_structs(one: dict[str, Any]) -> None:
    fields = walk.field_set(SERVICE, one)
    named = walk.with_named_fields(SERVICE, fields)
    assert sets.union(named, fields) == named
    extra = set(sets.paths(sets.difference(named, fields)))
    assert extra <= {
        ("f:metadata",),
        ("f:spec",),
        *((a, b) for a, b, *_ in (p for p in sets.paths(fields) if len(p) > 2)),
    }
