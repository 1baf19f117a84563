"""From a request on a proxy subresource to what answers it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from labctl.api import kinds
from labctl.apiserver import authorization
from labctl.apiserver.context import Context
from labctl.apiserver.handlers import verb_of
from labctl.apiserver.options import User
from labctl.apiserver.proxies import locations, nodes
from labctl.apiserver.proxies.exchange import Proxied
from labctl.apiserver.proxies.locations import Location
from labctl.apiserver.proxies.rewriting import Links
from labctl.apiserver.requests import ResourcePath
from labctl.apiserver.streams import targets
from labctl.apiserver.streams.port_forward import Streams


async def respond(context: Context, request: Request, user: User, path: ResourcePath) -> Response:
    """Answer with what a pod or kubelet says. Raises ApiError 400, 403, 404, 503."""
    verb = verb_of(request.method, path, {})
    asked = authorization.Attributes(verb, "", path.kind.resource, "proxy", path.namespace, path.name)
    authorization.check(context.registry.store, user, asked)
    prefix, target = split(request.scope["raw_path"].decode("latin-1"), is_namespaced=path.kind.namespaced)
    if not target and request.method in ("GET", "HEAD"):
        query = f"?{request.url.query}" if request.url.query else ""
        return Response(status_code=301, headers={"Location": f"{prefix}/{query}"})
    if path.kind is kinds.NODE:
        return nodes.respond(context.registry, request, path.name, target)
    find = locations.of_pod if path.kind is kinds.POD else locations.of_service
    location = find(context.registry, path.namespace, path.name)
    runtime = targets.runtime_of(context, location.pod)

    async def dial(where: Location) -> Streams:
        return await runtime.dial(where.pod, where.port)

    meant = frozenset({f"{location.address}:{location.port}", request.headers.get("host", "")})
    return Proxied(request, location, target or "/", Links(prefix, meant), dial)


def split(raw_path: str, *, is_namespaced: bool) -> tuple[str, str]:
    """The path of the proxy itself, and what follows it with its slash; both as they stand in the URL."""
    parts = raw_path.split("/")
    end = 8 if is_namespaced else 6  # "", api, v1, (namespaces, NAMESPACE,) RESOURCE, NAME, proxy
    rest = parts[end:]
    return "/".join(parts[:end]), "/" + "/".join(rest) if rest else ""
