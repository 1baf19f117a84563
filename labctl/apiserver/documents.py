"""What the API server says about itself: version, health, discovery, OpenAPI."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from labctl.api import discovery, kinds, openapi, status
from labctl.api.objects import Object
from labctl.apiserver import answers
from labctl.apiserver.authentication import ISSUER
from labctl.apiserver.context import Context

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_HEALTH = ("healthz", "livez", "readyz")
_OPENID, _KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"
# https://openid.net/specs/openid-connect-discovery-1_0.html: how others check ServiceAccount tokens
_OPENID_CONFIGURATION = {
    "issuer": ISSUER,
    "jwks_uri": "",
    "response_types_supported": ["id_token"],
    "subject_types_supported": ["public"],
    "id_token_signing_alg_values_supported": ["RS256"],
}
_DEEPEST = 3  # slashes in the path of a document
_CHECKS = ("", "ping", "log", "etcd")


def respond(context: Context, request: Request, path: str) -> Response:
    """Answer a GET on a path that is no resource. Raises ApiError 404, 405."""
    path = path.rstrip("/") or "/"
    if request.method not in ("GET", "HEAD") and path.count("/") <= _DEEPEST:
        raise status.ApiError(
            405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
        )
    if path == _OPENID:
        return _cached(
            {**_OPENID_CONFIGURATION, "jwks_uri": f"https://{context.server_address}{_KEYS}"}, "application/json"
        )
    if path == _KEYS:
        return _cached(context.authenticator.key.public(), "application/jwk-set+json")
    if path == "/version":
        return answers.answer(discovery.version())
    first, _, check = path.strip("/").partition("/")
    if first in _HEALTH and check in _CHECKS:
        verbose = "verbose" in request.query_params
        return PlainTextResponse(f"[+]ping ok\n{first} check passed\n" if verbose else "ok")
    if path == "/metrics":
        from labctl.apiserver import metrics  # few ask for it

        return Response(metrics.render(context.registry.store), headers={"Content-Type": metrics.MEDIA_TYPE})
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
    if parts[0] == "api" or (parts[0] == "apis" and len(parts) > 1 and parts[1] in kinds.group_versions()):
        raise status.ApiError(404, "NotFound", "the server could not find the requested resource", {})
    return _not_found()


def _cached(document: Object, media_type: str) -> Response:
    return Response(orjson.dumps(document), media_type=media_type, headers={"Cache-Control": "public, max-age=3600"})


def _not_found() -> Response:
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
    if not path.startswith("/openapi/v3/"):
        return _not_found()
    group_version = path.removeprefix("/openapi/v3/").removeprefix("apis/").removeprefix("api/")
    try:
        return Response(openapi.v3_document(group_version), media_type="application/json")
    except LookupError:
        return Response(status_code=404)
