"""The ASGI application: authentication, the fixed documents, and resources."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from labctl.api import discovery, openapi, status
from labctl.apiserver import answers, authorization, handlers, requests
from labctl.apiserver.context import Context
from labctl.apiserver.options import User
from labctl.apiserver.streams import logs, spdy_requests, websockets

_LOG = logging.getLogger(__name__)
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_HEALTH = ("/healthz", "/livez", "/readyz")


def build(context: Context) -> Starlette:
    """The application for uvicorn, or for tests."""
    routes = [
        WebSocketRoute("/{path:path}", _websocket(context)),
        Route("/{path:path}", _http(context), methods=_METHODS),
    ]
    return Starlette(routes=routes)


def _http(context: Context) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            user = context.authenticator.user(request.headers.get("authorization", ""))
            response = await _dispatch(context, request, user)
        except status.ApiError as error:
            response = answers.failure(error, handlers.warnings_for(request.url.path))
        except Exception:
            _LOG.exception("%s %s", request.method, request.url.path)
            response = answers.failure(status.internal("labctl met an error of its own; its log tells more"))
        response.headers["Audit-Id"] = str(uuid.uuid4())
        return response

    return endpoint


async def _dispatch(context: Context, request: Request, user: User) -> Response:
    path = request.url.path
    resource = requests.parse_path(path)
    if resource is not None:
        if resource.subresource == "log" and request.method == "GET":
            return await logs.respond(context, request, user, resource)
        if resource.subresource in spdy_requests.SUBRESOURCES:
            return await spdy_requests.respond(context, request, user, resource)
        return await handlers.handle(context, request, user, resource)
    authorization.check(context.registry.store, user, authorization.Attributes("get", path=path))
    return _document(context, request, path)


def _document(context: Context, request: Request, path: str) -> Response:
    if path == "/version":
        return answers.answer(discovery.version())
    if path.startswith(_HEALTH):
        verbose = "verbose" in request.query_params
        return PlainTextResponse(f"[+]ping ok\n{path.strip('/')} check passed\n" if verbose else "ok")
    if path in ("/api", "/apis"):
        return _groups(context, request, path)
    if path.startswith("/openapi/"):
        return _openapi(request, path)
    if path == _CRDS:  # kubectl looks here before it says that it knows no such kind
        listed = {"kind": "CustomResourceDefinitionList", "apiVersion": "apiextensions.k8s.io/v1"}
        return answers.answer(listed | {"metadata": {"resourceVersion": "1"}, "items": []})
    if path == "/":
        return answers.answer(discovery.root_paths())
    parts = path.strip("/").split("/")
    found = None
    if parts[0] == "api" and len(parts) == 2:
        found = discovery.api_resource_list("", parts[1])
    elif parts[0] == "apis" and len(parts) == 2:
        found = discovery.api_group(parts[1])
    elif parts[0] == "apis" and len(parts) == 3:
        found = discovery.api_resource_list(parts[1], parts[2])
    if found is not None:
        return answers.answer(found)
    if parts[0] in ("api", "apis"):
        return answers.failure(status.ApiError(404, "NotFound", "the server could not find the requested resource", {}))
    return PlainTextResponse("404 page not found\n", status_code=404)


def _groups(context: Context, request: Request, path: str) -> Response:
    accept = request.headers.get("accept", "")
    if "as=APIGroupDiscoveryList" in accept:
        version: discovery.AggregatedVersion = (
            "v2" if "v=v2;" in accept or accept.rstrip().endswith("v=v2") else "v2beta1"
        )
        document = discovery.aggregated(core=path == "/api", version=version)
        response = answers.answer(document)
        response.headers["Content-Type"] = (
            f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
        )
        return response
    if path == "/api":
        return answers.answer(discovery.api_versions(context.server_address))
    return answers.answer(discovery.api_group_list())


def _openapi(request: Request, path: str) -> Response:
    if path == "/openapi/v3":
        return answers.answer(openapi.v3_index())
    if path == "/openapi/v2":
        if "protobuf" in request.headers.get("accept", ""):
            return Response(openapi.v2_protobuf(), media_type=openapi.V2_PROTOBUF)
        return Response(openapi.v2_document(), media_type="application/json")
    group_version = path.removeprefix("/openapi/v3/").removeprefix("apis/").removeprefix("api/")
    document = openapi.v3_document(group_version)
    if document is None:
        return PlainTextResponse("404 page not found\n", status_code=404)
    return Response(document, media_type="application/json")


def _websocket(context: Context) -> Callable[[WebSocket], Awaitable[None]]:
    async def endpoint(websocket: WebSocket) -> None:
        try:
            user = context.authenticator.user(websocket.headers.get("authorization", ""))
            path = requests.parse_path(websocket.url.path)
            if path is None:
                raise status.ApiError(404, "NotFound", "the server could not find the requested resource", {})
            await websockets.serve(context, websocket, user, path)
        except status.ApiError as error:
            await websocket.send_denial_response(answers.failure(error))

    return endpoint
