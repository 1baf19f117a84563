"""The queue's promises: no key twice, no key with two workers, failed keys later and later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from labctl.aiokits.workqueue import WorkQueue
from labctl.errors import LabctlError

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]


@asynccontextmanager
async def running(
    queue: WorkQueue[str], reconcile: Callable[[str], Awaitable[None]], *, workers: int = 4
) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(queue.run(reconcile, workers=workers))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_waiting_key_is_worked_on_once() -> None:
    queue, seen = WorkQueue[str](), list[str]()

    async def reconcile(key: str) -> None:
        seen.append(key)

    for key in ("a", "b", "a", "a"):
        queue.add(key)
    async with running(queue, reconcile):
        await asyncio.sleep(0.1)
    assert seen == ["a", "b"]


async def test_a_key_added_while_it_is_worked_on_is_worked_on_again_and_never_by_two() -> None:
    queue, at_once, most, runs = WorkQueue[str](), 0, 0, 0

    async def reconcile(_: str) -> None:
        nonlocal at_once, most, runs
        at_once, runs = at_once + 1, runs + 1
        most = max(most, at_once)
        await asyncio.sleep(1)
        at_once -= 1

    async with running(queue, reconcile):
        queue.add("a")
        await asyncio.sleep(0.5)
        for _ in range(3):
            queue.add("a")
        await asyncio.sleep(5)
    assert (most, runs) == (1, 2)


async def test_other_keys_do_not_wait_for_a_slow_one() -> None:
    queue, done = WorkQueue[str](), list[str]()

    async def reconcile(key: str) -> None:
        await asyncio.sleep(10 if key == "slow" else 0)
        done.append(key)

    async with running(queue, reconcile, workers=2):
        for key in ("slow", "a", "b"):
            queue.add(key)
        await asyncio.sleep(1)
    assert done == ["a", "b"]


async def test_a_key_that_fails_comes_back_after_longer_and_longer_pauses_up_to_a_minute() -> None:
    queue, times = WorkQueue[str](), list[float]()

    async def reconcile(_: str) -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) < 18:
            raise LabctlError("not yet")

    async with running(queue, reconcile):
        queue.add("a")
        await asyncio.sleep(1000)
        queue.add("a")
        await asyncio.sleep(1)
    pauses = [round(b - a, 3) for a, b in pairwise(times)]
    assert pauses[:5] == [0.005, 0.01, 0.02, 0.04, 0.08]
    assert pauses[15:17] == [60, 60]
    assert len(times) == 19  # after it went well nothing is left of its failures


async def test_a_bug_is_logged_with_its_trace_and_a_refusal_without(caplog: pytest.LogCaptureFixture) -> None:
    queue = WorkQueue[str]()

    async def reconcile(key: str) -> None:
        raise ValueError("a bug") if key == "bug" else LabctlError("no such thing")

    async with running(queue, reconcile):
        queue.add("bug")
        queue.add("refused")
        await asyncio.sleep(0.1)
    warned = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert {r.getMessage().split(":")[0] for r in warned if r.exc_info} == {"bug"}
    assert any("refused: no such thing: trying again in" in r.getMessage() for r in warned)


async def test_the_earlier_of_two_later_times_counts() -> None:
    queue, times = WorkQueue[str](), list[float]()
    begin = asyncio.get_running_loop().time()

    async def reconcile(_: str) -> None:
        times.append(asyncio.get_running_loop().time() - begin)

    async with running(queue, reconcile):
        queue.add_after("a", 5)
        queue.add_after("a", 10)
        queue.add_after("b", 10)
        queue.add_after("b", 3)
        await asyncio.sleep(60)
    assert [round(t, 3) for t in times] == [3, 5]
