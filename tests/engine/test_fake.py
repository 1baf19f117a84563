from __future__ import annotations

import pytest

from labctl.engine.errors import EngineUnreachable
from labctl.engine.fake import FakeEngine
from labctl.engine.protocol import ContainerSpec
from tests.engine.contract import LABELS, EngineContract


class TestFakeEngine(EngineContract):
    @pytest.fixture
    def engine(self) -> FakeEngine:
        engine = FakeEngine(clock=lambda: 1_800_000_000.0, images=["image"])
        engine.images["image"] = engine.images["image"].__class__("sha256:1")
        engine.cannot_start["no-such-program"] = 'exec: "no-such-program": executable file not found in $PATH'
        return engine

    @pytest.fixture
    def spec(self) -> ContainerSpec:
        return ContainerSpec("contract", "image", command=["sleep"], args=["60"], labels=LABELS)


async def test_an_engine_that_is_away() -> None:
    engine = FakeEngine()
    engine.is_down = True
    with pytest.raises(EngineUnreachable):
        await engine.info()


async def test_logs_come_with_their_stream_and_follow_until_the_end() -> None:
    engine = FakeEngine(images=["image"])
    made = await engine.create(ContainerSpec("c", "image"))
    await engine.start(made)
    engine.say("c", "one")
    engine.say("c", "two", stream="stderr")
    assert [chunk async for chunk in engine.logs(made)] == [("stdout", b"one"), ("stderr", b"two")]
    assert [chunk async for chunk in engine.logs(made, tail=1)] == [("stderr", b"two")]
    following = engine.logs(made, follow=True)
    assert await anext(following) == ("stdout", b"one")
    engine.say("c", "three")
    engine.crash("c")
    assert [data async for _, data in following] == [b"two", b"three"]
