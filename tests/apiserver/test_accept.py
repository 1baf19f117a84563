"""What form of answer a client gets, and what it is refused."""

from __future__ import annotations

import pytest

from tests.apiserver.harness import DEFAULT, Client, config_map

TABLE = "application/json;as=Table;g=meta.k8s.io;v="
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "ConfigMapList"),
        ("*/*", "ConfigMapList"),
        ("application/vnd.kubernetes.protobuf", "ConfigMapList"),
        (f"{TABLE}v2,application/json", "ConfigMapList"),
        (f"{TABLE}v1,application/json", "meta.k8s.io/v1 Table"),
        (f"{TABLE}v1beta1", "meta.k8s.io/v1beta1 Table"),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", "PartialObjectMetadataList"),
    ],
)
async def test_the_first_form_that_there_is(api: Client, accept: str, kind: str) -> None:
    await api.post(f"{DEFAULT}/configmaps", config_map("a"))
    answer = await api.get(f"{DEFAULT}/configmaps", headers={"accept": accept})
    assert answer.code == 200
    assert kind in (answer.json["kind"], f"{answer.json['apiVersion']} {answer.json['kind']}")


@pytest.mark.parametrize("accept", ["text/html", f"{TABLE}v2"])
async def test_forms_that_there_are_not(api: Client, accept: str) -> None:
    answer = await api.get(f"{DEFAULT}/configmaps", headers={"accept": accept})
    assert (answer.code, answer.json["reason"]) == (406, "NotAcceptable")


async def test_a_review_is_no_table(api: Client) -> None:
    body = {"spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}}
    assert (await api.post(REVIEWS, body, headers={"accept": f"{TABLE}v1"})).code == 406
    assert (await api.post(REVIEWS, body, headers={"accept": f"{TABLE}v1,application/json"})).code == 201
