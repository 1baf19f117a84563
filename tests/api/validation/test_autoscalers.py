"""HorizontalPodAutoscalers: what they may scale."""

from __future__ import annotations

import pytest

from labctl.api.validation.autoscalers import validate


@pytest.mark.parametrize(
    ("kind", "version", "causes"),
    [
        ("Deployment", "apps/v1", []),
        ("ReplicationController", "v1", []),
        ("ReplicationController", "", []),
        ("Deployment", "v1", ["apiVersion must specify API group"]),
        ("Deployment", "a/b/c", ["unexpected GroupVersion string: a/b/c"]),
    ],
)
def test_only_replication_controllers_need_no_group(kind: str, version: str, causes: list[str]) -> None:
    target = {"kind": kind, "name": "web", "apiVersion": version}
    found = validate({"spec": {"maxReplicas": 2, "scaleTargetRef": target}})
    assert len(found) == len(causes) and all(w in c.message for w, c in zip(causes, found, strict=True))
    assert all(c.field == "spec.scaleTargetRef.apiVersion" for c in found)
