"""UDP flows that lead to endpoints which are gone.

TCP notices by itself; a UDP client that keeps sending from one port renews its conntrack entry forever, and packets go on
to the old endpoint, or to none at all if the flow began before there was one. So entries of a Service's addresses whose
reply would not come from one of its serving endpoints are deleted (pkg/proxy/conntrack/cleanup.go of Kubernetes 1.36).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labctl.proxy.model import ServicePort
from labctl.proxy.runner import CommandFailed, Runner

_LOG = logging.getLogger(__name__)

Target = tuple[str, int]
"""Address and port."""


@dataclass(frozen=True, slots=True, order=True)
class Flow:
    """What a client asked for, and who would answer."""

    destination: Target
    answering: Target


def stale_flows(listed: str, ports: Iterable[ServicePort]) -> list[Flow]:
    """Flows in a `conntrack -L -p udp` text that no serving endpoint of their Service answers.

    A Service without any serving endpoint is left alone, as kube-proxy leaves it.
    """
    by_address, by_node_port = _serving(ports)
    found = set()
    for flow in map(_flow, listed.splitlines()):
        if flow is None:
            continue
        serving = by_address.get(flow.destination, by_node_port.get(flow.destination[1]))
        if serving is not None and flow.answering not in serving:
            found.add(flow)
    return sorted(found)


async def forget_stale(run: Runner, ports: Iterable[ServicePort]) -> None:
    """Delete the stale flows of some service ports. A failure is logged: rules matter more."""
    udp = [p for p in ports if p.protocol == "udp"]
    if not udp:
        return
    try:
        for flow in stale_flows(await run("conntrack", "-L", "-p", "udp"), udp):
            await run("conntrack", "-D", "-p", "udp", *_match(flow))
    except CommandFailed as error:
        if "0 flow entries" not in error.stderr:  # it ended by itself in between
            _LOG.warning("stale UDP flows were not deleted: %s", error)


def _match(flow: Flow) -> tuple[str, ...]:
    (address, port), (replier, reply_port) = flow.destination, flow.answering
    wanted = ("--orig-dst", address, "--orig-port-dst", str(port))
    return (*wanted, "--reply-src", replier, "--reply-port-src", str(reply_port))


def _serving(ports: Iterable[ServicePort]) -> tuple[Mapping[Target, set[Target]], Mapping[int, set[Target]]]:
    """Serving endpoints by Service address and port, and by NodePort."""
    by_address: dict[Target, set[Target]] = {}
    by_node_port: dict[int, set[Target]] = {}
    for port in ports:
        serving = {(e.ip, e.port) for e in port.endpoints if e.serving}
        if not serving:
            continue
        for address in (port.cluster_ip, *port.load_balancer_ips, *port.external_ips):
            by_address[address, port.port] = serving
        if port.node_port:
            by_node_port[port.node_port] = serving
    return by_address, by_node_port


def _flow(line: str) -> Flow | None:
    """`udp 17 29 src=A dst=B sport=1 dport=2 [UNREPLIED] src=C dst=D sport=3 dport=4 …`: both directions have the same keys."""
    words = [word.split("=", 1) for word in line.split() if "=" in word]
    try:
        destination = next(v for k, v in words if k == "dst"), int(next(v for k, v in words if k == "dport"))
        answering = [v for k, v in words if k == "src"][1], int([v for k, v in words if k == "sport"][1])
    except (StopIteration, IndexError, ValueError):
        return None
    return Flow(destination, answering)
