"""Decoding, compared case by case with what Kubernetes' own decoder answered (data/decoded.json)."""

import json
from pathlib import Path
from typing import Any

import pytest

from labctl.api import kinds, schema
from labctl.api.objects import Object
from labctl.api.status import ApiError

DATA = Path(__file__).parent / "data"
CASES: list[Any] = json.loads((DATA / "decoded.json").read_text())
LIVE: list[Any] = json.loads((DATA / "live-objects.json").read_text())


def kind_of(obj: Object) -> kinds.Kind:
    kind = kinds.of(obj)
    assert kind is not None
    return kind


def case_id(case: Object) -> str:
    return f"{case['kind']} {case['body'][:60]}"


@pytest.mark.parametrize("case", [c for c in CASES if "error" not in c], ids=case_id)
def test_decodes_as_kubernetes(case: Object) -> None:
    body, _ = schema.parse_body(case["body"].encode())
    decoded = schema.decode(kind_of(case), body)
    assert decoded.object == case["object"]
    assert list(decoded.object) == list(case["object"])
    assert decoded.strict_errors == case["strict"]


@pytest.mark.parametrize("case", [c for c in CASES if "error" in c], ids=case_id)
def test_refuses_in_kubernetes_words(case: Object) -> None:
    body, _ = schema.parse_body(case["body"].encode())
    kind = kind_of(case)
    with pytest.raises(ApiError) as error:
        schema.decode(kind, body)
    assert error.value.code == 400
    assert error.value.message == (
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {case["error"]}'
    )


@pytest.mark.parametrize("obj", LIVE, ids=lambda o: f"{o['kind']} {o['metadata']['name']}")
def test_objects_of_a_real_cluster_decode_to_themselves(obj: Object) -> None:
    decoded = schema.decode(kind_of(obj), obj)
    assert decoded.object == obj
    assert decoded.strict_errors == []


def test_input_is_not_changed() -> None:
    body = {"metadata": {"name": "x"}, "spec": {"ports": [{"port": 80, "nope": 1}]}}
    before = json.dumps(body)
    schema.decode(kinds.SERVICE, body)
    assert json.dumps(body) == before


def test_strict_error_joins_them() -> None:
    body, _ = schema.parse_body(b'{"spec":{"ports":[{"portt":1}],"selectorr":{}}}')
    error = schema.strict_error(kinds.SERVICE, schema.decode(kinds.SERVICE, body).strict_errors)
    assert error.message == (
        'Service in version "v1" cannot be handled as a Service: strict decoding error: '
        'unknown field "spec.ports[0].portt", unknown field "spec.selectorr"'
    )


def test_strict_errors_are_bounded() -> None:
    body: Object = {f"unknown{i}": 1 for i in range(500)}
    assert len(schema.decode(kinds.SERVICE, body).strict_errors) == 100


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, None),
        ({"apiVersion": "v1", "kind": "Service"}, None),
        (
            {"apiVersion": "v1", "kind": "Widget"},
            'Widget in version "v1" cannot be handled as a Service: no kind "Widget" is registered for version "v1" '
            'in scheme "pkg/api/legacyscheme/scheme.go:30"',
        ),
        (
            {"apiVersion": "v1", "kind": "Pod"},
            'Pod in version "v1" cannot be handled as a Service: converting (v1.Pod) to (core.Service): '
            "unknown conversion",
        ),
        (
            {"kind": 5},
            "couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of "
            "type string",
        ),
    ],
)
def test_kind_errors(body: Object, message: str | None) -> None:
    error = schema.kind_error(kinds.SERVICE, body)
    assert (error.message if error else None) == message


def test_options_are_decoded_too() -> None:
    decoded = schema.decode_type("meta/v1.DeleteOptions", {"gracePeriodSeconds": 0, "dryRun": ["All"], "x": 1})
    assert decoded.object == {"gracePeriodSeconds": 0, "dryRun": ["All"]}
    assert decoded.strict_errors == ['unknown field "x"']
