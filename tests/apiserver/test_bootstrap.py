"""What every cluster has is there again when somebody takes it away."""

from __future__ import annotations

import asyncio

import pytest

from labctl.api import kinds
from labctl.apiserver import bootstrap
from tests.apiserver.harness import server


@pytest.mark.parametrize("kind", [kinds.SERVICE, kinds.ENDPOINTS, kinds.ENDPOINT_SLICE], ids=str)
async def test_the_service_kubernetes_and_its_endpoints_come_back(kind: kinds.Kind) -> None:
    running = server()
    keeper = asyncio.create_task(bootstrap.keep_kubernetes_service(running.registry))
    await asyncio.sleep(0)
    before = await running.local.get(kind, "default", "kubernetes")
    for _ in range(5):
        await asyncio.sleep(0)
    await running.local.delete(kind, "default", "kubernetes")
    for _ in range(10):
        await asyncio.sleep(0)
    again = await running.local.get(kind, "default", "kubernetes")
    assert again["metadata"]["uid"] != before["metadata"]["uid"]
    assert {k: again.get(k) for k in ("spec", "subsets", "endpoints")} == {
        k: before.get(k) for k in ("spec", "subsets", "endpoints")
    }
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    running.store.close()
