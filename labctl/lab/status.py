"""`labctl status`: every part of a lab and whether it works. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import labctl
from labctl.api.objects import Object
from labctl.lab import engine, leftovers, proxy_mode, readiness, record
from labctl.lab.leftovers import Found
from labctl.lab.paths import checked_name, command, context_of
from labctl.lab.record import Record

if TYPE_CHECKING:
    import docker


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a lab: what it is, whether it works, and a few words on it."""

    name: str
    works: bool
    detail: str


@dataclass(frozen=True, slots=True)
class LabStatus:
    """A lab as a whole. `exists` is false when neither a record nor anything in Docker is there."""

    name: str
    exists: bool
    context: str
    parts: tuple[Part, ...]

    @property
    def works(self) -> bool:
        """Whether every part works."""
        return self.exists and all(part.works for part in self.parts)


def status(name: str) -> LabStatus:
    """Look at every part of a lab. Raises LabctlError when Docker cannot be asked."""
    lab = record.load(checked_name(name))
    client = engine.connect(timeout_s=10)
    found = leftovers.find(client, name)
    if lab is None:
        parts = [Part(c.name, False, f"left over: {command('down', name)} removes it") for c in found.containers]
        return LabStatus(name, bool(found), context_of(name), tuple(parts))
    return LabStatus(name, True, context_of(name), tuple(_parts(client, lab, found)))


def _parts(client: docker.DockerClient, lab: Record, found: Found) -> Iterator[Part]:
    config = lab.config
    missing = readiness.api_missing(lab)
    yield _container(config.name, found, "control-plane", "control-plane", missing, lab.server)
    nodes = {n["metadata"]["name"]: n for n in readiness.ask(lab, "/api/v1/nodes").body.get("items") or ()}
    for node in config.nodes:
        ready = readiness.conditions(nodes.get(node.name, {})).get("Ready")
        problem = "" if ready == "True" else f"Ready is {ready or 'unknown'}"
        detail = f"{_both(node.address, node.address6)} on the LAN, pods {_both(node.pod_cidr, node.pod_cidr6)}"
        yield _container(config.name, found, node.name, "node", problem, detail)
    problem = readiness.dns_missing(client, lab, lookups=3)
    yield Part("DNS", not problem, problem or f"{config.dns_address} answers pods")
    networks = {
        config.lan_network: _both(config.lan_cidr, config.lan_cidr6),
        config.pods_network: _both(config.pod_cidr, config.pod_cidr6),
    }
    for network, ranges in networks.items():
        there = network in found.networks
        yield Part(
            f"network {network}", there, ranges if there else f"missing: {command('up', config.name)} makes it again"
        )
    services = _both(config.service_cidr, config.service_cidr6)
    yield Part("services", True, f"{services}, {proxy_mode.present(lab)} rules on every node")
    yield from _load_balancers(lab)
    yield _pods(lab)
    yield Part("versions", True, _versions(client, lab))


def _both(ipv4: str, ipv6: str) -> str:
    """What a lab has in each family."""
    return f"{ipv4} and {ipv6}" if ipv6 else ipv4


def _container(lab: str, found: Found, name: str, role: str, problem: str, detail: str) -> Part:
    """A fixed container: it has to run, and what it serves has to work."""
    states = [c.state for c in found.with_role(role) if c.name.endswith(f"-{name}")]
    if not states:
        return Part(name, False, f"no container: {command('up', lab)} makes it again")
    if states[0] != "running":
        return Part(name, False, f"the container is {states[0]}: {command('up', lab)} starts it")
    return Part(name, not problem, problem or detail)


def _load_balancers(lab: Record) -> Iterator[Part]:
    for service in readiness.ask(lab, "/api/v1/services").body.get("items") or ():
        if service["spec"].get("type") != "LoadBalancer":
            continue
        meta, ports = service["metadata"], service["spec"].get("ports") or ()
        published = bool(service.get("status", {}).get("loadBalancer", {}).get("ingress"))
        shown = ", ".join(f"localhost:{port['port']}" for port in ports)
        detail = shown if published else f"{shown} is pending: kubectl describe svc {meta['name']}"
        yield Part(f"load balancer {meta['namespace']}/{meta['name']}", published, detail)


def _pods(lab: Record) -> Part:
    pods: list[Object] = readiness.ask(lab, "/api/v1/pods").body.get("items") or []
    ready = sum(readiness.conditions(pod).get("Ready") == "True" for pod in pods)
    return Part("pods", True, f"{ready} of {len(pods)} Ready")


def _versions(client: docker.DockerClient, lab: Record) -> str:
    server = readiness.ask(lab, "/version").body.get("gitVersion", "unknown")
    engine_version = client.api.version(api_version=False).get("Version", "unknown")
    return f"labctl {labctl.__version__}, Kubernetes API {server}, Docker {engine_version}"
