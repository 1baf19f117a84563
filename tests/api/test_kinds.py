import pytest

from labctl.api import kinds


def test_every_kind_is_found_by_its_kind_and_its_resource() -> None:
    for kind in kinds.KINDS:
        assert kinds.by_gvk(kind.group, kind.version, kind.kind) is kind
        assert kinds.by_gvr(kind.group, kind.version, kind.resource) is kind


def test_bodies_have_no_url() -> None:
    for kind in kinds.BODIES:
        assert kinds.by_gvk(kind.group, kind.version, kind.kind) is kind
        assert kinds.by_gvr(kind.group, kind.version, kind.resource) is None


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        (kinds.EVENTS_EVENT, kinds.EVENT),
        (kinds.HORIZONTAL_POD_AUTOSCALER_V1, kinds.HORIZONTAL_POD_AUTOSCALER),
        (kinds.SERVICE, kinds.SERVICE),
    ],
)
def test_storage_kind(asked: kinds.Kind, stored: kinds.Kind) -> None:
    assert kinds.storage_kind(asked) is stored


def test_preferred_version_comes_first() -> None:
    groups = kinds.group_versions()
    assert groups["autoscaling"] == ("v2", "v1")
    assert list(groups)[:2] == ["", "apps"]


def test_of_reads_api_version_and_kind() -> None:
    assert kinds.of({"apiVersion": "apps/v1", "kind": "Deployment"}) is kinds.DEPLOYMENT
    assert kinds.of({"apiVersion": "v9", "kind": "Service"}) is None
    assert kinds.of({}) is None


def test_inert_kinds_say_so_in_one_sentence() -> None:
    inert = {k.kind for k in kinds.KINDS if k.inert}
    assert {"Ingress", "HorizontalPodAutoscaler", "ResourceQuota"} <= inert
    assert not inert & {"Service", "Pod", "Role", "ServiceAccount", "Lease"}
    assert all("\n" not in k.inert for k in kinds.KINDS)
