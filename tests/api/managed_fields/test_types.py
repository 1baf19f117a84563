import pytest

from labctl.api import kinds
from labctl.api.managed_fields import types
from labctl.api.managed_fields.types import Type


def at(kind: kinds.Kind, path: str) -> Type:
    found: Type | None = types.of_kind(kind)
    for name in path.split("."):
        assert found is not None
        found = found.element if name == "*" else found.child(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("kind", "path", "keys"),
    [
        (kinds.SERVICE, "spec.ports", (("port", 0), ("protocol", "TCP"))),
        (kinds.POD, "spec.containers", (("name", ""),)),
        (kinds.POD, "spec.containers.*.ports", (("containerPort", 0), ("protocol", "TCP"))),
        (kinds.POD, "spec.volumes", (("name", ""),)),
        (kinds.POD, "metadata.ownerReferences", (("uid", ""),)),
        (kinds.SERVICE_ACCOUNT, "secrets", (("name", None),)),
        (kinds.DEPLOYMENT, "status.conditions", (("type", ""),)),
        (kinds.POD, "metadata.finalizers", ()),
    ],
)
def test_lists_merged_by_item(kind: kinds.Kind, path: str, keys: tuple[tuple[str, object], ...]) -> None:
    found = at(kind, path)
    assert (found.form, found.atomic, found.keys) == ("list", False, keys)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (kinds.SERVICE, "spec.selector"),
        (kinds.DEPLOYMENT, "spec.selector"),
        (kinds.POD, "spec.tolerations"),
        (kinds.POD, "spec.containers.*.command"),
        (kinds.POD, "spec.nodeSelector"),
        (kinds.ENDPOINT_SLICE, "endpoints"),
        (kinds.POD, "metadata.ownerReferences.*"),
    ],
)
def test_atomic(kind: kinds.Kind, path: str) -> None:
    assert at(kind, path).atomic


@pytest.mark.parametrize(
    ("kind", "path"), [(kinds.POD, "metadata.labels"), (kinds.CONFIG_MAP, "data"), (kinds.POD, "spec.securityContext")]
)
def test_granular(kind: kinds.Kind, path: str) -> None:
    assert not at(kind, path).atomic


@pytest.mark.parametrize(
    ("path", "scalar"),
    [
        ("spec.priority", "numeric"),
        ("spec.nodeName", "string"),
        ("spec.hostNetwork", "boolean"),
        ("metadata.creationTimestamp", "untyped"),
        ("spec.containers.*.resources.limits.*", "untyped"),
        ("spec.containers.*.ports.*.name", "string"),
        ("spec.containers.*.livenessProbe.httpGet.port", "any"),
    ],
)
def test_scalars(path: str, scalar: str) -> None:
    assert at(kinds.POD, path).scalar == scalar
