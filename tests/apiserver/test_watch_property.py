"""A watch never misses, repeats or reorders: whoever follows it ends with what a list shows, whatever it selects."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.apiserver.harness import DEFAULT, MERGE, Client, config_map, server

MAPS = f"{DEFAULT}/configmaps"
NAMES = st.sampled_from(["a", "b", "c"])
LABELS = st.sampled_from([None, "x", "y"])
STEPS = st.lists(st.tuples(st.sampled_from(["set", "delete", "touch"]), NAMES, LABELS), max_size=20)
SELECTORS = ["", "team=x", "team!=x", "team in (x,y)", "!team"]


async def do(api: Client, step: tuple[str, str, str | None], value: int) -> None:
    """One write; what is refused (a name that is taken or not there) changes nothing."""
    action, name, label = step
    if action == "delete":
        await api.delete(f"{MAPS}/{name}")
        return
    labels = {"metadata": {"labels": {"team": label}}}
    if (
        await api.patch(f"{MAPS}/{name}", {**labels, "data": {"v": str(value)}}, MERGE)
    ).code == 404 and action == "set":
        await api.post(MAPS, config_map(name, {"v": str(value)}, labels={"team": label} if label else {}))


def applied(events: list[Any], seen: dict[str, Any]) -> None:
    """Follow events as an informer does, and see that each makes sense where it comes."""
    for event in events:
        obj = event["object"]
        name = obj["metadata"]["name"]
        assert (event["type"] == "ADDED") == (name not in seen), event
        if event["type"] == "DELETED":
            del seen[name]
        else:
            seen[name] = obj


async def play(before: list[Any], after: list[Any], selector: str) -> None:
    api = Client(server())
    for number, step in enumerate(before):
        await do(api, step, number)
    listed = (await api.get(MAPS, labelSelector=selector)).json
    start, seen = listed["metadata"]["resourceVersion"], {o["metadata"]["name"]: o for o in listed["items"]}
    seen = {n: {**o, "kind": "ConfigMap", "apiVersion": "v1"} for n, o in seen.items()}
    half = len(after) // 2
    for number, step in enumerate(after[:half]):  # between list and watch: must come too
        await do(api, step, 100 + number)
    async with api.watch(MAPS, resourceVersion=start, labelSelector=selector) as watch:
        for number, step in enumerate(after[half:]):
            await do(api, step, 200 + number)
        await do(api, ("set", "end", "x"), 0)
        await do(api, ("set", "end", None), 0)  # the last event of every selector: it begins or ceases to match
        events: list[Any] = []
        wanted = {"": 2, "team!=x": 1, "!team": 1}.get(selector, 2)
        async with asyncio.timeout(5):
            while sum(e["object"]["metadata"]["name"] == "end" for e in events) < wanted:
                events.append(await watch.event())
    revisions = [int(e["object"]["metadata"]["resourceVersion"]) for e in events]
    assert revisions == sorted(set(revisions))
    assert all(r > int(start) for r in revisions)
    applied(events, seen)
    final = (await api.get(MAPS, labelSelector=selector)).json["items"]
    assert seen == {o["metadata"]["name"]: {**o, "kind": "ConfigMap", "apiVersion": "v1"} for o in final}
    api.server.store.close()


@given(STEPS, STEPS, st.sampled_from(SELECTORS))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_following_a_watch_gives_what_a_list_shows(before: list[Any], after: list[Any], selector: str) -> None:
    asyncio.run(play(before, after, selector))
