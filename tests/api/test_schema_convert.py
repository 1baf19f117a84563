"""The converter of strategic patches: the order of the struct, the first wrong type, Kubernetes' words for it."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.api import kinds, schema


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"ports": 7}, "cannot restore slice from int64"),
        ({"ports": ["http"]}, "cannot restore struct from: string"),
        ({"selector": "app"}, "cannot restore map from string"),
        ({"type": 5}, "cannot convert int64 to v1.ServiceType"),
        ({"type": True}, "unrecognized type: string"),
        ({"ports": [{"port": "x"}]}, "unrecognized type: int32"),
        ({"ports": [{"port": 80.5}]}, "cannot convert float64 to int32"),
        ({"ports": [{"port": 80.0}]}, None),
        ({"ports": [{"port": 80, "targetPort": True}]}, "json: cannot unmarshal bool into Go value of type int32"),
        ({"publishNotReadyAddresses": "yes"}, "unrecognized type: bool"),
        ({"unknown": 7, "selector": None}, None),
    ],
)
def test_wrong_types(spec: dict[str, Any], error: str | None) -> None:
    assert schema.convert_error(kinds.SERVICE, {"spec": spec}) == error


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("7", "error decoding from json: illegal base64 data at input byte 0"),
        ([1, 2], None),
        ({}, "cannot restore slice from map"),
    ],
)
def test_bytes(data: Any, error: str | None) -> None:
    assert schema.convert_error(kinds.SECRET, {"data": {"a": data}}) == error


def test_the_first_is_that_of_the_struct_and_not_of_the_document() -> None:
    assert schema.convert_error(kinds.SERVICE, {"spec": 1, "metadata": "x"}) == "cannot restore struct from: string"


def test_numbers_within_limits_and_times_read_themselves() -> None:
    quota = {"metadata": {"creationTimestamp": 5}}
    assert schema.convert_error(kinds.POD, quota) == "json: cannot unmarshal number into Go value of type string"
    assert schema.convert_error(kinds.RESOURCE_QUOTA, {"spec": {"hard": {"pods": "x"}}}) is not None
