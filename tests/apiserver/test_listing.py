"""Lists in pages."""

from __future__ import annotations

from tests.apiserver.harness import DEFAULT, Client, config_map


async def test_a_list_that_took_too_long_says_how_to_go_on(local: Client) -> None:
    maps = f"{DEFAULT}/configmaps"
    for name in "abcd":
        await local.post(maps, config_map(name))
    first = (await local.get(maps, limit=1)).json["metadata"]
    await local.post(maps, config_map("e"))
    local.server.store.compact(local.server.store.revision)
    refused = await local.get(maps, **{"limit": 1, "continue": first["continue"]})
    assert (refused.code, refused.json["reason"]) == (410, "Expired")
    token = refused.json["metadata"]["continue"]
    names = []
    while token:
        page = (await local.get(maps, **{"limit": 2, "continue": token})).json
        names += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue")
    assert names == ["b", "c", "d", "e"], "also what came meanwhile"
