"""A namespace goes with all it holds, and comes with what every namespace has."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from labctl.api import kinds
from labctl.controllers.namespaces import Namespaces
from labctl.controllers.serviceaccounts import ServiceAccounts
from tests.controllers.world import World, pod, world

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]


@pytest.fixture
async def cluster() -> AsyncIterator[World]:
    async with world(Namespaces, ServiceAccounts) as made:
        yield made


async def test_every_namespace_has_a_service_account_and_the_ca(cluster: World) -> None:
    await cluster.create(kinds.NAMESPACE, {"metadata": {"name": "shop"}})
    assert await cluster.names(kinds.SERVICE_ACCOUNT, "shop") == ["default"]
    authority = await cluster.get(kinds.CONFIG_MAP, "kube-root-ca.crt", "shop")
    assert authority["data"] == {"ca.crt": "CA"}
    assert "kubernetes.io/description" in authority["metadata"]["annotations"]


async def test_they_come_back_when_they_are_deleted_or_changed(cluster: World) -> None:
    await cluster.create(kinds.NAMESPACE, {"metadata": {"name": "shop"}})
    await cluster.api.delete(kinds.SERVICE_ACCOUNT, "shop", "default")
    await cluster.api.delete(kinds.CONFIG_MAP, "shop", "kube-root-ca.crt")
    await cluster.settle()
    assert await cluster.names(kinds.SERVICE_ACCOUNT, "shop") == ["default"]
    await cluster.api.patch(kinds.CONFIG_MAP, "shop", "kube-root-ca.crt", {"data": {"ca.crt": "forged", "more": "x"}})
    await cluster.settle()
    assert (await cluster.get(kinds.CONFIG_MAP, "kube-root-ca.crt", "shop"))["data"] == {"ca.crt": "CA"}


async def test_pods_end_before_anything_else_is_deleted(cluster: World) -> None:
    await cluster.create(kinds.NAMESPACE, {"metadata": {"name": "shop"}})
    await cluster.create(kinds.POD, pod("web", nodeName="node-1"), "shop")
    await cluster.create(kinds.CONFIG_MAP, {"metadata": {"name": "settings"}}, "shop")
    await cluster.create(kinds.DEPLOYMENT, _deployment(), "shop")
    await cluster.delete(kinds.NAMESPACE, "shop")
    going = await cluster.get(kinds.NAMESPACE, "shop")
    assert going["status"]["phase"] == "Terminating"
    said = {c["type"]: c["message"] for c in going["status"]["conditions"] if c["status"] == "True"}
    assert said == {"NamespaceContentRemaining": "Some resources are remaining: pods. has 1 resource instances"}
    assert (await cluster.get(kinds.POD, "web", "shop"))["metadata"]["deletionTimestamp"]
    assert "settings" in await cluster.names(kinds.CONFIG_MAP, "shop")
    await cluster.api.delete(kinds.POD, "shop", "web", grace_period_s=0)  # its kubelet says that it has ended
    await cluster.settle()
    assert "shop" not in await cluster.names(kinds.NAMESPACE, "")
    for kind in (kinds.CONFIG_MAP, kinds.DEPLOYMENT, kinds.SERVICE_ACCOUNT):
        assert await cluster.names(kind, "shop") == []


async def test_what_is_left_is_said_and_the_namespace_waits_for_it(cluster: World) -> None:
    await cluster.create(kinds.NAMESPACE, {"metadata": {"name": "shop"}})
    held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    await cluster.create(kinds.CONFIG_MAP, held, "shop")
    await cluster.delete(kinds.NAMESPACE, "shop")
    conditions = (await cluster.get(kinds.NAMESPACE, "shop"))["status"]["conditions"]
    said = {c["type"]: c["message"] for c in conditions if c["status"] == "True"}
    assert said == {
        "NamespaceContentRemaining": "Some resources are remaining: configmaps. has 1 resource instances",
        "NamespaceFinalizersRemaining": (
            "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
        ),
    }
    assert len(conditions) == 5
    await cluster.api.patch(kinds.CONFIG_MAP, "shop", "held", {"metadata": {"finalizers": None}})
    await cluster.settle(2)
    assert "shop" not in await cluster.names(kinds.NAMESPACE, "")


def _deployment() -> dict[str, object]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "web", "image": "web"}]}}
    return {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
