"""Discovery, compared with the documents of a real API server (data/discovery.json)."""

import json
from pathlib import Path
from typing import Any

import pytest

from labctl.api import discovery, kinds, objects

REAL: Any = json.loads((Path(__file__).parent / "data" / "discovery.json").read_text())


@pytest.mark.parametrize("group_version", sorted(REAL["plain"]))
def test_resource_lists_are_those_of_kubernetes(group_version: str) -> None:
    group, version = objects.split_api_version(group_version)
    assert discovery.api_resource_list(group, version) == REAL["plain"][group_version]


def test_aggregated_discovery_is_that_of_kubernetes() -> None:
    assert discovery.aggregated(core=False)["items"] == REAL["aggregated"]


def test_aggregated_core_group_has_no_name() -> None:
    found = discovery.aggregated(core=True, version="v2beta1")
    assert found["apiVersion"] == "apidiscovery.k8s.io/v2beta1"
    assert [item["metadata"] for item in found["items"]] == [{}]
    assert found["items"][0]["versions"][0]["version"] == "v1"


def test_groups() -> None:
    names = [group["name"] for group in discovery.api_group_list()["groups"]]
    assert names == [item["metadata"]["name"] for item in REAL["aggregated"]]
    group = discovery.api_group("autoscaling")
    assert group is not None
    assert group["preferredVersion"]["groupVersion"] == "autoscaling/v2"
    assert discovery.api_group("certificates.k8s.io") is None
    assert discovery.api_resource_list("certificates.k8s.io", "v1") is None


def test_root_documents() -> None:
    assert discovery.api_versions("10.0.0.1:6443")["versions"] == ["v1"]
    assert discovery.version()["gitVersion"] == "v1.36.3"
    assert {"/api/v1", "/apis/apps/v1", "/readyz"} <= set(discovery.root_paths()["paths"])


def test_every_subresource_is_known() -> None:
    for kind in kinds.KINDS:
        for name in kind.subresources:
            assert discovery.subresource(kind, name).verbs
