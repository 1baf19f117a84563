"""The HTTP verbs on resources: from a request to a call of the registry, and its answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from labctl.api import conversion, discovery, kinds, schema, status, tables
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.apiserver import (
    answers,
    authorization,
    deletion,
    identity,
    patching,
    requests,
    reviews,
    subresources,
    watching,
)
from labctl.apiserver.context import Context
from labctl.apiserver.listing import list_objects, parse_revision
from labctl.apiserver.local import APPLY, PATCH_TYPES
from labctl.apiserver.options import User, WriteOptions
from labctl.apiserver.requests import Accept, ResourcePath

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_ENDPOINTS_WARNING = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
_PROTOBUF = "application/vnd.kubernetes.protobuf"


def verb_of(method: str, path: ResourcePath, query: Mapping[str, str]) -> str:
    """The API verb of a request, as authorization and discovery name it."""
    if method in ("GET", "HEAD"):
        if path.name:
            return "get"
        return "watch" if requests.flag(query, "watch") else "list"
    verb = _VERBS.get(method, method.lower())
    return "deletecollection" if verb == "delete" and not path.name else verb


async def handle(context: Context, request: Request, user: User, path: ResourcePath) -> Response:
    """Answer a request on a resource. Raises ApiError."""
    verb = verb_of(request.method, path, request.query_params)
    asked = authorization.Attributes(
        verb, path.kind.group, path.kind.resource, path.subresource, path.namespace, path.name
    )
    authorization.check(context.registry.store, user, asked)
    if verb not in _verbs(path) and path.kind.is_absent:
        raise status.method_not_allowed(path.kind, verb)
    if verb not in _verbs(path) or (not path.subresource and verb in _WRONG_PLACE[bool(path.name)]):
        raise _not_allowed()
    requests.parse_accept(request.headers.get("accept", ""))  # refused before anything is done
    if verb == "get" and not path.subresource:
        return _get(context, request, path)
    if verb == "list":
        return _list(context, request, path)
    if verb == "watch":
        return _watch(context, request, path)
    if verb == "delete":
        return await _delete(context, request, path)
    if verb == "deletecollection":
        return await _delete_collection(context, request, path)
    return await _write(context, request, user, path, verb)


_WRONG_PLACE = {True: ("create",), False: ("update", "patch")}  # with and without a name


def _verbs(path: ResourcePath) -> tuple[str, ...]:
    return discovery.subresource(path.kind, path.subresource).verbs if path.subresource else path.kind.verbs


def _not_allowed() -> status.ApiError:
    return status.ApiError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
    )


def _include(request: Request) -> tables.IncludeObject:
    return _included(request.query_params)


def _included(query: Mapping[str, str]) -> tables.IncludeObject:
    return cast(tables.IncludeObject, query.get("includeObject") or "Metadata")


def _read_warnings(kind: Kind) -> list[str]:
    return [_ENDPOINTS_WARNING] if kind is kinds.ENDPOINTS else []


def warnings_for(path: str) -> list[str]:
    """Warnings that come with every answer on a resource, also with a refusal."""
    resource = requests.parse_path(path)
    return _read_warnings(resource.kind) if resource else []


def _reply(
    context: Context, request: Request, kind: Kind, obj: Object, *, code: int = 200, warnings: Any = ()
) -> Response:
    accept = requests.parse_accept(request.headers.get("accept", ""))
    shown = answers.of_object(kind, obj, accept, now_s=context.registry.clock(), include=_include(request))
    return answers.answer(shown, code=code, warnings=[*_read_warnings(kind), *warnings])


def _get(context: Context, request: Request, path: ResourcePath) -> Response:
    obj = context.registry.get(path.kind, path.namespace, path.name)
    return _reply(context, request, path.kind, obj)


def _list(context: Context, request: Request, path: ResourcePath) -> Response:
    page = list_objects(context.registry, path.kind, path.namespace, requests.list_options(request.query_params))
    accept = requests.parse_accept(request.headers.get("accept", ""))
    shown = answers.of_list(path.kind, page, accept, now_s=context.registry.clock(), include=_include(request))
    encoding = request.headers.get("accept-encoding", "")
    return answers.answer(shown, warnings=_read_warnings(path.kind), accept_encoding=encoding)


def watch_lines(
    context: Context, user: User, path: ResourcePath, query: Mapping[str, str], accept: str
) -> AsyncIterator[bytes]:
    """The events of a watch that comes as a WebSocket. Raises ApiError 400, 403 before the first one."""
    if verb_of("GET", path, query) != "watch":
        raise status.bad_request(f"{path.kind.resource} is not a WebSocket unless it is watched")
    asked = authorization.Attributes("watch", path.kind.group, path.kind.resource, "", path.namespace, path.name)
    authorization.check(context.registry.store, user, asked)
    return _watch_lines(context, path, query, accept)


def _watch_lines(context: Context, path: ResourcePath, query: Mapping[str, str], accept: str) -> AsyncIterator[bytes]:
    options = requests.watch_options(query)
    if version := options.selection.resource_version:
        parse_revision(version)
    options.selection.field_selector.check(path.kind)
    return _lines(context, path, options, requests.parse_accept(accept), _included(query))


def _watch(context: Context, request: Request, path: ResourcePath) -> Response:
    response = StreamingResponse(
        _watch_lines(context, path, request.query_params, request.headers.get("accept", "")),
        media_type="application/json",
        headers={"Cache-Control": "no-cache, private"},
    )
    for text in _read_warnings(path.kind):
        response.headers.append("Warning", f'299 - "{text}"')
    return response


async def _lines(
    context: Context, path: ResourcePath, options: watching.WatchOptions, accept: Accept, include: tables.IncludeObject
) -> AsyncIterator[bytes]:
    """Watch events as JSON lines. An error after the start is an ERROR event, as in Kubernetes."""
    first = True
    try:
        async for batch in watching.watch(context.registry, path.kind, path.namespace, options):
            lines = []
            for seen in batch:
                lines.append(_line(context, path.kind, seen, accept, include, first=first))
                first = False
            yield b"".join(lines)
    except status.ApiError as error:
        yield answers.json_bytes({"type": "ERROR", "object": error.status()})


def _line(
    context: Context,
    kind: Kind,
    seen: watching.Seen,
    accept: Accept,
    include: tables.IncludeObject,
    *,
    first: bool,
) -> bytes:
    event = seen.event
    shared = (kind, event.type) if seen.change is not None and accept.form == "object" else None
    if shared is not None and seen.change is not None and (known := seen.change.encoded.get(shared)):
        return known
    obj: object = event.object
    if event.type != "BOOKMARK":
        obj = conversion.from_storage(kind, event.object)
    if accept.form == "metadata":
        obj = answers.partial(event.object)
    elif accept.form == "table":
        rows = [] if event.type == "BOOKMARK" else [cast(Object, obj)]
        obj = tables.render(
            kind,
            rows,
            now_s=context.registry.clock(),
            include_object=include,
            metadata={"resourceVersion": event.object["metadata"]["resourceVersion"]},
            with_columns=first,
            version=accept.version,
        )
    line = answers.json_bytes({"type": event.type, "object": obj})
    if shared is not None and seen.change is not None:
        seen.change.encoded[shared] = line
    return line


async def _body(request: Request, kind: Kind | None = None) -> tuple[Object, list[str]]:
    """The body of a request as JSON data, and the paths of repeated fields."""
    content_type = request.headers.get("content-type", "") or "application/json"
    body = await read_limited(request)
    if content_type.startswith(_PROTOBUF):
        from labctl.api import protobuf  # kubectl create is the only client that sends it

        return protobuf.decode(body), []
    return schema.parse_body(body, content_type, kind=kind.kind if kind else "")


async def read_limited(request: Request) -> bytes:
    """The body, refused as soon as it is too large. Raises ApiError 413."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > schema.MAX_BODY_BYTES:
            text = f"Request entity too large: limit is {schema.MAX_BODY_BYTES}"
            raise status.ApiError(413, "RequestEntityTooLarge", text)
        chunks.append(chunk)
    return b"".join(chunks)


async def _delete_body(request: Request) -> Object:
    if request.headers.get("content-length") in (None, "0") and "transfer-encoding" not in request.headers:
        return {}
    try:
        body, _ = await _body(request)
    except status.ApiError as error:
        raise status.bad_request(f"couldn't get version/kind; json parse error: {error.message}") from None
    if body.get("kind", "DeleteOptions") != "DeleteOptions":
        kind, version = body["kind"], body.get("apiVersion", "v1")
        why = f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
        raise status.bad_request(why)
    try:
        return schema.decode_type("meta/v1.DeleteOptions", body).object if body else {}
    except status.ApiError as error:
        raise status.bad_request(error.message.partition("as a DeleteOptions: ")[2]) from None


async def _delete(context: Context, request: Request, path: ResourcePath) -> Response:
    options = requests.delete_options(request.query_params, await _delete_body(request))
    result = deletion.delete(context.registry, path.kind, path.namespace, path.name, options)
    return _reply(context, request, path.kind, result)


async def _delete_collection(context: Context, request: Request, path: ResourcePath) -> Response:
    options = requests.delete_options(request.query_params, await _delete_body(request))
    page = list_objects(context.registry, path.kind, path.namespace, requests.list_options(request.query_params))
    deleted = deletion.matching(context.registry, path.kind, page.items, options)
    items = [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in deleted]
    meta = {"resourceVersion": str(context.registry.store.revision)}
    return answers.answer(
        {"kind": f"{path.kind.kind}List", "apiVersion": path.kind.api_version, "metadata": meta, "items": items}
    )


async def _write(context: Context, request: Request, user: User, path: ResourcePath, verb: str) -> Response:
    _check_media_type(request, verb)
    options = requests.write_options(
        request.query_params,
        user,
        request.headers.get("user-agent", ""),
        verb=verb,
        is_apply=verb == "patch" and _media_type(request) == APPLY,
    )
    try:
        return await _written(context, request, user, path, verb, options)
    except status.ApiError as error:
        error.warnings = tuple(options.warnings)
        raise


async def _written(
    context: Context, request: Request, user: User, path: ResourcePath, verb: str, options: WriteOptions
) -> Response:
    registry, kind = context.registry, path.kind
    if verb == "patch":
        obj, is_new = await _patch(context, request, user, path, options)
        return _reply(context, request, kind, obj, code=201 if is_new else 200, warnings=options.warnings)
    if path.subresource == "scale":
        scale = _scale(context, path, verb, (await _body(request))[0] if verb == "update" else {}, options)
        return _reply(context, request, kinds.SCALE, scale, warnings=options.warnings)
    if verb == "get":
        return _reply(context, request, kind, registry.get(kind, path.namespace, path.name))
    creator = subresources.CREATORS.get(path.subresource)
    body_kind = _BODIES.get(path.subresource, kind)
    data, repeated = await _body(request, body_kind)
    if wrong := schema.kind_error(body_kind, data):
        raise wrong
    data = _without_repeats(body_kind, data, repeated, options)
    if creator is not None or kind in reviews.REVIEWS:
        requests.parse_accept(request.headers.get("accept", ""), has_forms=False)
        decoded = schema.decode(body_kind, data)
        options.check_fields(body_kind, decoded.strict_errors)
        return _answered(context, user, path, decoded.object, options)
    if verb == "create":
        obj = registry.create(kind, path.namespace, data, options)
        return _reply(context, request, kind, obj, code=201, warnings=options.warnings)
    if not isinstance(data.get("metadata") or {}, dict):
        schema.decode(kind, data)  # refuses it in the right words
    identity.check_name(data, path.name)
    if _creates(context, user, path):
        obj = registry.create(kind, path.namespace, data, options)
        return _reply(context, request, kind, obj, code=201, warnings=options.warnings)
    change = identity.replacing(kind, data)
    obj = registry.update(kind, path.namespace, path.name, change, options, subresource=path.subresource)
    return _reply(context, request, kind, obj, warnings=options.warnings)


_BODIES = {"binding": kinds.BINDING, "eviction": kinds.EVICTION, "token": kinds.TOKEN_REQUEST}


def _answered(context: Context, user: User, path: ResourcePath, data: Object, options: WriteOptions) -> Response:
    """The answer to what is posted but not stored: reviews, evictions, bindings, token requests."""
    creator = subresources.CREATORS.get(path.subresource)
    if creator is None:
        result = reviews.answer(context, user, path.kind, path.namespace, data, options=options)
    else:
        result = creator(context.registry, context.authenticator, path.namespace, path.name, data)
    return answers.answer(result, code=201, warnings=options.warnings)


def _creates(context: Context, user: User, path: ResourcePath) -> bool:
    """Whether a PUT creates an object. Whoever may update may not therefore create."""
    kind, registry = path.kind, context.registry
    if path.subresource or kind not in identity.CREATED_BY_UPDATE:
        return False
    if registry.exists(kind, path.namespace, path.name):
        return False
    asked = authorization.Attributes("create", kind.group, kind.resource, "", path.namespace, path.name)
    authorization.check(registry.store, user, asked)
    return True


_BODY_TYPES = ("application/json", "application/yaml", _PROTOBUF)


def _check_media_type(request: Request, verb: str) -> None:
    """Refuse bodies in a form that is not known; CBOR is one, as long as Kubernetes keeps it behind a gate."""
    sent = _media_type(request)
    if verb == "patch" and sent not in PATCH_TYPES:
        raise status.ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    if verb in ("create", "update") and sent and sent not in _BODY_TYPES:
        known = ", ".join(_BODY_TYPES)
        raise status.unsupported_media_type(
            f"the body of the request was in an unknown format - accepted media types include: {known}"
        )


def _without_repeats(kind: Kind, data: Object, repeated: list[str], options: WriteOptions) -> Object:
    options.check_fields(kind, schema.decode(kind, data).strict_errors if repeated else [])
    once: Object = schema.last_of_repeats(data)
    return once


def _scale(context: Context, path: ResourcePath, verb: str, body: Object, options: WriteOptions) -> Object:
    if verb == "get":
        return subresources.scale_of(context.registry.get(path.kind, path.namespace, path.name))
    if wrong := schema.kind_error(kinds.SCALE, body):
        raise wrong
    return subresources.rescale(context.registry, path.kind, path.namespace, path.name, lambda _: body, options)


async def _patch(
    context: Context, request: Request, user: User, path: ResourcePath, options: WriteOptions
) -> tuple[Object, bool]:
    """The patched object, and whether the patch (an apply) created it."""
    patch_type = _media_type(request)
    if patch_type == APPLY:
        return await _apply(context, request, user, path, options)
    patch = patching.read(await read_limited(request), patch_type)
    registry, kind = context.registry, path.kind
    if path.subresource == "scale":
        change = patching.Change(kinds.SCALE, patch, patch_type)
    else:
        change = patching.Change(kind, patch, patch_type)
    try:
        if path.subresource == "scale":
            return subresources.rescale(registry, kind, path.namespace, path.name, change, options), False
        patched = registry.update(kind, path.namespace, path.name, change, options, subresource=path.subresource)
    except status.ApiError as error:
        raise patching.refused(error, change) from None
    return patched, False


async def _apply(
    context: Context, request: Request, user: User, path: ResourcePath, options: WriteOptions
) -> tuple[Object, bool]:
    """Server-side apply. Whoever may patch may not therefore create."""
    configuration = _configuration(await read_limited(request), options)
    registry, kind = context.registry, path.kind
    if path.subresource == "scale":
        scale = subresources.apply_scale(registry, kind, path.namespace, path.name, configuration, options)
        return scale, False
    if not path.subresource and not registry.exists(kind, path.namespace, path.name):
        asked = authorization.Attributes("create", kind.group, kind.resource, "", path.namespace, path.name)
        authorization.check(registry.store, user, asked)
    return registry.apply(kind, path.namespace, path.name, configuration, options, subresource=path.subresource)


def _configuration(body: bytes, options: WriteOptions) -> object:
    """The body of an apply. Fields that occur twice are an error or a warning, as fieldValidation says."""
    try:
        value = schema.parse_value(body, APPLY)
    except status.ApiError as error:
        raise status.bad_request(f"error decoding YAML: {error.message}") from None
    if options.field_validation != "Ignore" and schema.duplicate_paths(value):
        text = schema.repeated_keys(body)
        if options.field_validation == "Strict":
            raise status.bad_request(f"error strict decoding YAML: {text}")
        options.warnings.append(text)
    return {} if value is None else schema.plain(value)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip()
