"""A WebSocket as a channel of bytes: binary messages one after the other, wherever they are cut."""

from __future__ import annotations

from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

_NORMAL_CLOSURE = 1000


class WebSocketChannel:
    """An accepted WebSocket that carries another protocol (SPDY in KEP-4006's tunnel)."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def receive(self) -> bytes:
        """The next message that is not empty; none at the end, which a text message is, too."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect" or message.get("text"):
                return b""
            if data := message.get("bytes"):
                received: bytes = data
                return received

    async def send(self, data: bytes) -> None:
        """Send one message. Raises ConnectionResetError when the client is gone."""
        try:
            await self._websocket.send_bytes(data)
        except (WebSocketDisconnect, RuntimeError) as error:  # Starlette's way to say that it is closed
            raise ConnectionResetError("the WebSocket is closed") from error

    async def close(self) -> None:
        """Close it in the WebSocket's own way; no error when the client has done so."""
        with suppress(RuntimeError, WebSocketDisconnect):
            await self._websocket.close(_NORMAL_CLOSURE)
