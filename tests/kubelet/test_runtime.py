from __future__ import annotations

import contextlib
from typing import Any

import pytest

from labctl.api.status import ApiError
from labctl.apiserver.runtime import LogOptions
from labctl.engine.fake import FakeExec
from tests.kubelet.conftest import World, settle

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]


async def logs(world: World, container: str = "main", **options: Any) -> str:
    chunks = world.kubelet.runtime.logs(world.pod(), LogOptions(container, **options))
    return b"".join([chunk async for chunk in chunks]).decode()


async def test_exec_passes_input_output_and_exit_code(world: World) -> None:
    await world.run_pod()
    world.engine.programs[("seven",)] = lambda _: ([("stdout", b"out"), ("stderr", b"err")], 7)
    stream = await world.kubelet.runtime.exec(world.pod(), "main", ["seven"], stdin=False, tty=False)
    assert [chunk async for chunk in stream.output()] == [("stdout", b"out"), ("stderr", b"err")]
    assert await stream.exit_code() == 7
    stream = await world.kubelet.runtime.exec(world.pod(), "main", ["cat"], stdin=True, tty=False)
    await stream.write(b"hello")
    await stream.close_stdin()
    assert [chunk async for chunk in stream.output()] == [("stdout", b"hello")]


async def test_an_attach_ends_well_however_its_process_does(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in Kubernetes: `kubectl run -i` reads the exit code in the Pod, and takes a failed attach for a broken one."""
    await world.run_pod()

    async def attach(_id: str, **_options: bool) -> FakeExec:
        return FakeExec(lambda _: ([("stdout", b"out")], 3), stdin=False)

    monkeypatch.setattr(world.engine, "attach", attach)
    stream = await world.kubelet.runtime.attach(world.pod(), "main", stdin=False, tty=False)
    assert [chunk async for chunk in stream.output()] == [("stdout", b"out")]
    assert await stream.exit_code() == 0


async def test_a_command_that_cannot_start_is_an_error_and_no_output(world: World) -> None:
    await world.run_pod()
    stream = await world.kubelet.runtime.exec(world.pod(), "main", ["nosuch"], stdin=False, tty=False)
    with pytest.raises(ApiError) as caught:
        assert [chunk async for chunk in stream.output()] == []
    assert caught.value.message.startswith(
        "Internal error occurred: error executing command in container: failed to exec in container: OCI runtime exec failed"
    )


async def test_a_program_that_only_quotes_the_runtime_is_passed_on(world: World) -> None:
    await world.run_pod()
    text = b"OCI runtime exec failed, says the log\n"
    world.engine.programs[("tail",)] = lambda _: ([("stdout", text)], 0)
    stream = await world.kubelet.runtime.exec(world.pod(), "main", ["tail"], stdin=False, tty=False)
    assert [chunk async for chunk in stream.output()] == [("stdout", text)]


@pytest.mark.parametrize("verb", ["exec", "attach"])
async def test_a_container_that_does_not_run_is_refused_in_the_kubelets_words(world: World, verb: str) -> None:
    await world.run_pod(image="nowhere")
    runtime = world.kubelet.runtime
    with pytest.raises(ApiError) as caught:
        if verb == "exec":
            await runtime.exec(world.pod(), "main", ["true"], stdin=False, tty=False)
        else:
            await runtime.attach(world.pod(), "main", stdin=False, tty=False)
    words = {"exec": 'container not found ("main")', "attach": "container main not found in pod p_default"}
    assert caught.value.code == 500 and words[verb] in caught.value.message


async def test_logs_are_cut_and_chosen(world: World) -> None:
    await world.run_pod()
    for text, stream in (("one\n", "stdout"), ("two\n", "stderr"), ("three\n", "stdout")):
        world.engine.say("k8s_main", text, stream=stream)  # type: ignore[arg-type]  # both are streams
    assert await logs(world) == "one\ntwo\nthree\n"
    assert await logs(world, tail_lines=1) == "three\n"
    assert await logs(world, stream="Stderr") == "two\n"
    assert await logs(world, limit_bytes=6) == "one\ntw"


async def test_logs_of_the_previous_run(world: World) -> None:
    await world.run_pod()
    with pytest.raises(ApiError, match='previous terminated container "main" in pod "p" not found'):
        await logs(world, previous=True)
    world.engine.say("k8s_main", "first\n")
    world.crash("main")
    await settle()
    world.engine.say("k8s_main_p_default_" + world.uid() + "_1", "second\n")
    assert await logs(world, previous=True) == "first\n"
    assert await logs(world) == "second\n"
    world.crash("main")
    await settle()
    assert await logs(world, previous=True) == "second\n", "it waits for its restart"


async def test_logs_of_a_container_that_waits(world: World) -> None:
    await world.run_pod(image="nowhere")
    words = 'container "main" in pod "p" is waiting to start: trying and failing to pull image'
    with pytest.raises(ApiError) as caught:
        await logs(world)
    assert (caught.value.code, caught.value.message) == (400, words)


async def test_a_port_is_reached_through_the_node(world: World) -> None:
    await world.run_pod()
    world.dialer.answers["10.244.1.2", 80] = b"hello"
    reader, writer = await world.kubelet.runtime.dial(world.pod(), 80)
    assert await reader.read() == b"hello"
    writer.close()


async def test_a_port_on_the_pods_loopback_is_reached_by_a_relay(world: World) -> None:
    await world.run_pod()
    world.engine.programs[("busybox", "nc", "127.0.0.1", "80")] = lambda data: ([("stdout", b"you said " + data)], 0)
    reader, writer = await world.kubelet.runtime.dial(world.pod(), 80)
    writer.write(b"hi")
    writer.write_eof()
    assert await reader.read() == b"you said hi"
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.drain()
