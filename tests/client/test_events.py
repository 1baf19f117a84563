"""Events are written in the background; what repeats is counted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from labctl.api import kinds, status
from labctl.api.objects import Object
from labctl.client.events import EventRecorder

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]

POD: Object = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web", "namespace": "shop", "uid": "u1"}}


class Written:
    """An API that keeps Events, and refuses what it is told to."""

    def __init__(self) -> None:
        self.events: dict[str, Object] = {}
        self.refusals: list[Exception] = []

    async def create(self, _: kinds.Kind, obj: Object) -> Object:
        if self.refusals:
            raise self.refusals.pop(0)
        self.events[obj["metadata"]["name"]] = obj
        return obj

    async def patch(self, kind: kinds.Kind, _: str, name: str, change: Any) -> Object:
        if name not in self.events:
            raise status.not_found(kind, name)
        self.events[name] = {**self.events[name], **change}
        return self.events[name]

    def said(self) -> list[tuple[str, int]]:
        return [(e["message"], e["count"]) for e in self.events.values()]


async def test_repeated_events_are_one_with_a_count() -> None:
    api, now = Written(), [1000.0]
    recorder = EventRecorder(api, "kubelet", clock=lambda: now[0])  # type: ignore[arg-type]  # two verbs are enough
    task = asyncio.get_running_loop().create_task(recorder.run())
    for _ in range(3):
        recorder.event(POD, "Warning", "BackOff", "again", host="node-1", field_path="spec.containers{web}")
        now[0] += 60
    recorder.event(POD, "Warning", "BackOff", "other")
    await asyncio.sleep(1)
    assert api.said() == [("again", 3), ("other", 1)]
    first = next(iter(api.events.values()))
    assert (first["firstTimestamp"], first["lastTimestamp"]) == ("1970-01-01T00:16:40Z", "1970-01-01T00:18:40Z")
    assert first["metadata"]["namespace"] == "shop"
    assert first["source"] == {"component": "kubelet", "host": "node-1"}
    assert first["involvedObject"]["fieldPath"] == "spec.containers{web}"
    api.events.clear()  # expired
    recorder.event(POD, "Warning", "BackOff", "again", field_path="spec.containers{web}")
    await asyncio.sleep(1)
    assert api.said() == [("again", 1)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_event_that_cannot_be_written_is_forgotten_and_the_next_one_is_not() -> None:
    api = Written()
    api.refusals = [status.internal("disk full"), ConnectionResetError()]
    recorder = EventRecorder(api, "kubelet", clock=lambda: 0.0)  # type: ignore[arg-type]  # two verbs are enough
    task = asyncio.get_running_loop().create_task(recorder.run())
    for text in ("one", "two", "three"):
        recorder.event(POD, "Normal", "Reason", text + "x" * 2000)
    await asyncio.sleep(1)
    (said,) = api.said()
    assert said[0].startswith("three")
    assert len(said[0]) == 1024
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
