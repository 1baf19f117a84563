"""The same tests against a real kube-apiserver: an ASGI application that passes requests on over HTTPS.

Set LABCTL_KUBE_APISERVER to its URL (https://127.0.0.1:6443); it must know the token `admin` as system:masters and run
without controllers. Tests that look into our own server are left out then.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from urllib.parse import urlsplit

import h11
from starlette.types import ASGIApp, Receive, Scope, Send

VARIABLE = "LABCTL_KUBE_APISERVER"
URL = os.environ.get(VARIABLE, "")


def forward(url: str) -> ASGIApp:
    """An ASGI application that answers with what the server at `url` answers."""
    target = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reader, writer = await asyncio.open_connection(target.hostname, target.port, ssl=context)
        try:
            connection = h11.Connection(h11.CLIENT)
            writer.write(await _request(connection, scope, receive))
            async with asyncio.TaskGroup() as tasks:
                answer = tasks.create_task(_answer(connection, reader, send))
                gone = tasks.create_task(_until_gone(receive))
                await asyncio.wait([answer, gone], return_when=asyncio.FIRST_COMPLETED)
                answer.cancel()
                gone.cancel()
        finally:
            writer.close()

    return app


async def _request(connection: h11.Connection, scope: Scope, receive: Receive) -> bytes:
    path = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    headers = [(b"host", b"kubernetes"), *scope["headers"]]
    body = (await receive()).get("body", b"")
    data = connection.send(h11.Request(method=scope["method"], target=path, headers=headers)) or b""
    if body:
        data += connection.send(h11.Data(data=body)) or b""
    return data + (connection.send(h11.EndOfMessage()) or b"")


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader, send: Send) -> None:
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            headers = list(event.headers)
            await send({"type": "http.response.start", "status": event.status_code, "headers": headers})
        elif isinstance(event, h11.Data):
            await send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
