"""Acting as others, and what the default roles let them do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.harness import APPS, DEFAULT, Client, config_map, meta

RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "rbac.authorization.k8s.io"


async def whoami(api: Client, **headers: str) -> Any:
    answer = await api.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, headers=headers)
    return answer.json["status"]["userInfo"] if answer.code == 201 else (answer.code, answer.message)


def named(name: str) -> dict[str, str]:
    return {"impersonate-user": name}


async def bind(api: Client, role: str, user: str) -> None:
    subject = {"kind": "User", "name": user, "apiGroup": GROUP}
    reference = {"kind": "ClusterRole", "name": role, "apiGroup": GROUP}
    body = {**meta(f"{role}-{user}"), "roleRef": reference, "subjects": [subject]}
    assert (await api.post(f"{RBAC}/namespaces/default/rolebindings", body)).code == 201


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"impersonate-user": "bob"}, {"username": "bob", "groups": ["system:authenticated"]}),
        (
            {
                "impersonate-user": "bob",
                "impersonate-group": "dev",
                "impersonate-uid": "7",
                "impersonate-extra-a%2fb": "c",
            },
            {"username": "bob", "uid": "7", "groups": ["dev", "system:authenticated"], "extra": {"a/b": ["c"]}},
        ),
        (
            {"impersonate-user": "system:serviceaccount:ns:app"},
            {
                "username": "system:serviceaccount:ns:app",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"],
            },
        ),
    ],
)
async def test_acting_as(api: Client, headers: dict[str, str], expected: Any) -> None:
    assert await whoami(api, **headers) == expected


async def test_a_group_alone_is_nobody(api: Client) -> None:
    code, message = await whoami(api, **{"impersonate-group": "dev"})
    assert code == 400
    assert message == (
        'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"dev"}, Extra:map[string][]string(nil)} '
        "without impersonating a user name"
    )


async def test_acting_as_others_must_be_allowed(api: Client) -> None:
    code, message = await whoami(api.as_user("node"), **named("bob"))
    assert code == 403
    assert message.endswith('cannot impersonate resource "users" in API group "" at the cluster scope')


async def test_view_reads_and_edit_writes_but_neither_sees_what_is_not_theirs(api: Client) -> None:
    await bind(api, "view", "reader")
    await bind(api, "edit", "writer")
    reader, writer = named("reader"), named("writer")
    assert (await api.get(f"{DEFAULT}/configmaps", headers=reader)).code == 200
    assert (await api.get(f"{DEFAULT}/secrets", headers=reader)).code == 403
    assert (await api.post(f"{DEFAULT}/configmaps", config_map("x"), headers=reader)).code == 403
    assert (await api.post(f"{DEFAULT}/configmaps", config_map("x"), headers=writer)).code == 201
    assert (await api.get(f"{DEFAULT}/secrets", headers=writer)).code == 200
    assert (await api.get(f"{RBAC}/namespaces/default/roles", headers=writer)).code == 403
    assert (await api.get("/api/v1/namespaces/kube-system/configmaps", headers=writer)).code == 403


@pytest.mark.parametrize(
    ("path", "users"),
    [("/version", {"bob", "system:anonymous"}), ("/openapi/v3", {"bob"}), ("/api", {"bob"}), ("/metrics", set())],
)
async def test_paths_are_for_whom_the_roles_name(api: Client, path: str, users: set[str]) -> None:
    allowed = {u for u in ("bob", "system:anonymous") if (await api.get(path, headers=named(u))).code == 200}
    assert allowed == users


async def test_kinds_that_are_never_made_are_empty_and_say_so(api: Client) -> None:
    assert await api.names(f"{APPS}/statefulsets") == []
    refused = await api.post(f"{APPS}/statefulsets", meta("db"))
    assert refused.code == 405
    assert refused.message == 'create is not supported on resources of kind "statefulsets.apps"'
    assert (await api.get(f"{APPS}/statefulsets/db")).code == 404
