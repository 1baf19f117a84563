"""Ephemeral containers are added to a pod, never changed or taken away."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.api.validation import pods, validate_create
from tests.api.validation import pod_kit

HELPER = {"name": "helper", "image": "busybox"}


def pod(*containers: dict[str, Any]) -> Object:
    return pod_kit.pod(ephemeralContainers=[dict(c) for c in containers])


@pytest.mark.parametrize(
    ("old", "new", "fields"),
    [
        ((), (HELPER,), []),
        ((HELPER,), (HELPER, {**HELPER, "name": "more"}), []),
        ((HELPER,), (), [("spec.ephemeralContainers", "FieldValueForbidden")]),
        ((HELPER,), ({**HELPER, "image": "other"},), [("spec.ephemeralContainers", "FieldValueForbidden")]),
        ((), (HELPER, HELPER), [("spec.ephemeralContainers[1].name", "FieldValueDuplicate")]),
        ((), ({**HELPER, "name": "web"},), [("spec.ephemeralContainers[0].name", "FieldValueDuplicate")]),
        ((), ({"name": "a"},), [("spec.ephemeralContainers[0].image", "FieldValueRequired")]),
        (
            (),
            ({**HELPER, "targetContainerName": "nosuch", "ports": [{"containerPort": 1}]},),
            [
                ("spec.ephemeralContainers[0].targetContainerName", "FieldValueNotFound"),
                ("spec.ephemeralContainers[0].ports", "FieldValueForbidden"),
            ],
        ),
    ],
)
def test_changes(old: Any, new: Any, fields: list[tuple[str, str]]) -> None:
    assert [(c.field, c.reason) for c in pods.validate_ephemeral_update(pod(*new), pod(*old))] == fields


def test_a_new_pod_has_none() -> None:
    causes = [c for c in validate_create(kinds.POD, pod(HELPER)) if c.field == "spec.ephemeralContainers"]
    assert [c.message for c in causes] == ["Forbidden: cannot be set on create"]
