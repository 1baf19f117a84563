"""Protobuf bodies, compared with Kubernetes' own encoding of the same objects (data/decoded.json)."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.api import kinds, protobuf, schema
from labctl.api.objects import Object
from labctl.api.protobuf import wire
from labctl.api.status import ApiError

CASES: list[Any] = [
    case for case in json.loads((Path(__file__).parent / "data" / "decoded.json").read_text()) if "protobuf" in case
]
# What kubectl 1.36 posts for `kubectl create service clusterip a --tcp 80:http`.
KUBECTL_CREATE_SERVICE = (
    b'k8s\x00\n\r\n\x02v1\x12\x07Service\x12f\n\x1b\n\x01a\x12\x00\x1a\x00"\x00*\x002\x008\x00B\x00Z\x08\n\x03app\x12'
    b'\x01a\x12C\n\x1e\n\x0780-http\x12\x03TCP\x18P"\n\x08\x01\x10\x00\x1a\x04http(\x00\x12\x08\n\x03app\x12\x01a\x1a'
    b'\x00"\tClusterIP:\x00B\x00R\x00Z\x00`\x00h\x00\x1a\x02\n\x00\x1a\x00"\x00'
)


def test_kubectl_create_service() -> None:
    assert protobuf.decode(KUBECTL_CREATE_SERVICE) == {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": "a", "labels": {"app": "a"}},
        "spec": {
            "ports": [{"name": "80-http", "protocol": "TCP", "port": 80, "targetPort": "http"}],
            "selector": {"app": "a"},
            "type": "ClusterIP",
        },
        "status": {"loadBalancer": {}},
    }


def test_encoding_is_kubernetes_byte_for_byte() -> None:
    assert protobuf.encode(protobuf.decode(KUBECTL_CREATE_SERVICE)) == KUBECTL_CREATE_SERVICE


def without_empty(value: Any) -> Any:
    """Protobuf does not tell an empty list, map or byte string from none."""
    if isinstance(value, dict):
        cleaned = {key: without_empty(item) for key, item in value.items()}
        return {key: item for key, item in cleaned.items() if item not in (None, [], "")}
    return [without_empty(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['kind']} {c['body'][:60]}")
def test_reads_what_kubernetes_writes(case: Object) -> None:
    decoded = protobuf.decode(base64.b64decode(case["protobuf"]))
    assert without_empty(decoded) == without_empty(case["object"])


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['kind']} {c['body'][:60]}")
def test_objects_survive_the_round_trip(case: Object) -> None:
    encoded = protobuf.encode(case["object"])
    decoded = protobuf.decode(encoded)
    assert without_empty(decoded) == without_empty(case["object"])
    assert protobuf.encode(decoded) == encoded


def test_options_lists_and_bodies_of_subresources() -> None:
    objects: list[Object] = [
        {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": "u"}},
        {"apiVersion": "apps/v1", "kind": "DeleteOptions", "propagationPolicy": "Orphan"},
        {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {}, "spec": {"replicas": 3}},
        {"apiVersion": "v1", "kind": "Status", "metadata": {}, "message": "no", "code": 404},
    ]
    for obj in objects:
        assert protobuf.decode(protobuf.encode(obj)).items() >= obj.items()
    pods = {"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "a"}, "spec": {"containers": []}}]}
    decoded = protobuf.decode(protobuf.encode(pods))
    assert [item["metadata"]["name"] for item in decoded["items"]] == ["a"]


def test_kinds_without_protobuf_form() -> None:
    with pytest.raises(protobuf.UnsupportedKind):
        protobuf.encode({"apiVersion": "meta.k8s.io/v1", "kind": "Table"})
    job = protobuf.MAGIC + wire.bytes_field(1, wire.bytes_field(1, b"batch/v2") + wire.bytes_field(2, b"Job"))
    with pytest.raises(ApiError, match='no kind "Job" is registered for version "batch/v2"'):
        protobuf.decode(job)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"),
        (protobuf.MAGIC + b"\x0a\xff", "unexpected EOF"),
        (protobuf.MAGIC + b"\x0b", "proto: illegal wireType 3"),
        (protobuf.MAGIC + b"\xff" * 12, "proto: integer overflow"),
    ],
)
def test_refusals(body: bytes, message: str) -> None:
    with pytest.raises(ApiError) as error:
        protobuf.decode(body)
    assert (error.value.code, error.value.message) == (400, message)


@given(st.data())
def test_damaged_bodies_are_refused_or_read(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(CASES))
    body = bytearray(base64.b64decode(case["protobuf"]))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = protobuf.decode(bytes(body))
    except ApiError as error:
        assert error.code == 400
    else:
        assert json.dumps(decoded)


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers_survive(number: int) -> None:
    value, end = wire.read_varint(wire.varint(number), 0)
    assert wire.signed(value, 64) == number
    assert end == len(wire.varint(number))


@pytest.mark.parametrize("kind", [k for k in kinds.KINDS if k.is_stored], ids=lambda k: f"{k.api_version} {k.kind}")
def test_every_kind_has_a_protobuf_form(kind: kinds.Kind) -> None:
    obj = schema.decode(kind, {"metadata": {"name": "x", "labels": {"a": "b"}}}).object
    decoded = protobuf.decode(protobuf.encode(obj))
    assert (decoded["kind"], decoded["metadata"]) == (kind.kind, {"name": "x", "labels": {"a": "b"}})
