"""EndpointSlices, v1 Endpoints and mirrored slices in a running cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from labctl.api import kinds
from labctl.controllers.endpoints import LegacyEndpoints
from labctl.controllers.endpointslices import EndpointSlices
from labctl.controllers.mirroring import Mirroring
from tests.controllers.world import World, pod, service, world

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]


@pytest.fixture
async def cluster() -> AsyncIterator[World]:
    async with world(EndpointSlices, LegacyEndpoints, Mirroring) as made:
        await made.api.create(kinds.NODE, {"metadata": {"name": "node-1"}})
        yield made


async def slices_of(cluster: World, name: str = "web") -> list[Any]:
    found = await cluster.all(kinds.ENDPOINT_SLICE)
    return [s for s in found if s["metadata"]["labels"].get("kubernetes.io/service-name") == name]


async def conditions(cluster: World) -> dict[str, tuple[bool, bool, bool]]:
    """pod -> ready, serving, terminating."""
    return {
        e["targetRef"]["name"]: tuple(e["conditions"][k] for k in ("ready", "serving", "terminating"))
        for s in await slices_of(cluster)
        for e in s["endpoints"] or ()
    }


async def legacy(cluster: World, name: str = "web") -> list[Any]:
    return list((await cluster.get(kinds.ENDPOINTS, name)).get("subsets") or [])


async def test_a_pods_life_as_its_services_see_it(cluster: World) -> None:
    await cluster.create(kinds.SERVICE, service())
    assert [s["endpoints"] for s in await slices_of(cluster)] == [None]
    assert await legacy(cluster) == []
    await cluster.create(kinds.POD, pod("a", nodeName="node-1"))
    assert await conditions(cluster) == {}  # no address yet
    await cluster.run_pods(ready=False)
    assert await conditions(cluster) == {"a": (False, False, False)}
    assert [list(s) for s in await legacy(cluster)] == [["notReadyAddresses", "ports"]]
    await cluster.run_pods()
    assert await conditions(cluster) == {"a": (True, True, False)}
    found = await legacy(cluster)
    assert found[0]["addresses"][0]["targetRef"]["name"] == "a"
    assert found[0]["addresses"][0]["nodeName"] == "node-1"
    await cluster.delete(kinds.POD, "a")
    assert await conditions(cluster) == {"a": (False, True, True)}
    assert await legacy(cluster) == []  # v1 Endpoints know no terminating pods
    await cluster.patch(kinds.POD, "a", {"status": {"phase": "Succeeded"}}, subresource="status")
    assert await conditions(cluster) == {}


async def test_published_addresses_are_ready_whatever_the_pod_says(cluster: World) -> None:
    await cluster.create(kinds.SERVICE, service(publishNotReadyAddresses=True, clusterIP="None"))
    await cluster.create(kinds.POD, pod("a", nodeName="node-1"))
    await cluster.run_pods(ready=False)
    assert await conditions(cluster) == {"a": (True, False, False)}
    await cluster.delete(kinds.POD, "a")
    assert await conditions(cluster) == {"a": (True, False, True)}
    assert [list(s) for s in await legacy(cluster)] == [["addresses", "ports"]]


async def test_labels_follow_the_service_and_strangers_changes_are_mended(cluster: World) -> None:
    await cluster.create(kinds.SERVICE, service(clusterIP="None"))
    made = (await slices_of(cluster))[0]
    assert made["metadata"]["labels"] == {
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": "web",
        "service.kubernetes.io/headless": "",
    }
    await cluster.patch(kinds.SERVICE, "web", {"metadata": {"labels": {"tier": "front"}}})
    assert (await slices_of(cluster))[0]["metadata"]["labels"]["tier"] == "front"
    endpoints = await cluster.get(kinds.ENDPOINTS, "web")
    assert endpoints["metadata"]["labels"] == {
        "endpoints.kubernetes.io/managed-by": "endpoint-controller",
        "service.kubernetes.io/headless": "",
        "tier": "front",
    }
    name = made["metadata"]["name"]
    await cluster.patch(kinds.ENDPOINT_SLICE, name, {"endpoints": [{"addresses": ["10.9.9.9"]}]})
    assert (await slices_of(cluster))[0]["endpoints"] is None
    await cluster.delete(kinds.ENDPOINT_SLICE, name)
    assert len(await slices_of(cluster)) == 1
    await cluster.delete(kinds.ENDPOINTS, "web")
    assert await legacy(cluster) == []


async def test_an_external_name_keeps_the_endpoints_it_had(cluster: World) -> None:
    await cluster.create(kinds.SERVICE, service())
    await cluster.create(kinds.POD, pod("a", nodeName="node-1"))
    await cluster.run_pods()
    away = {"type": "ExternalName", "externalName": "example.com", "clusterIP": "", "clusterIPs": None}
    await cluster.patch(kinds.SERVICE, "web", {"spec": away})
    await cluster.delete(kinds.POD, "a")
    assert "a" in await conditions(cluster)
    assert len(await legacy(cluster)) == 1
    await cluster.patch(kinds.SERVICE, "web", {"spec": {"type": "ClusterIP", "externalName": None}})
    assert (await conditions(cluster)).get("a", (False,))[0] is False
    await cluster.delete(kinds.SERVICE, "web")
    assert await slices_of(cluster) == []
    assert "web" not in await cluster.names(kinds.ENDPOINTS)


async def test_hand_made_endpoints_are_mirrored_by_subset_and_family(cluster: World) -> None:
    await cluster.create(kinds.SERVICE, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    assert await slices_of(cluster) == []
    notes = {"note": "kept", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    subsets = [
        {"addresses": [{"ip": "192.168.123.234"}], "notReadyAddresses": [{"ip": "fd00::9"}], "ports": [{"port": 80}]},
        {"addresses": [{"ip": "192.168.123.235"}], "ports": [{"port": 81}]},
    ]
    await cluster.create(
        kinds.ENDPOINTS,
        {"metadata": {"name": "web", "annotations": notes, "labels": {"a": "b"}}, "subsets": subsets},
    )
    found = {(s["addressType"], s["ports"][0]["port"]): s for s in await slices_of(cluster)}
    assert {k: [(e["addresses"], e["conditions"]) for e in s["endpoints"]] for k, s in found.items()} == {
        ("IPv4", 80): [(["192.168.123.234"], {"ready": True})],
        ("IPv6", 80): [(["fd00::9"], {"ready": False})],
        ("IPv4", 81): [(["192.168.123.235"], {"ready": True})],
    }
    one = found[("IPv4", 80)]["metadata"]
    assert one["annotations"] == {"note": "kept"}
    assert one["labels"] == {
        "a": "b",
        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
        "kubernetes.io/service-name": "web",
    }
    assert one["ownerReferences"][0]["kind"] == "Endpoints"
    await cluster.patch(kinds.ENDPOINTS, "web", {"subsets": subsets[:1], "metadata": {"annotations": {"note": "new"}}})
    assert {s["metadata"]["annotations"]["note"] for s in await slices_of(cluster)} == {"new"}
    assert one["name"] in [s["metadata"]["name"] for s in await slices_of(cluster)]
    assert len(await slices_of(cluster)) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}},
        {"metadata": {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}},
    ],
    ids=["skip-mirror", "leader election"],
)
async def test_some_endpoints_are_not_mirrored(cluster: World, change: dict[str, Any]) -> None:
    await cluster.create(kinds.SERVICE, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    subsets = [{"addresses": [{"ip": "192.168.123.234"}], "ports": [{"port": 80}]}]
    await cluster.create(kinds.ENDPOINTS, {"metadata": {"name": "web"}, "subsets": subsets})
    assert len(await slices_of(cluster)) == 1
    await cluster.patch(kinds.ENDPOINTS, "web", change)
    assert await slices_of(cluster) == []


async def test_a_service_that_gets_a_selector_takes_its_endpoints_over(cluster: World) -> None:
    await cluster.create(kinds.SERVICE, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    subsets = [{"addresses": [{"ip": "192.168.123.234"}], "ports": [{"port": 80}]}]
    await cluster.create(kinds.ENDPOINTS, {"metadata": {"name": "web"}, "subsets": subsets})
    await cluster.patch(kinds.SERVICE, "web", {"spec": {"selector": {"app": "web"}}})
    assert [s["endpoints"] for s in await slices_of(cluster)] == [None]
    assert await legacy(cluster) == []
