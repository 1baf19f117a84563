"""nodes/NAME/proxy: the few documents of a kubelet that exist here."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from labctl.api import kinds, status
from labctl.api.objects import Object
from labctl.apiserver import answers
from labctl.apiserver.proxies.locations import parse_target
from labctl.apiserver.registry import Registry

_NOT_MEASURED = ("/metrics", "/stats")


def respond(registry: Registry, request: Request, text: str, target: str) -> Response:
    """The answer of a node's kubelet to `target`. Raises ApiError 400, 404, 405."""
    parsed = parse_target(text)
    if parsed is None:
        raise status.bad_request(f'invalid node request "{text}"')
    name = registry.get(kinds.NODE, "", parsed.name)["metadata"]["name"]
    if request.method not in ("GET", "HEAD"):
        raise status.ApiError(405, "MethodNotAllowed", "405: Method Not Allowed")
    if target == "/healthz":
        return PlainTextResponse("ok")
    if target in ("/pods", "/pods/"):
        return answers.answer(pod_list(registry, name))
    if target.startswith(_NOT_MEASURED):
        raise status.ApiError(404, "NotFound", f"labctl's kubelets measure nothing: {target} is not served")
    return PlainTextResponse("404 page not found\n", status_code=404)


def pod_list(registry: Registry, node: str) -> Object:
    """The pods of a node, as its kubelet lists them."""
    pods = [p for p in registry.store.items(kinds.POD.group_resource) if p["spec"].get("nodeName") == node]
    items = [{k: v for k, v in pod.items() if k not in ("kind", "apiVersion")} for pod in pods]
    return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}
