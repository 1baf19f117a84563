"""Whatever is sent, the answer is one of Kubernetes' own: never a 500, and the server goes on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.api import kinds, protobuf
from tests.apiserver.harness import (
    APPS,
    DEFAULT,
    JSON_PATCH,
    MERGE,
    STRATEGIC,
    Client,
    config_map,
    deployment,
    pod,
    server,
    service,
)

QUICK = settings(suppress_health_check=[HealthCheck.too_slow])
APPLY = "application/apply-patch+yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
TYPES = ["application/json", "application/yaml", PROTOBUF, MERGE, STRATEGIC, JSON_PATCH, APPLY, "", "a/b"]
PATCHES = [MERGE, STRATEGIC, JSON_PATCH, APPLY]
OBJECTS = {
    f"{DEFAULT}/services": service("a"),
    f"{DEFAULT}/configmaps": config_map("a"),
    f"{DEFAULT}/pods": pod("a"),
    f"{APPS}/deployments": deployment("a"),
}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=6), v, max_size=3), max_leaves=8
)


@pytest.fixture(scope="module")
def api() -> Client:
    client = Client(server())

    async def fill() -> None:
        await client.post(f"{DEFAULT}/serviceaccounts", {"metadata": {"name": "default"}})
        for path, obj in OBJECTS.items():
            assert (await client.post(path, obj)).code == 201

    asyncio.run(fill())
    return client


def ask(api: Client, *args: Any, **options: Any) -> int:
    """The status code of an answer that is one of ours."""

    async def request() -> int:
        async with asyncio.timeout(5):
            answer = await api.request(*args, **options)
        if answer.code >= 400 and answer.header("content-type") == "application/json":
            assert answer.json["kind"] == "Status"
            assert answer.json["message"]
        return answer.code

    code = asyncio.run(request())
    assert code < 500, (code, args, options)
    return code


@given(
    st.sampled_from(sorted(OBJECTS)), st.binary(max_size=60), st.sampled_from(TYPES), st.sampled_from(["POST", "PUT"])
)
@QUICK
def test_bodies_of_any_bytes(api: Client, path: str, body: bytes, content_type: str, method: str) -> None:
    ask(api, method, path if method == "POST" else f"{path}/a", body, content_type=content_type)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, Any]:
    """An object with a value of the wrong kind somewhere."""
    path = draw(st.sampled_from(sorted(OBJECTS)))
    obj = json.loads(json.dumps(OBJECTS[path]))
    here: Any = obj
    while True:
        keys = sorted(here) if isinstance(here, dict) else list(range(len(here)))
        key = draw(st.sampled_from(keys))
        if isinstance(here[key], dict | list) and here[key] and draw(st.booleans()):
            here = here[key]
            continue
        here[key] = draw(VALUES)
        return path, obj


@given(damaged(), st.sampled_from(["create", "update", "protobuf"]))
@QUICK
def test_objects_with_a_wrong_value(api: Client, what: tuple[str, Any], verb: str) -> None:
    path, obj = what
    body = json.dumps(obj).encode()
    if verb == "create":
        ask(api, "POST", path, body, dryRun="All")
    elif verb == "update":
        ask(api, "PUT", f"{path}/a", body, dryRun="All")
    else:
        ask(api, "POST", path, protobuf.MAGIC + body, content_type=PROTOBUF)


@given(damaged(), st.sampled_from([MERGE, STRATEGIC, APPLY]))
@QUICK
def test_patches_with_a_wrong_value(api: Client, what: tuple[str, Any], content_type: str) -> None:
    path, obj = what
    options = {"fieldManager": "fuzz", "force": "true"} if content_type == APPLY else {}
    ask(api, "PATCH", f"{path}/a", json.dumps(obj).encode(), content_type=content_type, dryRun="All", **options)


@given(st.sampled_from(sorted(OBJECTS)), VALUES, st.sampled_from(PATCHES))
@QUICK
def test_patches_of_any_shape(api: Client, path: str, patch: Any, content_type: str) -> None:
    options = {"fieldManager": "fuzz"} if content_type == APPLY else {}
    ask(api, "PATCH", f"{path}/a", json.dumps(patch).encode(), content_type=content_type, dryRun="All", **options)


OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"])},
        optional={
            "path": st.sampled_from(
                ["", "/", "/spec", "/metadata/labels/a", "/spec/ports/-", "/spec/ports/9", "/~2", "x"]
            ),
            "from": st.sampled_from(["", "/spec", "/metadata/name", "/spec/ports/0", "/nothing"]),
            "value": VALUES,
        },
    ),
    max_size=4,
)


@given(st.sampled_from(sorted(OBJECTS)), OPERATIONS)
@QUICK
def test_json_patches(api: Client, path: str, operations: Any) -> None:
    ask(api, "PATCH", f"{path}/a", json.dumps(operations).encode(), content_type=JSON_PATCH, dryRun="All")


DIRECTIVES = st.sampled_from(
    ["$patch", "$retainKeys", "$setElementOrder/ports", "$deleteFromPrimitiveList/finalizers", "ports"]
)
DIRECTED = st.recursive(
    SCALARS | st.sampled_from(["delete", "replace", "merge"]),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(DIRECTIVES, v, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(OBJECTS)), DIRECTED, st.sampled_from(["spec", "metadata", "data", "status"]))
@QUICK
def test_strategic_directives(api: Client, path: str, patch: Any, field: str) -> None:
    body = json.dumps({field: patch}).encode()
    ask(api, "PATCH", f"{path}/a", body, content_type=STRATEGIC, dryRun="All")


QUERIES = [
    "labelSelector",
    "fieldSelector",
    "limit",
    "continue",
    "resourceVersion",
    "resourceVersionMatch",
    "timeoutSeconds",
    "dryRun",
    "fieldManager",
    "fieldValidation",
    "gracePeriodSeconds",
    "propagationPolicy",
    "orphanDependents",
    "pretty",
    "includeObject",
]
WORDS = st.text(max_size=12) | st.text("abc,=!()<>in notexists/.-_ 0123456789", max_size=16)


@given(
    st.sampled_from(["GET", "DELETE", "POST", "PUT", "PATCH", "OPTIONS", "BREW"]),
    st.sampled_from([f"{DEFAULT}/events", f"{DEFAULT}/events/a", "/api", "/apis/apps", "/openapi/v3/api/v1"]),
    st.dictionaries(st.sampled_from(QUERIES), WORDS, max_size=3),
    st.sampled_from(["", "application/json;as=Table;v=v1;g=meta.k8s.io", "a/b", "application/yaml", "*/*;q=x", ";;,,"]),
)
@QUICK
def test_queries_and_methods(api: Client, method: str, path: str, query: dict[str, str], accept: str) -> None:
    ask(api, method, path, headers={"accept": accept}, **query)


@given(st.binary(max_size=40) | st.just(b"eyJ2IjoxfQ"))
@QUICK
def test_continue_tokens(api: Client, token: bytes) -> None:
    assert ask(api, "GET", f"{DEFAULT}/events", **{"limit": 1, "continue": token.decode("latin-1")}) in (200, 400, 410)


@given(
    st.lists(
        st.sampled_from(
            ["api", "apis", "v1", "apps", "namespaces", "default", "pods", "a", "", "..", "%00", "log", "é"]
        ),
        max_size=9,
    )
)
@QUICK
def test_paths(api: Client, parts: list[str]) -> None:
    ask(api, "GET", "/" + "/".join(parts))


@given(st.sampled_from(kinds.KINDS), VALUES)
@QUICK
def test_every_kind_is_created_from_anything(api: Client, kind: kinds.Kind, spec: Any) -> None:
    base = f"/apis/{kind.api_version}" if kind.group else "/api/v1"
    scope = "/namespaces/default" if kind.namespaced else ""
    body = {"metadata": {"name": "x"}, "spec": spec, "data": spec, "rules": spec, "subsets": spec, "roleRef": spec}
    ask(
        api, "POST", f"{base}{scope}/{kind.resource}", json.dumps(body).encode(), dryRun="All", fieldValidation="Ignore"
    )


@given(st.text(max_size=30) | st.binary(max_size=20).map(lambda b: b.decode("latin-1")))
@QUICK
def test_tokens(api: Client, token: str) -> None:
    ask(api, "GET", f"{DEFAULT}/pods", headers={"authorization": f"Bearer {token}".encode("ascii", "replace").decode()})
