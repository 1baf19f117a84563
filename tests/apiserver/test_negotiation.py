"""Answers for people, for clients of YAML, and for those who take nothing we have."""

from __future__ import annotations

import gzip
import json

import pytest
import yaml

from tests.apiserver.harness import DEFAULT, Client, meta

CURL = {"user-agent": "curl/8.5.0"}
MAP = f"{DEFAULT}/configmaps/a"


@pytest.fixture(autouse=True)
async def _map(api: Client) -> None:
    await api.post(f"{DEFAULT}/configmaps", {**meta("a"), "data": {"k": "v"}})


@pytest.mark.parametrize(
    ("agent", "query", "is_pretty"),
    [
        ("kubectl/v1.36.3", {}, False),
        ("kubectl/v1.36.3", {"pretty": "true"}, True),
        ("curl/8.5.0", {}, True),
        ("Wget/1.21", {}, True),
        ("Mozilla/5.0 (X11)", {}, True),
        ("curl/8.5.0", {"pretty": "0"}, False),
        ("curl/8.5.0", {"pretty": "please"}, False),
    ],
)
async def test_who_gets_indented_json(api: Client, agent: str, query: dict[str, str], *, is_pretty: bool) -> None:
    answer = await api.get(MAP, headers={"user-agent": agent}, **query)
    assert (b'  "data": {\n    "k": "v"\n  }' in answer.body) is is_pretty
    assert answer.header("content-length") == str(len(answer.body))
    assert answer.body.endswith(b"\n") is not is_pretty


async def test_errors_and_discovery_are_indented_too(api: Client) -> None:
    assert b'\n  "status": "Failure"' in (await api.get(f"{MAP}x", headers=CURL)).body
    assert b'\n  "groups": [' in (await api.get("/apis", headers=CURL)).body


@pytest.mark.parametrize("path", ["/", "/version"])
async def test_some_documents_always_are(api: Client, path: str) -> None:
    assert (await api.get(path)).body.startswith(b'{\n  "')


async def test_openapi_documents_never_are(api: Client) -> None:
    assert b"\n" not in (await api.get("/openapi/v3/apis/apps/v1", headers=CURL)).body


async def test_compressed_answers_are_compressed_again(api: Client) -> None:
    await api.post(f"{DEFAULT}/configmaps", {**meta("large"), "data": {"k": "v" * 200_000}})
    answer = await api.get(f"{DEFAULT}/configmaps", headers={**CURL, "accept-encoding": "gzip"})
    assert gzip.decompress(answer.body).startswith(b'{\n  "kind": "ConfigMapList"')


async def test_yaml(api: Client) -> None:
    answer = await api.get(MAP, headers={"accept": "application/yaml"})
    assert answer.header("content-type") == "application/yaml"
    assert answer.body.startswith(b"apiVersion: v1\ndata:\n  k: v\n")
    assert yaml.safe_load(answer.body)["metadata"]["name"] == "a"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/yaml;q=0.5,application/json", "application/json"),
        ("application/json;q=0.5,application/yaml", "application/yaml"),
        ("text/html,*/*;q=0.8", "application/json"),
        ("application/vnd.kubernetes.protobuf", "application/json"),
        ("application/json;as=Nothing;v=v1,application/yaml", "application/yaml"),
    ],
)
async def test_what_is_liked_best_of_what_there_is(api: Client, accept: str, content_type: str) -> None:
    assert (await api.get(MAP, headers={"accept": accept})).header("content-type") == content_type


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "application/json;as=Nothing;v=v1"])
async def test_what_cannot_be_written_is_refused_before_anything_is_done(api: Client, accept: str) -> None:
    refused = await api.post(f"{DEFAULT}/configmaps", meta("b"), headers={"accept": accept})
    types = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    assert (refused.code, refused.json["reason"]) == (406, "NotAcceptable")
    assert json.loads(refused.body)["message"] == f"only the following media types are accepted: {types}"
    assert "b" not in await api.names(f"{DEFAULT}/configmaps")
