"""One API server in memory for each test; or a real one, emptied, for all (see remote.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from labctl.api import kinds
from labctl.apiserver.options import WriteOptions
from tests.apiserver import remote
from tests.apiserver.harness import Client, server


@pytest.fixture
async def api() -> AsyncIterator[Client]:
    running = server()
    if remote.URL:
        client = Client(running, app=remote.forward(remote.URL))
        await empty(client)
        yield client
    else:
        account = {"metadata": {"name": "default", "namespace": "default"}}  # its controller makes it in a lab
        running.registry.create(kinds.SERVICE_ACCOUNT, "default", account, WriteOptions())
        yield Client(running)
    running.store.close()


@pytest.fixture
def local(api: Client) -> Client:
    """An API server of our own, for tests that look inside."""
    if remote.URL:
        pytest.skip("looks into our own server")
    return api


_KEPT = {"default", "kubernetes", "kube-root-ca.crt"}


async def empty(client: Client) -> None:
    """Leave nothing but the namespace default with its ServiceAccount."""
    for kind in kinds.KINDS:
        if not kind.namespaced or "list" not in kind.verbs:
            continue
        prefix = f"/api/{kind.version}" if not kind.group else f"/apis/{kind.group}/{kind.version}"
        path = f"{prefix}/namespaces/default/{kind.resource}"
        for obj in (await client.get(path)).json.get("items", ()):
            name = obj["metadata"]["name"]
            if name in _KEPT:
                continue
            if obj["metadata"].get("finalizers"):
                await client.patch(f"{path}/{name}", {"metadata": {"finalizers": None}})
            await client.delete(f"{path}/{name}", gracePeriodSeconds=0)
    for obj in (await client.get("/api/v1/namespaces")).json["items"]:
        name = obj["metadata"]["name"]
        if name != "default" and not name.startswith("kube-"):
            await client.delete(f"/api/v1/namespaces/{name}")
            await client.put(f"/api/v1/namespaces/{name}/finalize", {"metadata": {"name": name}, "spec": {}})
