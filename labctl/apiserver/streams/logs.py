"""GET pods/NAME/log: plain text, streamed while it is written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from labctl.api import status
from labctl.api.times import to_unix
from labctl.apiserver import requests
from labctl.apiserver.context import Context
from labctl.apiserver.options import User
from labctl.apiserver.requests import ResourcePath
from labctl.apiserver.runtime import LogOptions
from labctl.apiserver.streams import targets


async def respond(context: Context, request: Request, user: User, path: ResourcePath) -> Response:
    """The log of one container. Raises ApiError 400, 403, 404 before anything is sent."""
    chunks = await begin(context, request.query_params, user, path)
    if chunks is None:
        return Response(status_code=204)
    return StreamingResponse(chunks, media_type="text/plain")


async def begin(
    context: Context, query: Mapping[str, str], user: User, path: ResourcePath
) -> AsyncIterator[bytes] | None:
    """The log in chunks; None when nothing was ever written and there is no node to ask. Raises ApiError 400, 403, 404."""
    pod = targets.pod_of(context, user, path, "get")
    container = targets.container_of(pod, query.get("container", ""))
    options = log_options(query, container, now_s=context.registry.clock())
    if not pod["spec"].get("nodeName"):
        return None
    stream = targets.runtime_of(context, pod).logs(pod, options)
    # The first chunk is awaited here, so that an error is an answer and not a broken stream.
    first = await anext(stream, None)
    return _body(first, stream)


async def _body(first: bytes | None, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first is not None:
        yield first
        async for chunk in stream:
            yield chunk


def log_options(query: Mapping[str, str], container: str, *, now_s: float) -> LogOptions:
    """The query as LogOptions. Raises ApiError 400, 422."""
    since = requests.number(query, "sinceSeconds")
    since_time = query.get("sinceTime")
    if since is not None and since_time:
        raise _invalid("sinceSeconds", "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified")
    if since is not None and since < 1:
        raise _invalid("sinceSeconds", f"Invalid value: {since}: must be greater than 0")
    tail = requests.number(query, "tailLines")
    if tail is not None and tail < 0:
        raise _invalid("tailLines", f"Invalid value: {tail}: must be greater than or equal to 0")
    limit = requests.number(query, "limitBytes")
    if limit is not None and limit < 1:
        raise _invalid("limitBytes", f"Invalid value: {limit}: must be greater than 0")
    try:
        start = now_s - since if since is not None else to_unix(since_time) if since_time else None
    except ValueError as error:
        raise status.bad_request(str(error)) from error
    return LogOptions(
        container,
        follow=requests.flag(query, "follow"),
        previous=requests.flag(query, "previous"),
        tail_lines=tail,
        limit_bytes=limit,
        since_time=start,
        timestamps=requests.flag(query, "timestamps"),
    )


def _invalid(field: str, text: str) -> status.ApiError:
    return status.ApiError(422, "Invalid", f'PodLogOptions "" is invalid: {field}: {text}', {"kind": "PodLogOptions"})
