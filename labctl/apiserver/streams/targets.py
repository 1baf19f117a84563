"""Which container of which pod: the choice and the refusals of the API server (pkg/registry/core/pod/strategy.go)."""

from __future__ import annotations

from labctl.api import kinds, status
from labctl.api.objects import Object
from labctl.apiserver import authorization
from labctl.apiserver.context import Context
from labctl.apiserver.options import User
from labctl.apiserver.requests import ResourcePath
from labctl.apiserver.runtime import NodeRuntime


def pod_of(context: Context, user: User, path: ResourcePath, verb: str) -> Object:
    """The pod a stream goes into. Raises ApiError 403, 404."""
    asked = authorization.Attributes(verb, "", "pods", path.subresource, path.namespace, path.name)
    authorization.check(context.registry.store, user, asked)
    return context.registry.get(kinds.POD, path.namespace, path.name)


def stream_verb(method: str) -> str:
    """The API verb of a request for a stream. Raises ApiError 405."""
    if method not in ("GET", "POST"):
        raise status.ApiError(
            405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
        )
    return "get" if method == "GET" else "create"


def streamed_pod_of(context: Context, user: User, path: ResourcePath, verb: str) -> Object:
    """The pod of an exec, attach or port-forward, which take the right to create also when they come as GET.

    Raises ApiError 403, 404. https://issue.k8s.io/133515
    """
    pod = pod_of(context, user, path, verb)
    return pod if verb == "create" else pod_of(context, user, path, "create")


def runtime_of(context: Context, pod: Object) -> NodeRuntime:
    """The way into a pod. Raises ApiError 400, 500 when it is on no node."""
    name = pod["metadata"]["name"]
    if not pod["spec"].get("nodeName"):
        raise status.bad_request(f"pod {name} does not have a host assigned")
    if context.runtime is None:
        raise status.internal(f"pod {name} does not run: this API server was started without nodes")
    return context.runtime


def container_of(pod: Object, asked: str) -> str:
    """The container asked for, or the only one. Raises ApiError 400 in Kubernetes' words."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    main: list[str] = [c["name"] for c in spec.get("containers") or ()]
    init = [c["name"] for c in spec.get("initContainers") or ()]
    ephemeral = [c["name"] for c in spec.get("ephemeralContainers") or ()]
    if asked:
        if asked not in (*main, *init, *ephemeral):
            raise status.bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(main) == 1:
        return main[0]
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(main)}]"
    if init:
        text += f" or one of the init containers: [{' '.join(init)}]"
    if ephemeral:
        text += f" or one of the ephemeral containers: [{' '.join(ephemeral)}]"
    raise status.bad_request(text)
