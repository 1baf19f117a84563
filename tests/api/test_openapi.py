import json
from pathlib import Path
from typing import Any

import pytest

from labctl.api import kinds, openapi
from labctl.api.openapi import descriptions

GROUP_VERSIONS = [f"{g}/{v}" if g else v for g, versions in kinds.group_versions().items() for v in versions]


def document(group_version: str) -> Any:
    return json.loads(openapi.v3_document(group_version))


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {v for k, v in value.items() if k == "$ref"}.union(*(references(v) for v in value.values()))
    return set().union(*(references(v) for v in value)) if isinstance(value, list) else set()


def test_index_names_every_group_and_version_with_a_hash() -> None:
    paths = openapi.v3_index()["paths"]
    assert set(paths) == {f"apis/{gv}" if "/" in gv else f"api/{gv}" for gv in GROUP_VERSIONS}
    urls = [entry["serverRelativeURL"] for entry in paths.values()]
    assert len(set(urls)) == len(urls)
    assert paths["api/v1"]["serverRelativeURL"].startswith("/openapi/v3/api/v1?hash=")


@pytest.mark.parametrize("group_version", GROUP_VERSIONS)
def test_documents_are_closed(group_version: str) -> None:
    found = document(group_version)
    known = {f"#/components/schemas/{name}" for name in found["components"]["schemas"]}
    assert references(found) <= known


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda k: f"{k.api_version} {k.kind}")
def test_kinds_are_found_by_path_and_by_name(kind: kinds.Kind) -> None:
    found = document(kind.api_version)
    expected = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    schemas = found["components"]["schemas"].values()
    assert sum(expected in schema.get("x-kubernetes-group-version-kind", []) for schema in schemas) == 1
    base = f"/apis/{kind.api_version}" if kind.group else "/api/v1"
    scope = "/namespaces/{namespace}" if kind.namespaced else ""
    operations = found["paths"][f"{base}{scope}/{kind.resource}"]
    method = "get" if kind.is_absent else "post"
    assert operations[method]["x-kubernetes-group-version-kind"] == expected


def test_service_ports_as_kube_openapi_writes_them() -> None:
    schemas = document("v1")["components"]["schemas"]
    assert schemas["io.k8s.api.core.v1.ServiceSpec"]["properties"]["ports"] == {
        "type": "array",
        "items": {"allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.ServicePort"}], "default": {}},
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["port", "protocol"],
        "x-kubernetes-patch-merge-key": "port",
        "x-kubernetes-patch-strategy": "merge",
    }
    port = schemas["io.k8s.api.core.v1.ServicePort"]
    assert port["required"] == ["port"]
    assert port["properties"]["protocol"] == {"type": "string", "enum": ["SCTP", "TCP", "UDP"], "default": "TCP"}
    assert port["properties"]["port"] == {"type": "integer", "format": "int32", "default": 0}


def test_patch_says_that_it_knows_dry_run_and_field_validation() -> None:
    patch = document("apps/v1")["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert {p["name"] for p in patch["parameters"]} == {"dryRun", "fieldManager", "fieldValidation", "force"}
    assert "application/apply-patch+yaml" in patch["requestBody"]["content"]


def test_scale_is_described_beside_its_kinds() -> None:
    scale = document("apps/v1")["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]
    assert scale["get"]["x-kubernetes-group-version-kind"]["kind"] == "Scale"


def test_unknown_group_version() -> None:
    with pytest.raises(LookupError):
        openapi.v3_document("batch/v2")


def test_descriptions_come_from_a_file_if_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "descriptions.json"
    file.write_text(json.dumps({"io.k8s.api.coordination.v1.Lease": ["About leases.", {"spec": "Their spec."}]}))
    monkeypatch.setenv(descriptions.ENVIRONMENT_VARIABLE, str(file))
    openapi.v3_document.cache_clear()
    try:
        lease = document("coordination.k8s.io/v1")["components"]["schemas"]["io.k8s.api.coordination.v1.Lease"]
    finally:
        openapi.v3_document.cache_clear()
    assert lease["description"] == "About leases."
    assert lease["properties"]["spec"]["description"] == "Their spec."


def test_missing_descriptions_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(descriptions.ENVIRONMENT_VARIABLE, "/nonexistent")
    assert descriptions.load() == {}


def test_version_2_is_closed_and_has_simple_parameters() -> None:
    found = json.loads(openapi.v2_document())
    assert found["swagger"] == "2.0"
    assert references(found) <= {f"#/definitions/{name}" for name in found["definitions"]}
    assert found["definitions"]["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["format"] == "int-or-string"
    post = found["paths"]["/api/v1/namespaces/{namespace}/services"]["post"]
    assert {"name": "dryRun", "in": "query", "type": "string"} in post["parameters"]


def test_version_2_in_protobuf_carries_the_same_definitions() -> None:
    from labctl.api.protobuf import wire

    document = {number: value for number, _, value in wire.read(openapi.v2_protobuf())}
    definitions = document[9]
    assert document[1] == b"2.0"
    assert isinstance(definitions, bytes)
    assert len(list(wire.read(definitions))) == len(json.loads(openapi.v2_document())["definitions"])
