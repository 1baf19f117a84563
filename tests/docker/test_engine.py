"""The engine contract on the real engine, with the lab's own image."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from labctl.engine.docker import DockerEngine
from labctl.engine.protocol import ContainerSpec
from tests.docker.lab import Lab
from tests.engine.contract import LABELS, EngineContract, output_of

pytestmark = pytest.mark.docker


class TestDockerEngine(EngineContract):
    @pytest.fixture
    async def engine(self) -> AsyncIterator[DockerEngine]:
        engine = DockerEngine()
        yield engine
        for left in await engine.list(LABELS):
            await engine.remove(left.id)
        await engine.close()

    @pytest.fixture
    def spec(self, lab: Lab) -> ContainerSpec:
        control_plane = lab.containers("label=labctl.role=control-plane")[0]
        image = lab.docker("inspect", "-f", "{{.Config.Image}}", control_plane).out.strip()
        name = f"labctl-engine-contract-{os.getpid()}"
        return ContainerSpec(name, image, command=["sleep"], args=["60"], labels=LABELS)

    async def test_streams_are_told_apart_and_a_terminal_has_one(self, engine: DockerEngine, running: str) -> None:
        command = ["sh", "-c", "echo out; echo err >&2; exit 7"]
        assert await output_of(await engine.exec(running, command)) == (b"out\n", b"err\n", 7)
        out, err, code = await output_of(await engine.exec(running, command, tty=True))
        assert (sorted(out.split()), err, code) == ([b"err", b"out"], b"", 7)

    async def test_logs_are_told_apart_and_followed(self, engine: DockerEngine, spec: ContainerSpec) -> None:
        from dataclasses import replace

        made = await engine.create(
            replace(spec, command=["sh", "-c", "echo one; echo two >&2; sleep 0.5; echo three"], args=[])
        )
        await engine.start(made)
        followed = [chunk async for chunk in engine.logs(made, follow=True)]
        assert sorted(followed) == [("stderr", b"two\n"), ("stdout", b"one\n"), ("stdout", b"three\n")]
        assert [chunk async for chunk in engine.logs(made, tail=1)] == [("stdout", b"three\n")]
        await engine.remove(made)
