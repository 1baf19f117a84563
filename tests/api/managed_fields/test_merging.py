from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from labctl.api import kinds
from labctl.api.managed_fields import merging, sets, types, walk
from tests.api.managed_fields.strategies import SERVICES

SERVICE = types.of_kind(kinds.SERVICE)


def finalizers(*names: str) -> dict[str, Any]:
    return {"metadata": {"finalizers": list(names)}}


@pytest.mark.parametrize(
    ("live", "applied", "merged"),
    [
        ("ab", "ab", "ab"),
        ("ab", "ba", "ba"),
        ("abc", "b", "abc"),
        ("abc", "ca", "bca"),
        ("xa", "na", "xna"),
        ("ax", "an", "axn"),
        ("axb", "ba", "xba"),
        ("", "ab", "ab"),
        ("ab", "", "ab"),
        ("1a2b3", "nbma", "12nb3ma"),
    ],
)
def test_order_of_sets(live: str, applied: str, merged: str) -> None:
    assert merging.merge(SERVICE, finalizers(*live), finalizers(*applied)) == finalizers(*merged)


@pytest.mark.parametrize(
    ("live", "applied", "merged"),
    [
        (
            {"ports": [{"port": 80, "protocol": "TCP", "nodePort": 30000}]},
            {"ports": [{"port": 80, "name": "http"}]},
            {"ports": [{"port": 80, "protocol": "TCP", "nodePort": 30000, "name": "http"}]},
        ),
        ({"selector": {"a": "1", "b": "2"}}, {"selector": {"a": "3"}}, {"selector": {"a": "3"}}),
        ({"ports": [{"port": 1}]}, {"ports": None}, {"ports": [{"port": 1}]}),
        ({"ports": [{"port": 1}]}, {"ports": []}, {"ports": [{"port": 1}]}),
        ({"type": "NodePort"}, {"type": None}, {"type": None}),
    ],
    ids=["by-key", "atomic", "null-list", "empty-list", "null-leaf"],
)
def test_merge(live: dict[str, Any], applied: dict[str, Any], merged: dict[str, Any]) -> None:
    assert merging.merge(SERVICE, {"spec": live}, {"spec": applied}) == {"spec": merged}


def test_remove() -> None:
    obj: dict[str, Any] = {
        "metadata": {"labels": {"a": "1", "b": "2"}},
        "spec": {"ports": [{"port": 80}, {"port": 81, "name": "x"}]},
    }
    gone = {
        "f:metadata": {"f:labels": {"f:a": {}}},
        "f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {}, 'k:{"port":81,"protocol":"TCP"}': {"f:name": {}}}},
    }
    assert merging.remove(SERVICE, obj, gone) == {"metadata": {"labels": {"b": "2"}}, "spec": {"ports": [{"port": 81}]}}
    assert obj["spec"]["ports"] == [{"port": 80}, {"port": 81, "name": "x"}]


@given(SERVICES, SERVICES)
def test_a_merge_has_all_that_was_applied(live: dict[str, Any], applied: dict[str, Any]) -> None:
    merged = merging.merge(SERVICE, live, applied)
    fields = walk.field_set(SERVICE, merged)
    assert not sets.difference(walk.field_set(SERVICE, applied), sets.union(fields, walk.whole(SERVICE, merged)))
    assert merging.merge(SERVICE, merged, applied) == merged


@given(SERVICES)
def test_removing_all_leaves_nothing(obj: dict[str, Any]) -> None:
    fields = walk.with_named_fields(SERVICE, walk.field_set(SERVICE, obj))
    rest = {k: v for k, v in merging.remove(SERVICE, obj, fields).items() if v}
    assert set(walk.field_set(SERVICE, rest)) == set()
