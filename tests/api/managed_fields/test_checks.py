from __future__ import annotations

from typing import Any

import pytest

from labctl.api import kinds
from labctl.api.managed_fields import checks, types

POD = types.of_kind(kinds.POD)


def container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "c", **fields}]}}


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ({"spec": {"foo": 1}}, ".spec.foo: field not declared in schema"),
        ({"spec": {"priority": "x"}}, ".spec.priority: expected numeric (int or float), got string"),
        ({"spec": {"nodeName": 7}}, ".spec.nodeName: expected string, got &value.valueUnstructured{Value:7}"),
        ({"spec": {"hostNetwork": "yes"}}, ".spec.hostNetwork: expected boolean, got &{yes}"),
        ({"spec": {"containers": {"a": 1}}}, ".spec.containers: expected list, got &{map[a:1]}"),
        ({"spec": [1, True, None]}, ".spec: expected map, got &{[1 true <nil>]}"),
        ({"metadata": {"creationTimestamp": {}}}, ".metadata.creationTimestamp: expected any scalar, got &{map[]}"),
        (
            {"spec": {"containers": [None]}},
            ".spec.containers: element 0: associative list with keys may not have a null element",
        ),
        (
            {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}},
            '.spec.containers: duplicate entries for key [name="a"]',
        ),
        (
            container(args=["a", 7]),
            '.spec.containers[name="c"].args[1]: expected string, got &value.valueUnstructured{Value:7}',
        ),
        (
            {"metadata": {"finalizers": [{}]}},
            ".metadata.finalizers: element 0: associative list without keys has an element that's a map type",
        ),
        (
            {"spec": {"hostIPC": 1, "hostPID": 2}},
            "errors:\n  .spec.hostIPC: expected boolean, got &{1}\n  .spec.hostPID: expected boolean, got &{2}",
        ),
    ],
)
def test_wrong(obj: dict[str, Any], message: str) -> None:
    assert checks.check(POD, obj) == message


def test_items_need_a_key() -> None:
    secrets = {"secrets": [{"kind": "Secret"}]}
    assert checks.check(types.of_kind(kinds.SERVICE_ACCOUNT), secrets) == (
        '.secrets: element 0: associative list with keys has an element that omits all key fields ["name"] '
        "(and doesn't have default values for any key fields)"
    )


@pytest.mark.parametrize(
    "obj",
    [
        {},
        {"spec": None, "metadata": {"creationTimestamp": None}},
        container(ports=[{}], resources={"limits": {"cpu": 1}}),
        container(livenessProbe={"httpGet": {"port": {}}}),
    ],
    ids=["nothing", "nulls", "defaults-as-keys", "left-to-decoding"],
)
def test_right(obj: dict[str, Any]) -> None:
    assert checks.check(POD, obj) == ""
