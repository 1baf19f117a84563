"""exec, attach and port-forward for clients that ask with `Upgrade: SPDY/3.1` (before 1.31, and wherever WebSockets fail)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from labctl.apiserver.context import Context
from labctl.apiserver.options import User
from labctl.apiserver.requests import ResourcePath
from labctl.apiserver.streams import remote_command, targets, upgrade
from labctl.apiserver.streams.port_forward import PROTOCOL, PortForward
from labctl.apiserver.streams.remote_command import RemoteCommand

_HEADER = "X-Stream-Protocol-Version"
SUBRESOURCES = ("exec", "attach", "portforward")


async def respond(context: Context, request: Request, user: User, path: ResourcePath) -> Response:
    """The answer that upgrades the connection. Raises ApiError 400, 403, 404, 405, 500 before anything is sent."""
    verb = targets.stream_verb(request.method)
    if path.subresource == "portforward":
        pod = targets.streamed_pod_of(context, user, path, verb)
        runtime = targets.runtime_of(context, pod)
        taken = upgrade.of(request)
        protocol = upgrade.negotiate(request, (PROTOCOL,))
        forward = PortForward(pod["metadata"]["uid"], lambda port: runtime.dial(pod, port))
        return upgrade.Takeover(taken, [(_HEADER, protocol)], forward.serve)
    targets.streamed_pod_of(context, user, path, verb)
    taken = upgrade.of(request)
    protocol = upgrade.negotiate(request, remote_command.PROTOCOLS)
    process = await remote_command.begin(context, user, path, request.query_params, verb=verb)
    wanted = remote_command.asked(request.query_params).streams(protocol)
    return upgrade.Takeover(taken, [(_HEADER, protocol)], RemoteCommand(process, wanted, protocol).serve)
