"""Questions to the API server: which are refused, what comes back beside the answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.harness import DEFAULT, Client, meta

ACCESS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
SELF = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
LOCAL = "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews"
RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
TOKEN = "/apis/authentication.k8s.io/v1/tokenreviews"
ME = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
PODS = {"verb": "get", "resource": "pods", "namespace": "default"}
PLAIN = {"verb": "get", "path": "/healthz"}
ONE_OF = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (SELF, {"spec": {}}, f"spec.resourceAttributes: Invalid value: null: {ONE_OF}"),
        (
            ACCESS,
            {"spec": {"nonResourceAttributes": PLAIN, "resourceAttributes": PODS}},
            '[spec.nonResourceAttributes: Invalid value: {"Path":"/healthz","Verb":"get"}: cannot be specified in '
            'combination with resourceAttributes, spec.user: Invalid value: "": at least one of user or group must be '
            "specified]",
        ),
        (
            SELF,
            {"spec": {"resourceAttributes": {**PODS, "labelSelector": {}}}},
            "spec.resourceAttributes.labelSelector.requirements: Required value: when spec.resourceAttributes.labelSelector "
            "is specified, requirements or rawSelector is required",
        ),
        (
            LOCAL,
            {"spec": {"user": "bob", "resourceAttributes": {**PODS, "namespace": "x"}}},
            'spec.resourceAttributes.namespace: Invalid value: "x": must match metadata.namespace',
        ),
        (
            LOCAL,
            {"spec": {"user": "bob", "nonResourceAttributes": PLAIN}},
            'spec.nonResourceAttributes: Invalid value: {"Path":"/healthz","Verb":"get"}: disallowed on this kind of request',
        ),
    ],
)
async def test_questions_that_make_no_sense(api: Client, path: str, body: Any, words: str) -> None:
    refused = await api.post(path, body)
    assert (refused.code, refused.message) == (422, f'.authorization.k8s.io "" is invalid: {words}')
    assert list(refused.json["details"]) == ["group", "causes"]


async def test_access_reviews_have_no_name(api: Client) -> None:
    refused = await api.post(ACCESS, {**meta("x"), "spec": {"user": "bob", "resourceAttributes": PODS}})
    assert refused.json["details"]["causes"][0]["message"].endswith("}: must be empty")
    refused = await api.post(LOCAL, {**meta("x"), "spec": {"user": "bob", "resourceAttributes": PODS}})
    assert refused.json["details"]["causes"][0]["message"].endswith("}: must be empty except for namespace")


@pytest.mark.parametrize(
    ("path", "words"),
    [(TOKEN, "token is required for TokenReview in authentication"), (RULES, "no namespace on request")],
)
async def test_what_has_to_be_said(api: Client, path: str, words: str) -> None:
    refused = await api.post(path, {"spec": {}})
    assert (refused.code, refused.message) == (400, words)


async def test_the_answer_is_the_question_with_its_owner(api: Client) -> None:
    headers = {"user-agent": "asker/1"}
    answer = (await api.post(LOCAL, {"spec": {"user": "bob", "resourceAttributes": PODS}}, headers=headers)).json
    (owner,) = answer["metadata"].pop("managedFields")
    assert (owner["manager"], list(owner["fieldsV1"])) == ("asker", ["f:spec"])
    assert answer["metadata"] == {"namespace": "default"}
    assert (answer["spec"]["user"], answer["status"]) == ("bob", {"allowed": False})


async def test_what_is_about_oneself_is_new(api: Client) -> None:
    rules = (await api.post(RULES, {"spec": {"namespace": "default"}})).json
    assert (rules["metadata"], rules["spec"], rules["status"]["incomplete"]) == ({}, {}, False)
    me = (await api.post(ME, {"metadata": {"labels": {"a": "b"}}})).json
    assert list(me["metadata"]) == ["creationTimestamp"]
    assert "spec" not in me


async def test_unknown_fields_are_told_of_what_is_not_stored_too(api: Client) -> None:
    body = {"spec": {"resourceAttributes": PODS, "x": 1}}
    assert (await api.post(SELF, body)).warnings == ['unknown field "spec.x"']
    refused = await api.post(SELF, body, fieldValidation="Strict")
    assert refused.message.endswith('strict decoding error: unknown field "spec.x"')
    binding = {**meta("a"), "target": {"name": "n"}, "x": 1}
    refused = await api.post(f"{DEFAULT}/pods/a/binding", binding, fieldValidation="Strict")
    assert refused.message.endswith('strict decoding error: unknown field "x"')
