"""A SPDY client in memory: what it writes, the server's channel receives, and the other way round."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from labctl.apiserver.streams.spdy.codec import Decoder, Encoder
from labctl.apiserver.streams.spdy.frames import Data, Frame, RstStream, SynReply, SynStream


class Client:
    """Both the client and the server's channel."""

    def __init__(self) -> None:
        self._encoder, self._decoder = Encoder(), Decoder()
        self._to_server: asyncio.Queue[bytes] = asyncio.Queue()
        self._to_client: asyncio.Queue[bytes] = asyncio.Queue()
        self._next_id = 1
        self.is_closed = False
        self.received: dict[int, bytes] = defaultdict(bytes)
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.accepted: set[int] = set()

    # the server's channel

    async def receive(self) -> bytes:
        return await self._to_server.get()

    async def send(self, data: bytes) -> None:
        self._to_client.put_nowait(data)

    async def close(self) -> None:
        self.is_closed = True
        self._to_server.put_nowait(b"")
        self._to_client.put_nowait(b"")

    # the client

    def sends(self, *frames: Frame) -> None:
        self.sends_bytes(b"".join(self._encoder.encode(f) for f in frames))

    def sends_bytes(self, data: bytes) -> None:
        self._to_server.put_nowait(data)

    def leaves(self) -> None:
        self._to_server.put_nowait(b"")

    def opens(self, **headers: str) -> int:
        stream_id = self._next_id
        self._next_id += 2
        self.sends(SynStream(stream_id, headers))
        return stream_id

    async def frame(self) -> list[Frame]:
        """The frames of the server's next message, remembered by stream; none when it closed."""
        frames = list(self._decoder.decode(await self._to_client.get()))
        for frame in frames:
            match frame:
                case Data(stream_id, data, is_last):
                    self.received[stream_id] += data
                    self.ended |= {stream_id} if is_last else set()
                case RstStream(stream_id, status):
                    self.resets[stream_id] = status
                case SynReply(stream_id):
                    self.accepted.add(stream_id)
        return frames

    async def until_ended(self, *stream_ids: int) -> None:
        """Read until the server has ended or reset these streams."""
        async with asyncio.timeout(5):
            while not set(stream_ids) <= self.ended | self.resets.keys():
                await self.frame()
