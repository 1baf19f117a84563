"""What scrapers read."""

from __future__ import annotations

from tests.apiserver.harness import DEFAULT, Client, config_map


async def test_stored_objects_are_counted(local: Client) -> None:
    before = local.registry.store.count("configmaps")
    await local.post(f"{DEFAULT}/configmaps", config_map("a"))
    answer = await local.get("/metrics")
    assert answer.code == 200
    lines = answer.body.decode().splitlines()
    assert f'apiserver_resource_objects{{group="",resource="configmaps"}} {before + 1}' in lines
    assert 'apiserver_resource_objects{group="apps",resource="deployments"} 0' in lines
    assert any(line.startswith('kubernetes_build_info{git_version="v1.') for line in lines)


async def test_not_everybody_may_read_them(local: Client) -> None:
    assert (await local.as_user("node").get("/metrics")).code == 403
