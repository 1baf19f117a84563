"""Answers in the form a client asked for: objects, lists, Tables, PartialObjectMetadata; Status for what went wrong."""

from __future__ import annotations

import gzip
from collections.abc import Iterable

import orjson
from starlette.responses import PlainTextResponse, Response

from labctl.api import conversion, kinds, tables
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.status import ApiError, KubeletError
from labctl.apiserver.listing import Page
from labctl.apiserver.requests import Accept

_GZIP_FROM_BYTES = 128 * 1024
_PARTIAL = "meta.k8s.io/v1"


def json_bytes(data: object) -> bytes:
    """JSON as Go's encoder ends it, with a newline."""
    return orjson.dumps(data) + b"\n"


def answer(data: object, *, code: int = 200, warnings: Iterable[str] = (), accept_encoding: str = "") -> Response:
    """A JSON answer with Warning headers; large ones are compressed when the client takes that."""
    body = json_bytes(data)
    headers = {"Cache-Control": "no-cache, private"}
    if len(body) >= _GZIP_FROM_BYTES and "gzip" in accept_encoding:
        body = gzip.compress(body, 1)
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    response = Response(body, status_code=code, media_type="application/json", headers=headers)
    for text in dict.fromkeys(warnings):
        response.raw_headers.append((b"warning", _warning(text)))
    return response


def _warning(text: str) -> bytes:
    """A Warning header. It goes out as UTF-8, without control characters, as net.NewWarningHeader has it."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{quoted}"'.encode(errors="replace")


def failure(error: ApiError, warnings: Iterable[str] = ()) -> Response:
    """A Status with its HTTP code; a kubelet's refusal as the kubelet words it."""
    if isinstance(error, KubeletError):
        return PlainTextResponse(error.message, error.code)
    response = answer(error.status(), code=error.code, warnings=[*warnings, *error.warnings])
    if error.code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="kubernetes-master"'
    if error.details and error.details.get("retryAfterSeconds"):
        response.headers["Retry-After"] = str(error.details["retryAfterSeconds"])
    return response


def of_object(kind: Kind, obj: Object, accept: Accept, *, now_s: float, include: tables.IncludeObject) -> object:
    """One object in the form asked for; a Status stays what it is."""
    if obj.get("kind") == "Status":
        return obj
    if obj.get("kind") == kinds.SCALE.kind:  # of whatever kind the parent is
        kind = kinds.SCALE
    shown = conversion.from_storage(kind, obj)
    if accept.form == "table":
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return tables.render(kind, [shown], now_s=now_s, include_object=include, metadata=meta, version=accept.version)
    return partial(shown) if accept.form == "metadata" else shown


def of_list(kind: Kind, page: Page, accept: Accept, *, now_s: float, include: tables.IncludeObject) -> object:
    """A list in the form asked for."""
    shown = [conversion.from_storage(kind, o) for o in page.items]
    if accept.form == "table":
        meta = page.metadata()
        return tables.render(kind, shown, now_s=now_s, include_object=include, metadata=meta, version=accept.version)
    if accept.form == "metadata":
        items = [partial(o) for o in shown]
        return {
            "kind": "PartialObjectMetadataList",
            "apiVersion": _PARTIAL,
            "metadata": page.metadata(),
            "items": items,
        }
    items = [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in shown]
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": page.metadata(), "items": items}


def partial(obj: Object) -> Object:
    """The PartialObjectMetadata of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": _PARTIAL, "metadata": obj["metadata"]}
