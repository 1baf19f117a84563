"""The ASGI application: authentication, the fixed documents, and resources."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from labctl.api import status
from labctl.apiserver import answers, authorization, documents, handlers, impersonation, negotiation, requests
from labctl.apiserver.context import Context
from labctl.apiserver.options import User
from labctl.apiserver.streams import logs, spdy_requests, websocket_protocols, websockets

_LOG = logging.getLogger(__name__)


def build(context: Context) -> Starlette:
    """The application for uvicorn, or for tests."""
    routes = [
        WebSocketRoute("/{path:path}", _websocket(context)),
        Route("/{path:path}", _AnyMethod(_http(context))),
    ]
    return Starlette(routes=routes)


class _AnyMethod:
    """An endpoint for whatever method a client makes up: the answer to those is a Status too."""

    def __init__(self, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


def _http(context: Context) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            user = _user(context, request.headers)
            response = await _dispatch(context, request, user)
        except status.ApiError as error:
            response = answers.failure(error, handlers.warnings_for(request.url.path))
        except Exception:
            _LOG.exception("%s %s", request.method, request.url.path)
            response = answers.failure(status.internal("labctl met an error of its own; its log tells more"))
        response = negotiation.rewrite(request, response)
        response.headers["Audit-Id"] = str(uuid.uuid4())
        return response

    return endpoint


def _user(context: Context, headers: Headers, token: str = "") -> User:
    """Whoever asks, or is acted as; `token` is for clients that cannot send headers. Raises ApiError 400, 401, 403."""
    authorization_header = headers.get("authorization", "") or (f"Bearer {token}" if token else "")
    user = context.authenticator.user(authorization_header)
    return impersonation.acting(context.registry.store, user, headers)


async def _dispatch(context: Context, request: Request, user: User) -> Response:
    path = request.url.path
    resource = requests.parse_path(path)
    if resource is not None:
        if resource.subresource == "log" and request.method == "GET":
            return await logs.respond(context, request, user, resource)
        if resource.subresource in spdy_requests.SUBRESOURCES:
            return await spdy_requests.respond(context, request, user, resource)
        if resource.subresource == "proxy":
            from labctl.apiserver.proxies import proxy  # few ask for it

            return await proxy.respond(context, request, user, resource)
        return await handlers.handle(context, request, user, resource)
    verb = request.method.lower() if request.method not in ("GET", "HEAD") else "get"
    authorization.check(context.registry.store, user, authorization.Attributes(verb, path=path))
    return documents.respond(context, request, path)


def _websocket(context: Context) -> Callable[[WebSocket], Awaitable[None]]:
    async def endpoint(websocket: WebSocket) -> None:
        try:
            token = websocket_protocols.bearer_token(websocket.scope.get("subprotocols", ()))
            user = _user(context, websocket.headers, token)
            path = requests.parse_path(websocket.url.path)
            if path is None:
                raise status.ApiError(404, "NotFound", "the server could not find the requested resource", {})
            await websockets.serve(context, websocket, user, path)
        except status.ApiError as error:
            await websocket.send_denial_response(answers.failure(error))

    return endpoint
