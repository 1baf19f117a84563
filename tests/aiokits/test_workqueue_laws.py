"""What holds for a queue whatever happens in which order."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from labctl.aiokits.workqueue import WorkQueue


@given(adds=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=25))
def test_the_last_wish_of_every_key_is_always_met(adds: list[tuple[str, int]]) -> None:
    """Whatever was wanted when a key was added last has been seen by a reconcile that began later."""

    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue()
        wanted: dict[str, int] = {}
        met: dict[str, int] = {}

        async def reconcile(key: str) -> None:
            seen = wanted[key]
            for _ in range(seen % 3):
                await asyncio.sleep(0)
            met[key] = seen

        working = asyncio.create_task(queue.run(reconcile, workers=2))
        for number, (key, turns) in enumerate(adds):
            wanted[key] = number
            queue.add(key)
            for _ in range(turns):
                await asyncio.sleep(0)
        for _ in range(200):
            await asyncio.sleep(0)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        assert met == wanted

    asyncio.run(scenario())
