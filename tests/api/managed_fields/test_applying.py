from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.api import kinds, schema
from labctl.api.managed_fields import Apply, apply, merging, record, sets, types, walk
from labctl.api.managed_fields.applying import LAST_APPLIED
from labctl.api.managed_fields.versions import SERVER_FIELDS
from labctl.api.objects import Object
from labctl.api.status import ApiError
from tests.api.managed_fields.strategies import SERVICES

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
EMPTY = {kind: schema.decode(kind, {"metadata": {}}).object for kind in (kinds.SERVICE, kinds.CONFIG_MAP)}


def config_map(**data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


def applied(
    live: Object | None, wanted: Object, manager: str = "a", *, force: bool = False, kind: kinds.Kind = kinds.CONFIG_MAP
) -> Object:
    """The live object (of some server: decoded, with a uid) after an apply."""
    how = Apply(manager, NOW if live is None else LATER, force=force)
    merged = apply(kind, EMPTY[kind] if live is None else live, wanted, how, empty=EMPTY[kind])
    result = schema.decode(kind, merged).object
    result["metadata"]["uid"] = "u"
    return result


def updated(live: Object, new: Object, manager: str) -> Object:
    new["metadata"]["managedFields"] = record(kinds.CONFIG_MAP, live, new, manager=manager, time=LATER)
    return new


def owners(obj: Object) -> dict[str, sets.FieldSet]:
    return {e["manager"]: e["fieldsV1"] for e in obj["metadata"].get("managedFields") or ()}


def owned(*names: str) -> sets.FieldSet:
    return {"f:data": {f"f:{n}": {} for n in names}}


def test_create() -> None:
    live = applied(None, config_map(x="1"))
    assert live["data"] == {"x": "1"}
    assert live["metadata"]["managedFields"] == [
        {
            "manager": "a",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": NOW,
            "fieldsType": "FieldsV1",
            "fieldsV1": owned("x"),
        }
    ]


def test_a_field_that_is_not_applied_any_more_vanishes() -> None:
    live = applied(applied(None, config_map(x="1", y="1")), config_map(x="1"))
    assert live["data"] == {"x": "1"}
    assert owners(live) == {"a": owned("x")}


def test_but_not_when_somebody_else_owns_it() -> None:
    live = applied(applied(None, config_map(x="1", y="1")), config_map(y="1"), "b")
    live = applied(live, config_map(x="1"))
    assert live["data"] == {"x": "1", "y": "1"}
    assert owners(live) == {"a": owned("x"), "b": owned("y")}


def test_equal_values_are_shared_without_a_time() -> None:
    live = applied(applied(None, config_map(x="1")), config_map(x="1"), "b")
    assert owners(live) == {"a": owned("x"), "b": owned("x")}
    assert [e.get("time") for e in live["metadata"]["managedFields"]] == [None, NOW]


def test_conflict() -> None:
    live = updated(applied(None, config_map(x="1", y="1")), applied(None, config_map(x="2", y="1")), "editor")
    live = applied(live, config_map(y="1"), "b")
    with pytest.raises(ApiError) as caught:
        applied(live, config_map(x="3"))
    assert caught.value.code == 409
    assert caught.value.message == 'Apply failed with 1 conflict: conflict with "editor" using v1: .data.x'
    assert caught.value.details == {
        "causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "editor" using v1', "field": ".data.x"}]
    }
    with pytest.raises(ApiError) as caught:
        applied(live, config_map(x="3", y="3"), "c")
    assert caught.value.message == (
        'Apply failed with 3 conflicts: conflicts with "a":\n- .data.y\nconflicts with "b":\n- .data.y\n'
        'conflicts with "editor" using v1:\n- .data.x'
    )


def test_force_takes() -> None:
    live = applied(applied(None, config_map(x="1", y="1")), config_map(x="2"), "b", force=True)
    assert live["data"] == {"x": "2", "y": "1"}
    assert owners(live) == {"a": owned("y"), "b": owned("x")}


def test_an_object_nobody_tracked() -> None:
    live = {**applied(None, config_map(x="1")), "metadata": {"name": "c", "uid": "u"}}
    with pytest.raises(ApiError, match=r'conflict with "before-first-apply" using v1: .data.x'):
        applied(live, config_map(x="2"))
    assert set(owners(applied(live, config_map(x="2"), force=True))) == {"a", "before-first-apply"}


@pytest.mark.parametrize(
    ("wanted", "code", "message"),
    [
        ({}, 400, "invalid object type: /, Kind="),
        ({"apiVersion": "v1", "kind": "Pod"}, 400, "invalid object type: /v1, Kind=Pod"),
        ({**config_map(), "metadata": {"managedFields": []}}, 400, "metadata.managedFields must be nil"),
        (
            {**config_map(), "data": {"x": 1}},
            400,
            "failed to create typed patch object (/c; /v1, Kind=ConfigMap): "
            ".data.x: expected string, got &value.valueUnstructured{Value:1}",
        ),
    ],
)
def test_no_configuration(wanted: Object, code: int, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        applied(None, wanted)
    assert (caught.value.code, caught.value.message) == (code, message)


def client_side(**data: str) -> Object:
    """What kubectl apply leaves behind."""
    live = applied(None, config_map(**data))
    live["metadata"] = {"name": "c", "annotations": {LAST_APPLIED: orjson.dumps(config_map(**data)).decode()}}
    live["metadata"]["managedFields"] = record(
        kinds.CONFIG_MAP, EMPTY[kinds.CONFIG_MAP], live, manager="kubectl-client-side-apply", time=NOW
    )
    live["metadata"]["uid"] = "u"
    return live


def test_kubectl_may_change_what_it_applied_client_side() -> None:
    live = applied(client_side(x="1"), config_map(x="2"), "kubectl")
    assert live["data"] == {"x": "2"}
    assert live["metadata"]["annotations"][LAST_APPLIED] == (
        '{"apiVersion":"v1","data":{"x":"2"},"kind":"ConfigMap","metadata":{"name":"c"}}\n'
    )


def test_but_not_what_changed_since() -> None:
    changed = updated(client_side(x="1"), {**client_side(x="1"), "data": {"x": "5"}}, "editor")
    with pytest.raises(ApiError, match=r'conflict with "editor" using v1: .data.x'):
        applied(changed, config_map(x="2"), "kubectl")
    with pytest.raises(ApiError, match=r'conflict with "kubectl-client-side-apply" using v1: .data.x'):
        applied(client_side(x="1"), config_map(x="2"), "other")


def test_what_lies_in_a_removed_part_goes_with_it() -> None:
    ports = [{"port": 80}, {"port": 81}]
    wanted = {"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {"ports": ports}}
    live = applied(None, wanted, kind=kinds.SERVICE)
    live["spec"]["ports"][1]["nodePort"] = 30000  # the server's, owned by nobody
    live = applied(live, {**wanted, "spec": {"ports": ports[:1]}}, kind=kinds.SERVICE)
    assert [p["port"] for p in live["spec"]["ports"]] == [80]


def test_two_versions_of_a_group() -> None:
    empty = {k: schema.decode(k, {"metadata": {}}).object for k in (kinds.HORIZONTAL_POD_AUTOSCALER_V1,)}
    one = kinds.HORIZONTAL_POD_AUTOSCALER_V1
    wanted = {"apiVersion": "autoscaling/v1", "kind": one.kind, "metadata": {"name": "h"}, "spec": {"maxReplicas": 3}}
    merged = apply(one, empty[one], wanted, Apply("a", NOW), empty=empty[one])
    two = kinds.HORIZONTAL_POD_AUTOSCALER
    live = {**schema.decode(one, merged).object, "apiVersion": two.api_version}
    with pytest.raises(ApiError, match=r'conflict with "a": \.spec\.maxReplicas'):
        apply(
            two, live, {**wanted, "apiVersion": two.api_version, "spec": {"maxReplicas": 4}}, Apply("b", NOW), empty={}
        )
    changed = {**wanted, "apiVersion": two.api_version, "spec": {"maxReplicas": 4}}
    result = apply(two, live, changed, Apply("a", NOW), empty={})
    (entry,) = result["metadata"]["managedFields"]
    assert (entry["apiVersion"], entry["fieldsV1"]) == ("autoscaling/v2", {"f:spec": {"f:maxReplicas": {}}})


def as_service(live: Object | None, wanted: Object, manager: str, *, force: bool = True) -> Object:
    return applied(live, wanted, manager, force=force, kind=kinds.SERVICE)


def known(obj: Object) -> Object:
    """An object without times."""
    entries = [{k: v for k, v in e.items() if k != "time"} for e in obj["metadata"].get("managedFields") or ()]
    entries.sort(key=lambda e: e["manager"])
    return {**obj, "metadata": {**obj["metadata"], "managedFields": entries}}


@given(SERVICES, SERVICES)
def test_again_changes_nothing(first: Object, second: Object) -> None:
    live = as_service(as_service(None, first, "a"), second, "b")
    assert known(as_service(live, second, "b", force=False)) == known(live)


@given(SERVICES, SERVICES)
def test_what_is_applied_is_there(first: Object, second: Object) -> None:
    live = as_service(as_service(None, first, "a"), second, "a")
    type_ = types.of_kind(kinds.SERVICE)
    assert owners(live).get("a", {}) == sets.difference(walk.field_set(type_, second), SERVER_FIELDS)
    assert schema.decode(kinds.SERVICE, merging.merge(type_, live, second)).object == live


@given(SERVICES, SERVICES)
def test_taking_it_back_leaves_the_others(first: Object, second: Object) -> None:
    nothing = {"apiVersion": "v1", "kind": "Service"}
    both = as_service(as_service(None, first, "a"), second, "b")
    alone = as_service(both, nothing, "a")
    assert set(owners(alone)) <= {"b"}
    assert owners(alone).get("b") == owners(both).get("b")
    gone = as_service(alone, nothing, "b")
    assert known(gone) == known(as_service(None, nothing, "c"))


def data(names: str) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(names), st.sampled_from("12"), min_size=1)


@given(data("abc"), data("xyz"))
def test_disjoint_managers_commute(one: dict[str, str], two: dict[str, str]) -> None:
    there = applied(applied(None, config_map(**one), "a"), config_map(**two), "b", force=False)
    back = applied(applied(None, config_map(**two), "b"), config_map(**one), "a", force=False)
    assert known(there) == known(back)


def test_arguments_stay_as_they_are() -> None:
    live: Any = applied(None, config_map(x="1"))
    before = orjson.dumps(live)
    applied(live, config_map(y="1"), "b")
    assert orjson.dumps(live) == before
