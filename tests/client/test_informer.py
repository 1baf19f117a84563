"""The informer's copy stays true through lost connections, compaction and bookmarks; handlers hear of differences only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from labctl.api import kinds, status
from labctl.api.objects import Object
from labctl.client.informer import Informer
from labctl.client.protocol import WatchEvent

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]

END = {"k8s.io/initial-events-end": "true"}


def obj(name: str, revision: int, **data: str) -> Object:
    return {"metadata": {"name": name, "namespace": "default", "resourceVersion": str(revision)}, "data": data}


def added(name: str, revision: int, **data: str) -> WatchEvent:
    return WatchEvent("ADDED", obj(name, revision, **data))


def bookmark(revision: int, *, end: bool = False) -> WatchEvent:
    metadata: Object = {"resourceVersion": str(revision)}
    if end:
        metadata["annotations"] = END
    return WatchEvent("BOOKMARK", {"metadata": metadata})


class Scripted:
    """An API whose watches play scripts: events, then an error or the end. The last script stays open."""

    def __init__(self, *scripts: Sequence[WatchEvent | Exception]) -> None:
        self.scripts = list(scripts)
        self.asked: list[tuple[str, bool, float]] = []

    async def watch(self, _: kinds.Kind, __: str = "", **options: Any) -> AsyncIterator[WatchEvent]:
        now = asyncio.get_running_loop().time()
        self.asked.append((options["resource_version"], options["send_initial_events"], round(now, 3)))
        script = self.scripts.pop(0) if self.scripts else []
        for step in script:
            await asyncio.sleep(0)
            if isinstance(step, Exception):
                raise step
            yield step
        if not self.scripts:
            await asyncio.Event().wait()


@asynccontextmanager
async def informed(api: Scripted, **options: Any) -> AsyncIterator[tuple[Informer, list[tuple[str, str, str]]]]:
    heard: list[tuple[str, str, str]] = []

    def changed(old: Object | None, new: Object | None) -> None:
        revisions = [o["metadata"]["resourceVersion"] if o else "-" for o in (old, new)]
        heard.append(((new or old or {})["metadata"]["name"], *revisions))

    informer = Informer(api, kinds.CONFIG_MAP, changed, **options)  # type: ignore[arg-type]  # of the Api only watch is used
    task = asyncio.get_running_loop().create_task(informer.run())
    try:
        yield informer, heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_nothing_is_told_before_the_picture_is_whole() -> None:
    api = Scripted([added("a", 1), added("b", 2)])
    async with informed(api) as (informer, heard):
        await asyncio.sleep(1)
        assert (heard, informer.is_synced, informer.objects) == ([], False, {})
    api = Scripted([added("a", 1), added("b", 2), bookmark(7, end=True), WatchEvent("DELETED", obj("a", 8))])
    async with informed(api) as (informer, heard):
        await informer.synced()
        await asyncio.sleep(1)
        assert heard == [("a", "-", "1"), ("b", "-", "2"), ("a", "1", "-")]
        assert [k.name for k in informer.objects] == ["b"]


async def test_a_lost_connection_goes_on_from_the_last_revision_seen_bookmarks_included() -> None:
    first: list[WatchEvent | Exception] = [added("a", 1), bookmark(5, end=True), bookmark(9), ConnectionResetError()]
    api = Scripted(first, [added("b", 10)])
    async with informed(api) as (informer, heard):
        await asyncio.sleep(1)
        assert [a[:2] for a in api.asked] == [("", True), ("9", False)]
        assert [k.name for k in informer.objects] == ["a", "b"]
        assert heard == [("a", "-", "1"), ("b", "-", "10")]


@pytest.mark.parametrize(
    "gone",
    [
        status.gone("too old resource version: 9 (50)"),
        WatchEvent("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}),
    ],
    ids=["refused", "in the stream"],
)
async def test_after_410_it_starts_over_and_tells_only_what_differs(gone: WatchEvent | Exception) -> None:
    first: list[WatchEvent | Exception] = [added("a", 1), added("b", 2), added("c", 3), bookmark(5, end=True), gone]
    again: list[WatchEvent | Exception] = [added("a", 1), added("b", 40), added("d", 41), bookmark(50, end=True)]
    api = Scripted(first, again)
    async with informed(api) as (informer, heard):
        await asyncio.sleep(1)
        assert [a[:2] for a in api.asked] == [("", True), ("", True)]
        assert sorted(k.name for k in informer.objects) == ["a", "b", "d"]
        assert sorted(heard[3:]) == [("b", "2", "40"), ("c", "3", "-"), ("d", "-", "41")]


async def test_a_picture_that_was_cut_off_is_forgotten() -> None:
    cut: list[WatchEvent | Exception] = [added("a", 1), added("gone", 2), ConnectionResetError()]
    api = Scripted(cut, [added("a", 1), bookmark(5, end=True)])
    async with informed(api) as (informer, heard):
        await informer.synced()
        assert [k.name for k in informer.objects] == ["a"]
        assert heard == [("a", "-", "1")]
        assert [a[:2] for a in api.asked] == [("", True), ("", True)]


async def test_a_server_that_stays_away_is_asked_less_and_less_often() -> None:
    api = Scripted(*[[ConnectionRefusedError()] for _ in range(10)], [])
    async with informed(api):
        await asyncio.sleep(60)
    pauses = [round(b[2] - a[2], 2) for a, b in pairwise(api.asked)]
    assert pauses[:3] == [0.05, 0.1, 0.2]
    assert pauses[-2:] == [5, 5]


async def test_what_was_just_created_is_known_before_the_watch_tells_it() -> None:
    api = Scripted([bookmark(5, end=True)])
    async with informed(api) as (informer, heard):
        await informer.synced()
        informer.learn(obj("a", 6))
        informer.learn(obj("a", 6))
        assert heard == [("a", "-", "6")]
        assert informer.get("default", "a") == obj("a", 6)


async def test_objects_are_reduced_before_they_are_kept() -> None:
    api = Scripted([added("a", 1, big="x" * 100), bookmark(5, end=True), added("b", 6, big="y")])
    async with informed(api, transform=lambda o: {"metadata": o["metadata"]}) as (informer, _):
        await asyncio.sleep(1)
        assert [list(o) for o in informer.objects.values()] == [["metadata"], ["metadata"]]


async def test_an_index_is_true_after_every_change() -> None:
    def names(informer: Informer, colour: str | None) -> list[str]:
        return [o["metadata"]["name"] for o in informer.indexed(colour)]

    script = [
        added("a", 1, colour="red"),
        added("b", 2, colour="red"),
        added("c", 3),
        bookmark(3, end=True),
        WatchEvent("MODIFIED", obj("a", 4, colour="blue")),
        WatchEvent("DELETED", obj("b", 5, colour="red")),
    ]
    api = Scripted(script)
    informer = Informer(api, kinds.CONFIG_MAP)  # type: ignore[arg-type]  # of the Api only watch is used
    informer.index_by(lambda o: o["data"].get("colour"))
    task = asyncio.get_running_loop().create_task(informer.run())
    await asyncio.sleep(1)
    assert (names(informer, "red"), names(informer, "blue"), names(informer, None)) == ([], ["a"], ["c"])
    informer.learn(obj("d", 6, colour="blue"))
    assert names(informer, "blue") == ["a", "d"]
    task.cancel()
