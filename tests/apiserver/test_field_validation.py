"""Unknown and repeated fields with fieldValidation=Ignore, Warn and Strict."""

from __future__ import annotations

import pytest

from tests.apiserver.harness import DEFAULT, JSON_PATCH, MERGE, STRATEGIC, Client, config_map, service

MAPS = f"{DEFAULT}/configmaps"
UNKNOWN = b'{"metadata":{"name":"a"},"data":{"k":"v"},"dada":{},"metadata":{"name":"a","nam":"b"}}'
ERRORS = ['duplicate field "metadata"', 'unknown field "dada"', 'unknown field "metadata.nam"']


@pytest.mark.parametrize("query", [{}, {"fieldValidation": "Warn"}], ids=["default", "Warn"])
async def test_warn_tells_in_headers_and_stores_the_rest(api: Client, query: dict[str, str]) -> None:
    answer = await api.post(MAPS, UNKNOWN, **query)
    assert answer.code == 201
    assert sorted(answer.warnings) == ERRORS
    assert "dada" not in answer.json


async def test_ignore_says_nothing(api: Client) -> None:
    answer = await api.post(MAPS, UNKNOWN, fieldValidation="Ignore")
    assert (answer.code, answer.warnings) == (201, [])


async def test_strict_refuses(api: Client) -> None:
    body = {**service("a"), "speck": 1}
    body["spec"]["prots"] = []
    answer = await api.post(f"{DEFAULT}/services", body, fieldValidation="Strict")
    assert answer.code == 400
    assert answer.message == (
        'Service in version "v1" cannot be handled as a Service: strict decoding error: '
        'unknown field "spec.prots", unknown field "speck"'
    )


async def test_strict_refuses_a_field_that_comes_twice(api: Client) -> None:
    answer = await api.post(MAPS, b'{"metadata":{"name":"a","name":"b"}}', fieldValidation="Strict")
    assert answer.code == 400
    assert answer.message == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
        'duplicate field "metadata.name"'
    )


async def test_strict_names_all_that_is_wrong_in_the_order_of_the_body(api: Client) -> None:
    body = b'{"metadata":{"name":"a"},"dada":{},"data":{"x":"1"},"data":{}}'
    answer = await api.post(MAPS, body, fieldValidation="Strict")
    assert answer.message.endswith('strict decoding error: unknown field "dada", duplicate field "data"')
    warned = await api.post(MAPS, body)
    assert warned.warnings == ['unknown field "dada"', 'duplicate field "data"']


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (MERGE, {"dada": 1}),
        (STRATEGIC, {"dada": 1}),
        (JSON_PATCH, [{"op": "add", "path": "/dada", "value": 1}]),
    ],
    ids=["merge", "strategic", "json"],
)
async def test_patches_are_looked_at_too(api: Client, kind: str, patch: object) -> None:
    await api.post(MAPS, config_map("a"))
    warned = await api.patch(f"{MAPS}/a", patch, kind)
    assert (warned.code, warned.warnings) == (200, ['unknown field "dada"'])
    strict = await api.patch(f"{MAPS}/a", patch, kind, fieldValidation="Strict")
    assert strict.code in (400, 422)
    assert strict.message.endswith('strict decoding error: unknown field "dada"')


async def test_another_word(api: Client) -> None:
    answer = await api.post(MAPS, config_map("a"), fieldValidation="strict")
    assert answer.code == 422
    assert answer.message == (
        'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "strict": '
        'supported values: "", "Ignore", "Strict", "Warn"'
    )


async def test_wrong_type_is_refused_whatever_was_asked(api: Client) -> None:
    answer = await api.post(MAPS, {"metadata": {"name": "a"}, "data": {"k": 1}}, fieldValidation="Ignore")
    assert answer.code == 400
    assert answer.message == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct '
        "field ConfigMap.data of type string"
    )
