"""How an answer is written: compact JSON, JSON for people to read, or YAML.

Answers are made as compact JSON, which is what programs ask for; the few that go to people (curl, browsers) or to clients
of YAML are written anew from it. Watches always are lines of JSON, proxied answers and OpenAPI documents stay as they are.
"""

from __future__ import annotations

import gzip

import orjson
from starlette.requests import Request
from starlette.responses import Response

from labctl.api import status
from labctl.apiserver import requests

_JSON = "application/json"
_PEOPLE = ("curl", "Wget", "Mozilla/5.0")
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_ALWAYS_INDENTED = ("/", "/version")


def is_pretty(request: Request) -> bool:
    """Whether JSON is to be indented: `?pretty=`, or without it for browsers and HTTP tools of the command line."""
    if wanted := request.query_params.get("pretty"):
        return wanted in _TRUE
    path = request.url.path.rstrip("/") or "/"
    return path in _ALWAYS_INDENTED or request.headers.get("user-agent", "").startswith(_PEOPLE)


def wants_yaml(request: Request) -> bool:
    """Whether YAML is what the client would rather have."""
    try:
        return requests.parse_accept(request.headers.get("accept", "")).yaml
    except status.ApiError:  # what cannot be written as asked is refused in JSON
        return False


def rewrite(request: Request, response: Response) -> Response:
    """The answer in the form its client asked for. Changes the response."""
    as_yaml, pretty = wants_yaml(request), is_pretty(request)
    if not (as_yaml or pretty) or not _is_ours(request, response):
        return response
    if as_yaml and request.url.path not in _ALWAYS_INDENTED:
        _replace(response, _yaml(_plain(response)))
        response.headers["Content-Type"] = "application/yaml"
    elif pretty:
        _replace(response, orjson.dumps(orjson.loads(_plain(response)), option=orjson.OPT_INDENT_2))
    return response


def _is_ours(request: Request, response: Response) -> bool:
    """Whether we made this JSON, and as a whole: watches and what comes through proxies have no body here."""
    is_json = response.headers.get("content-type", "").partition(";")[0] == _JSON
    if not is_json or not getattr(response, "body", None) or request.url.path.startswith("/openapi/"):
        return False
    resource = requests.parse_path(request.url.path)
    return resource is None or resource.subresource != "proxy"


def _plain(response: Response) -> bytes:
    body = bytes(response.body)
    return gzip.decompress(body) if "content-encoding" in response.headers else body


def _replace(response: Response, body: bytes) -> None:
    response.body = gzip.compress(body, 1) if "content-encoding" in response.headers else body
    response.headers["Content-Length"] = str(len(response.body))


def _yaml(body: bytes) -> bytes:
    import yaml  # few ask for it

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump(orjson.loads(body), Dumper=dumper, sort_keys=True, width=1 << 30, allow_unicode=True)
    return str(text).encode()
