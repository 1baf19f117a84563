from labctl.api import kinds
from labctl.api.managed_fields import Entries, to_parent, to_scale
from labctl.api.managed_fields.sets import FieldSet

REPLICAS: FieldSet = {"f:spec": {"f:replicas": {}}}
NOW = "2026-01-01T00:00:00Z"


def entry(manager: str, operation: str, fields: object, version: str = "apps/v1", **more: str) -> dict[str, object]:
    found = {"manager": manager, "operation": operation, "apiVersion": version, "fieldsType": "FieldsV1"}
    return found | {"fieldsV1": fields} | more


PARENT: Entries = [
    entry("a", "Apply", {"f:spec": {"f:replicas": {}, "f:selector": {}}}, time=NOW),
    entry("c", "Update", REPLICAS, subresource="scale"),
    entry("b", "Update", {"f:spec": {"f:paused": {}}}, time=NOW),
]


def test_owners_of_replicas_are_owners_of_the_scale() -> None:
    assert to_scale(PARENT) == [
        entry("a", "Apply", REPLICAS, "autoscaling/v1", time=NOW),
        entry("c", "Update", REPLICAS, "autoscaling/v1", subresource="scale"),
    ]


def test_unchanged() -> None:
    assert to_parent(kinds.DEPLOYMENT, PARENT, to_scale(PARENT)) == PARENT


def test_somebody_takes_the_replicas() -> None:
    scale = [entry("d", "Update", REPLICAS, "autoscaling/v1", subresource="scale", time=NOW)]
    assert to_parent(kinds.DEPLOYMENT, PARENT, scale) == [
        entry("a", "Apply", {"f:spec": {"f:selector": {}}}, time=NOW),
        entry("d", "Update", REPLICAS, subresource="scale"),
        entry("b", "Update", {"f:spec": {"f:paused": {}}}, time=NOW),
    ]
