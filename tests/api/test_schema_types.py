import pytest

from labctl.api import kinds, schema


def test_service_ports_carry_what_patches_need() -> None:
    ports = schema.struct("core/v1.ServiceSpec").fields["ports"]
    assert (ports.list_type, ports.list_map_keys) == ("map", ("port", "protocol"))
    assert (ports.patch_strategy, ports.patch_merge_key) == (("merge",), "port")
    assert ports.type.element is not None
    assert ports.type.element.struct().fields["protocol"].default == "TCP"


def test_volumes_retain_keys() -> None:
    volumes = schema.struct("core/v1.PodSpec").fields["volumes"]
    assert volumes.patch_strategy == ("merge", "retainKeys")
    assert volumes.patch_merge_key == "name"


def test_inlined_fields_know_where_protobuf_has_them() -> None:
    empty_dir = schema.struct("core/v1.Volume").fields["emptyDir"]
    assert [(i.number, i.go_name) for i in empty_dir.inlined] == [(2, "VolumeSource")]
    kind = schema.lookup(kinds.POD).fields["kind"]
    assert [i.number for i in kind.inlined] == [0]


def test_named_types_are_resolved() -> None:
    kind = schema.struct("core/v1.ServiceSpec").fields["type"].type
    assert (kind.shape, kind.go) == ("string", "v1.ServiceType")
    assert kind.enum == ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    limits = schema.struct("core/v1.ResourceRequirements").fields["limits"].type
    assert (limits.shape, limits.name) == ("map", "core/v1.ResourceList")


def test_atomic_structs() -> None:
    assert schema.struct("meta/v1.LabelSelector").atomic
    assert not schema.struct("core/v1.ServiceSpec").atomic


@pytest.mark.parametrize("kind", [*kinds.KINDS, *kinds.BODIES], ids=lambda k: f"{k.api_version} {k.kind}")
def test_every_kind_has_a_schema(kind: kinds.Kind) -> None:
    fields = schema.lookup(kind).fields
    assert {"kind", "apiVersion"} <= set(fields)
    if kind.is_stored and kind.resource:
        assert "metadata" in fields
        assert schema.struct(f"{schema.type_name(kind)}List").fields["items"].type.shape == "list"


def test_unknown_types_are_named() -> None:
    with pytest.raises(schema.UnknownType, match=r"core/v1\.Widget"):
        schema.struct("core/v1.Widget")


@pytest.mark.parametrize(
    ("name", "openapi"),
    [
        ("core/v1.ServicePort", "io.k8s.api.core.v1.ServicePort"),
        ("meta/v1.ObjectMeta", "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"),
        ("Quantity", "io.k8s.apimachinery.pkg.api.resource.Quantity"),
        ("IntOrString", "io.k8s.apimachinery.pkg.util.intstr.IntOrString"),
        ("Time", "io.k8s.apimachinery.pkg.apis.meta.v1.Time"),
    ],
)
def test_openapi_names(name: str, openapi: str) -> None:
    assert schema.openapi_name(name) == openapi
