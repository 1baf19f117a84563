"""Patches: documented examples, kubectl's own requests, and properties against a model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.api import kinds, patches
from labctl.api.objects import Object, copy
from labctl.api.status import ApiError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=1), inner, max_size=3)
    ),
    max_leaves=8,
)


def service(*ports: Object, **spec: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": list(ports), **spec}}


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # RFC 7386, appendix A, those where the result is an object
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_follows_the_rfc(target: Object, patch: Object, result: Object) -> None:
    before = copy(target)
    assert patches.merge_patch(target, patch) == result
    assert target == before


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ({"op": "add"}, 400),
        ([1], 400),
        ([{"op": "nope", "path": "/a"}], 422),
        ([{"op": "replace", "path": "/none/x", "value": 1}], 422),
        ([{"op": "remove", "path": "/none"}], 422),
        ([{"op": "add", "path": "/list/9", "value": 1}], 422),
        ([{"op": "test", "path": "/a", "value": 2}], 422),
        ([{"op": "add", "path": "/a"}] * 10_001, 413),
    ],
)
def test_wrong_json_patches_are_the_clients_mistake(operations: Any, code: int) -> None:
    with pytest.raises(ApiError) as refused:
        patches.json_patch({"a": 1, "list": []}, operations)
    assert refused.value.code == code


def test_json_patch_changes_a_copy() -> None:
    obj = service({"port": 80})
    patched = patches.json_patch(obj, [{"op": "replace", "path": "/spec/ports/0/port", "value": 81}])
    assert patched["spec"]["ports"] == [{"port": 81}]
    assert obj["spec"]["ports"] == [{"port": 80}]


@pytest.mark.parametrize(
    ("patch", "ports"),
    [
        pytest.param([{"port": 80, "name": "web"}], [{"port": 80, "name": "web"}, {"port": 443}], id="merge by key"),
        pytest.param([{"port": 81}], [{"port": 81}, {"port": 80}, {"port": 443}], id="add"),
        pytest.param([{"port": 80, "$patch": "delete"}], [{"port": 443}], id="delete"),
        pytest.param([{"$patch": "replace"}, {"port": 9}], [{"port": 9}], id="replace the list"),
    ],
)
def test_lists_of_maps_merge_by_key(patch: Any, ports: Any) -> None:
    obj = service({"port": 80}, {"port": 443})
    assert patches.strategic_merge_patch(kinds.SERVICE, obj, {"spec": {"ports": patch}})["spec"]["ports"] == ports


def test_set_element_order_sorts_and_keeps_what_only_the_server_has() -> None:
    obj = service({"port": 1}, {"port": 2}, {"port": 3})
    patch = {"spec": {"$setElementOrder/ports": [{"port": 3}, {"port": 1}], "ports": [{"port": 3, "name": "c"}]}}
    merged = patches.strategic_merge_patch(kinds.SERVICE, obj, patch)["spec"]["ports"]
    assert [p["port"] for p in merged] in ([2, 3, 1], [3, 1, 2], [3, 2, 1])
    assert {"port": 3, "name": "c"} in merged


def test_retain_keys_drop_the_others() -> None:
    obj = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    merged = patches.strategic_merge_patch(kinds.DEPLOYMENT, obj, patch)
    assert merged["spec"]["strategy"] == {"type": "Recreate"}


def test_primitive_lists_merge_and_lose_elements() -> None:
    obj = {"metadata": {"finalizers": ["a", "b"]}}
    patch = {"metadata": {"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert patches.strategic_merge_patch(kinds.SERVICE, obj, patch)["metadata"]["finalizers"] == ["c", "b"]


@pytest.mark.parametrize(
    "patch",
    [{"spec": {"$patch": "nope"}}, {"spec": {"ports": [{"name": "no key"}]}}, {"spec": {"$retainKeys": [], "x": 1}}],
)
def test_directives_that_make_no_sense_are_refused(patch: Object) -> None:
    with pytest.raises(ApiError) as refused:
        patches.strategic_merge_patch(kinds.SERVICE, service(), patch)
    assert refused.value.code == 400


def test_apply_sends_only_what_the_user_changed() -> None:
    original = service({"port": 80}, selector={"app": "a"}, sessionAffinity="ClientIP")
    modified = service({"port": 81}, selector={"app": "a"})
    current = service(
        {"port": 80, "nodePort": 30080}, selector={"app": "a"}, sessionAffinity="ClientIP", clusterIP="10.96.0.9"
    )
    patch = patches.create_three_way_merge_patch(kinds.SERVICE, original, modified, current)
    assert patch == {
        "spec": {
            "sessionAffinity": None,
            "$setElementOrder/ports": [{"port": 81}],
            "ports": [{"port": 81}, {"$patch": "delete", "port": 80}],
        }
    }
    merged = patches.strategic_merge_patch(kinds.SERVICE, current, patch)["spec"]
    assert merged == {"ports": [{"port": 81}], "selector": {"app": "a"}, "clusterIP": "10.96.0.9"}


def test_applying_the_same_again_sends_nothing() -> None:
    applied = service({"port": 80}, selector={"app": "a"})
    current = service({"port": 80, "protocol": "TCP"}, selector={"app": "a"}, type="ClusterIP")
    assert patches.create_three_way_merge_patch(kinds.SERVICE, applied, applied, current) == {}


ports = st.lists(
    st.fixed_dictionaries(
        {"port": st.integers(1, 4)}, optional={"name": st.sampled_from("xy"), "nodePort": st.just(30001)}
    ),
    unique_by=lambda p: p["port"],
    max_size=4,
)
services = st.builds(
    lambda p, **spec: service(*p, **spec), ports, selector=st.dictionaries(st.sampled_from("ab"), st.just("v"))
)


@given(services, services)
def test_a_two_way_patch_leads_from_one_to_the_other(original: Object, modified: Object) -> None:
    patch = patches.create_two_way_merge_patch(kinds.SERVICE, original, modified)
    result = patches.strategic_merge_patch(kinds.SERVICE, original, patch)
    assert result["spec"].get("selector", {}) == modified["spec"]["selector"]
    assert result["spec"]["ports"] == modified["spec"]["ports"]


@given(st.dictionaries(st.sampled_from("abc"), JSON), st.dictionaries(st.sampled_from("abc"), JSON))
def test_a_merge_patch_applied_twice_is_applied_once(target: Object, patch: Object) -> None:
    once = patches.merge_patch(target, patch)
    assert patches.merge_patch(once, patch) == once
