"""What every engine must do. The same tests run on the fake (here) and on Docker (tests/docker/test_engine.py)."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from labctl.engine.errors import EngineError, ImageUnavailable, NameInUse, NoSuchContainer, PortUnavailable, StartFailed
from labctl.engine.protocol import ContainerSpec, Engine, EngineEvent, ExecStream, PortBinding

LABELS = {"labctl.lab": "engine-contract", "labctl.role": "probe"}
FREE_PORT = 18299


async def output_of(stream: ExecStream) -> tuple[bytes, bytes, int]:
    """stdout, stderr and exit code of a whole exec."""
    out = {"stdout": b"", "stderr": b""}
    async for tag, data in stream.output():
        out[tag] += data
    code = await stream.exit_code()
    await stream.close()
    return out["stdout"], out["stderr"], code


class EngineContract:
    """Subclasses give the fixtures `engine` and `spec` (a container that waits)."""

    @pytest.fixture
    async def running(self, engine: Engine, spec: ContainerSpec) -> AsyncIterator[str]:
        made = await engine.create(spec)
        await engine.start(made)
        yield made
        await engine.remove(made)

    async def test_a_container_is_created_started_stopped_and_removed(
        self, engine: Engine, spec: ContainerSpec
    ) -> None:
        made = await engine.create(spec)
        created = await engine.inspect(made)
        assert created is not None and created.status == "created" and created.name == spec.name
        assert dict(LABELS).items() <= dict(created.labels).items()
        await engine.start(made)
        running = await engine.inspect(made)
        assert running is not None and running.status == "running" and running.started_at
        await engine.start(made)  # again is no error
        await engine.stop(made, grace_s=0)
        ended = await engine.inspect(made)
        assert ended is not None and ended.status == "exited" and ended.exit_code in (137, 143) and ended.finished_at
        await engine.remove(made)
        assert await engine.inspect(made) is None

    async def test_gone_is_no_error_where_gone_is_the_aim(self, engine: Engine) -> None:
        await engine.remove("no-such-container")
        await engine.stop("no-such-container", grace_s=1)
        await engine.remove_volume("no-such-volume")

    async def test_what_needs_a_container_says_when_there_is_none(self, engine: Engine) -> None:
        for call in (engine.start("no-such-container"), engine.kill("no-such-container")):
            with pytest.raises(NoSuchContainer):
                await call
        with pytest.raises(NoSuchContainer):
            await engine.exec("no-such-container", ["true"])

    async def test_names_are_unique(self, engine: Engine, spec: ContainerSpec) -> None:
        made = await engine.create(spec)
        with pytest.raises(NameInUse) as caught:
            await engine.create(spec)
        assert caught.value.holder == made
        await engine.remove(made)

    async def test_containers_are_listed_by_label(self, engine: Engine, running: str) -> None:
        assert running in [state.id for state in await engine.list(LABELS)]
        assert running not in [state.id for state in await engine.list({"labctl.lab": "another"})]

    async def test_events_tell_of_start_end_and_removal(self, engine: Engine, spec: ContainerSpec) -> None:
        events = engine.events(LABELS)
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.2)
        made = await engine.create(spec)
        await engine.start(made)
        await engine.kill(made)
        await engine.remove(made)
        seen: list[EngineEvent] = [await first]
        while seen[-1].action != "destroy":
            seen.append(await anext(events))
        await events.aclose()  # type: ignore[attr-defined]  # both are generators
        mine = [e for e in seen if e.container_id == made]
        assert [e.action for e in mine] == ["start", "die", "destroy"]
        assert mine[1].exit_code == 137 and mine[1].labels["labctl.role"] == "probe"

    async def test_exec_carries_stdin_stdout_and_the_exit_code(self, engine: Engine, running: str) -> None:
        assert await output_of(await engine.exec(running, ["true"])) == (b"", b"", 0)
        stream = await engine.exec(running, ["cat"], stdin=True)
        await stream.write(b"hello ")
        await stream.write(b"world")
        await stream.close_stdin()
        assert await output_of(stream) == (b"hello world", b"", 0)

    async def test_a_command_that_is_not_there_ends_with_126(self, engine: Engine, running: str) -> None:
        out, _, code = await output_of(await engine.exec(running, ["no-such-program"]))
        assert code in (126, 127) and out.startswith(b"OCI runtime exec failed") and b"no-such-program" in out

    async def test_exec_needs_a_running_container(self, engine: Engine, spec: ContainerSpec) -> None:
        made = await engine.create(spec)
        with pytest.raises(EngineError):
            await engine.exec(made, ["true"])
        await engine.remove(made)

    async def test_attach_does_not_wait_for_a_container_that_has_ended(
        self, engine: Engine, spec: ContainerSpec
    ) -> None:
        made = await engine.create(spec)
        await engine.start(made)
        await engine.stop(made, grace_s=0)
        with pytest.raises(EngineError, match="container is in CONTAINER_EXITED state"):
            await engine.attach(made, stdin=True)
        await engine.remove(made)

    async def test_a_host_port_has_one_holder(self, engine: Engine, spec: ContainerSpec) -> None:
        port = [PortBinding(80, FREE_PORT)]
        first = await engine.create(replace(spec, network="bridge", ports=port))
        second = await engine.create(replace(spec, name=f"{spec.name}-2", network="bridge", ports=port))
        await engine.start(first)
        with pytest.raises(PortUnavailable) as caught:
            await engine.start(second)
        assert caught.value.port == FREE_PORT
        assert await engine.port_holder(FREE_PORT, "tcp") == spec.name
        assert await engine.port_holder(FREE_PORT, "udp") is None
        await engine.remove(first)
        await engine.start(second)
        await engine.remove(second)

    async def test_a_program_that_cannot_start_says_so(self, engine: Engine, spec: ContainerSpec) -> None:
        made = await engine.create(replace(spec, command=["no-such-program"], args=[]))
        with pytest.raises(StartFailed, match="no-such-program"):
            await engine.start(made)
        await engine.remove(made)

    async def test_a_container_joins_anothers_network(self, engine: Engine, spec: ContainerSpec, running: str) -> None:
        made = await engine.create(replace(spec, name=f"{spec.name}-2", network="", network_of=running))
        await engine.start(made)
        await engine.remove(made)

    async def test_images(self, engine: Engine, spec: ContainerSpec) -> None:
        found = await engine.image(spec.image)
        assert found is not None and found.id.startswith("sha256:")
        assert await engine.image("no.such.registry.invalid/none:1") is None
        with pytest.raises(ImageUnavailable) as caught:
            await engine.pull("no.such.registry.invalid/none:1")
        assert caught.value.image == "no.such.registry.invalid/none:1"

    async def test_an_archive_can_be_put_into_a_container_that_has_not_started(
        self, engine: Engine, spec: ContainerSpec
    ) -> None:
        made = await engine.create(spec)
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            info = tarfile.TarInfo("hello")
            info.size = 2
            tar.addfile(info, io.BytesIO(b"hi"))
        await engine.put_archive(made, "/", data.getvalue())
        await engine.remove(made)

    async def test_the_machine_is_known(self, engine: Engine) -> None:
        info = await engine.info()
        assert info.cpus > 0 and info.memory_bytes > 2**20 and info.version
