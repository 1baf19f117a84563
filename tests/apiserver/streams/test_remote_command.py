"""exec and attach over SPDY: which streams there are, what is carried, and how the end is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Literal

import pytest
from starlette.datastructures import QueryParams

from labctl.api import status
from labctl.apiserver.streams import remote_command
from labctl.apiserver.streams.remote_command import PROTOCOLS, Asked, RemoteCommand
from labctl.apiserver.streams.spdy.frames import Data, RstStatus
from tests.apiserver.streams.client import Client

V4, V2 = PROTOCOLS[0], PROTOCOLS[2]
Output = tuple[Literal["stdout", "stderr"], bytes]


class Process:
    """Says its words, then what it reads, and ends when its input ends (without stdin: at once)."""

    def __init__(self, *words: Output, code: int = 0, error: str = "", stdin: bool = False) -> None:
        self._words = words
        self._code = code
        self._error = error
        self._input: asyncio.Queue[bytes] = asyncio.Queue()
        self.sizes: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        self.is_closed = False
        if not stdin:
            self._input.put_nowait(b"")

    async def write(self, data: bytes) -> None:
        self._input.put_nowait(data)

    async def close_stdin(self) -> None:
        self._input.put_nowait(b"")

    async def output(self) -> AsyncIterator[Output]:
        if self._error:
            raise status.internal(self._error)
        for word in self._words:
            yield word
        while data := await self._input.get():
            yield "stdout", data

    async def resize(self, width: int, height: int) -> None:
        self.sizes.put_nowait((width, height))

    async def exit_code(self) -> int:
        return self._code

    async def close(self) -> None:
        self.is_closed = True


class Running:
    """A client of a process, with its streams by name."""

    def __init__(self, process: Process, options: Asked, protocol: str = V4) -> None:
        self.client, self.process = Client(), process
        wanted = options.streams(protocol)
        self._command = RemoteCommand(process, wanted, protocol)
        self.ids = {name: self.client.opens(streamtype=name) for name in sorted(wanted)}

    async def serve(self) -> None:
        await self._command.serve(self.client)

    async def to_the_end(self) -> dict[str, bytes]:
        """Run; what came on each stream."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.serve())
            await self.client.until_ended(*(i for name, i in self.ids.items() if name != "stdin"))
            self.client.leaves()
        assert self.process.is_closed
        return {name: self.client.received[i] for name, i in self.ids.items()}


def asked(*, stdin: bool = False, tty: bool = False) -> Asked:
    return Asked(stdin, stdout=True, stderr=True, tty=tty)


async def test_output_comes_on_two_streams_and_the_exit_code_on_a_third() -> None:
    process = Process(("stdout", b"out"), ("stderr", b"err"), code=7)
    got = await Running(process, asked()).to_the_end()
    assert (got["stdout"], got["stderr"]) == (b"out", b"err")
    ended = json.loads(got["error"])
    assert ended["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]


async def test_a_success_is_told_too() -> None:
    got = await Running(Process(), asked()).to_the_end()
    assert json.loads(got["error"]) == {"metadata": {}, "status": "Success"}


@pytest.mark.parametrize(
    ("code", "words"), [(0, b""), (3, b"command terminated with non-zero exit code: exit status 3")]
)
async def test_older_protocols_get_words_instead_of_a_status(code: int, words: bytes) -> None:
    got = await Running(Process(code=code), asked(), V2).to_the_end()
    assert got["error"] == words


async def test_a_process_that_never_began_is_an_error() -> None:
    got = await Running(Process(error="no such program"), asked()).to_the_end()
    message = "Internal error occurred: Internal error occurred: no such program"
    assert json.loads(got["error"])["message"] == message


async def test_stdin_reaches_the_process_and_its_end_too() -> None:
    running = Running(Process(stdin=True), asked(stdin=True))
    stdin = running.ids["stdin"]
    running.client.sends(Data(stdin, b"one "), Data(stdin, b"two", is_last=True))
    assert (await running.to_the_end())["stdout"] == b"one two"


async def test_a_terminal_is_resized_and_has_no_stderr() -> None:
    running = Running(Process(stdin=True), asked(stdin=True, tty=True))
    assert running.ids.keys() == {"error", "stdin", "stdout", "resize"}
    resize, stdin = running.ids["resize"], running.ids["stdin"]
    texts = b'{"Width":80,"Height":24}\n{"Width":0,"Height":1}\nnonsense\n{"Width":9999999,"Height":1}\n{"Width":1'
    running.client.sends(Data(resize, texts), Data(resize, b'00,"Height":30}\n'))
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(running.serve())
        async with asyncio.timeout(5):
            sizes = [await running.process.sizes.get() for _ in range(2)]
        running.client.sends(Data(stdin, b"", is_last=True))
        await running.client.until_ended(running.ids["error"])
        running.client.leaves()
        await serving
    assert (sizes, running.process.sizes.qsize()) == ([(80, 24), (100, 30)], 0)


async def test_a_client_that_goes_takes_the_process_with_it() -> None:
    running = Running(Process(stdin=True), asked(stdin=True))
    running.client.leaves()
    async with asyncio.timeout(5):
        await running.serve()
    assert running.process.is_closed


async def test_streams_that_were_not_asked_for_are_refused() -> None:
    running = Running(Process(), asked())
    extra = [running.client.opens(streamtype=name) for name in ("stdin", "stdout", "nonsense")]
    await running.to_the_end()
    await running.client.until_ended(*extra)
    assert running.client.resets == dict.fromkeys(extra, RstStatus.REFUSED_STREAM)


async def test_a_client_that_does_not_open_its_streams_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_command, "_STREAMS_S", 0)
    process = Process()
    async with asyncio.timeout(5):
        await RemoteCommand(process, asked().streams(V4), V4).serve(Client())
    assert process.is_closed


def test_no_stream_at_all_is_refused() -> None:
    with pytest.raises(status.ApiError, match="at least 1 of stdin, stdout, stderr"):
        remote_command.asked(QueryParams("command=ls&tty=true"))
