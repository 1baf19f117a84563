"""Why a URL or `host:port` does not answer, seen from a pod: the name, the Service behind it, the port."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from labctl.api.objects import Object, key_of
from labctl.errors import UsageError
from labctl.proxy.family import with_port
from labctl.why import commands
from labctl.why import facts as f
from labctl.why.findings import Finding, fine, note, problem
from labctl.why.pods import explain_pod
from labctl.why.policies import explain_blocked
from labctl.why.ports import is_host
from labctl.why.services import explain_missing_service, explain_service

DNS = 53
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """Host and port of something a pod wants to reach."""

    host: str
    port: int

    @property
    def about(self) -> str:
        """`web:80`."""
        return with_port(self.host, self.port)


def parse_target(text: str) -> Target:
    """`http://web/path`, `web:8080` or `web` (port 80) as a Target."""
    url = urlsplit(text if "://" in text else f"//{text}", scheme="http")
    try:
        port = url.port or _PORTS.get(url.scheme)
    except ValueError as error:
        raise UsageError(f'"{text}" has no usable port: {error}') from error
    if not url.hostname or port is None:
        raise UsageError(f'"{text}" is neither a URL nor HOST:PORT', hint="for example http://numbers-api/rng")
    return Target(url.hostname, port)


@dataclass(frozen=True, slots=True)
class Aim:
    """What a target means to who asks: a Service, a pod, or neither; where to connect, and what was found on the way."""

    service: Object | None = None
    pod: Object | None = None
    connect: tuple[str, int] | None = None
    findings: tuple[Finding, ...] = ()


def aim(facts: f.Facts, target: Target, *, namespace: str, domain: str = "cluster.local") -> Aim:
    """Find what a target is for a pod of `namespace`, or, where it is the host's own address, for the host."""
    if is_host(target.host):
        return _at_host(facts, target)
    if _is_address(target.host):
        return _at_address(facts, target)
    dns = _dns(facts)
    if any(finding.is_problem for finding in dns):
        return Aim(findings=tuple(dns))
    name, owner = _service_name(facts, target.host, namespace, domain)
    outside = note(target.host, f"is no Service name of this cluster (Services end in svc.{domain})")
    if not name:
        return Aim(connect=(target.host, target.port), findings=(outside,))
    service = facts.service(owner, name)
    if service is None:
        return Aim(findings=tuple(explain_missing_service(facts, owner, name)))
    return Aim(service, None, (target.host, target.port), tuple(_port(service, target)))


def explain_url(facts: f.Facts, target: Target, *, namespace: str, domain: str = "cluster.local") -> list[Finding]:
    """Findings about a target as a pod of `namespace` sees it."""
    found = aim(facts, target, namespace=namespace, domain=domain)
    findings = [*found.findings, *_dns_blocked(facts, target)]
    if found.service is not None:
        findings += explain_service(facts, found.service)
    elif found.pod is not None:
        findings += explain_pod(facts, found.pod)
    attempt = facts.seen.attempts.get(found.connect) if found.connect else None
    return findings + _attempted(facts, found, target, attempt, is_explained=any(x.is_problem for x in findings))


def _attempted(
    facts: f.Facts, found: Aim, target: Target, attempt: f.Attempt | None, *, is_explained: bool
) -> list[Finding]:
    if attempt is None:
        return []
    who = f"pod/{key_of(facts.seen.source).name}" if facts.seen.source and not is_host(target.host) else "this machine"
    at = f" ({attempt.address})" if attempt.address not in ("", target.host) else ""
    if attempt.is_answered:
        return [fine(target.about, f"answers {who}{at} in {attempt.took_ms} ms")]
    if is_explained:
        return []
    if (
        found.pod is not None
        and facts.seen.source
        and (blocked := explain_blocked(facts, facts.seen.source, target.host, found.pod, target.port))
    ):
        return blocked
    fix = "labctl up --dns-upstream host" if attempt.error == f.Attempt.UNRESOLVED and "." in target.host else ""
    return [problem(target.about, f"tried from {who}: {attempt.error}{at}", fix=fix)]


def _dns_blocked(facts: f.Facts, target: Target) -> list[Finding]:
    """A policy that keeps the asking pod from DNS; the usual surprise of a policy for Egress."""
    service, source = facts.service("kube-system", "kube-dns"), facts.seen.source
    if service is None or source is None or _is_address(target.host) or is_host(target.host):
        return []
    for pod in facts.selected(service):
        blocked = explain_blocked(facts, source, str(pod["status"].get("podIP")), pod, DNS, protocol="UDP")
        if blocked:
            return [replace(x, text=f"keeps the pod from DNS, so no name resolves: {x.text}") for x in blocked]
    return []


def _dns(facts: f.Facts) -> list[Finding]:
    service = facts.service("kube-system", "kube-dns")
    if service is None:
        return [problem("svc/kube-dns", "does not exist in kube-system: no name resolves in any pod", fix="labctl up")]
    ready = [e for s in facts.slices_of(service) for e in s.get("endpoints") or () if e["conditions"].get("ready")]
    if ready:
        return []
    pods = [p for p in facts.pods if f.matches(service["spec"].get("selector"), f.labels_of(p))]
    causes = [x for p in pods for x in explain_pod(facts, p)]
    replicas = "kubectl scale deploy/coredns --replicas=1 -n kube-system"
    return [problem("svc/kube-dns", "has no ready endpoint: no name resolves in any pod", fix=replicas), *causes]


def _service_name(facts: f.Facts, host: str, namespace: str, domain: str) -> tuple[str, str]:
    """Service and namespace that a host name stands for under a pod's search list, or empty names."""
    labels = host.removesuffix(".").removesuffix(f".{domain}").removesuffix(".svc").split(".")
    if len(labels) == 1:
        return labels[0], namespace
    known = {key_of(n).name for n in facts.namespaces}
    if len(labels) == 2 and (labels[1] in known or host.endswith((".svc", f".svc.{domain}"))):
        return labels[0], labels[1]
    if len(labels) == 3 and host.endswith(domain):  # pod.service.namespace of a headless Service
        return labels[1], labels[2]
    return "", ""


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _at_address(facts: f.Facts, target: Target) -> Aim:
    connect = (target.host, target.port)
    service = _by_address(facts, target.host)
    if service is not None:
        return Aim(service, None, connect, tuple(_port(service, target)))
    if (pod := facts.pod_at(target.host)) is not None:
        return Aim(None, pod, connect)
    node = next((n for n in facts.nodes if target.host in _addresses(n)), None)
    if node is not None:
        return _at_node(facts, target, f"node/{key_of(node).name}")
    text = "no Service and no pod has this address: packets to it are dropped (a hang)"
    lost = problem(target.about, text, see="kubectl get svc,pods -A -o wide")
    return Aim(connect=connect, findings=(lost,))


def _addresses(node: Object) -> list[str]:
    return [a["address"] for a in (node.get("status") or {}).get("addresses") or ()]


def _by_address(facts: f.Facts, address: str) -> Object | None:
    def has(service: Object) -> bool:
        return address in (*(service["spec"].get("clusterIPs") or ()), *(service["spec"].get("externalIPs") or ()))

    return next((s for s in facts.services if has(s)), None)


def _at_node(facts: f.Facts, target: Target, about: str) -> Aim:
    """A node's port: a NodePort, or nothing."""
    service = _with_node_port(facts, target.port)
    if service is not None:
        said = fine(target.about, f"is a nodePort of svc/{key_of(service).name} in {key_of(service).namespace}")
        return Aim(service, None, (target.host, target.port), (said,))
    there = sorted(f"{p['nodePort']} (svc/{key_of(s).name})" for s, p in _ports(facts) if p.get("nodePort"))
    text = f"{about} has no nodePort {target.port}, but {', '.join(there) or 'none at all'}"
    return Aim(findings=(problem(target.about, text, see="kubectl get svc -A"),))


def _at_host(facts: f.Facts, target: Target) -> Aim:
    """A port of the host: a load balancer's, a nodePort, or nothing of the lab."""
    balancer = next((s for s, p in _ports(facts) if _is_balancer(s) and p["port"] == target.port), None)
    service = balancer or _with_node_port(facts, target.port)
    if service is not None:
        (namespace, name), what = key_of(service), "port" if balancer else "nodePort"
        said = fine(target.about, f"is a {what} of svc/{name} in {namespace}")
        return Aim(service, None, (target.host, target.port), (said,))
    there = [f"{p['port']} (svc/{key_of(s).name})" for s, p in _ports(facts) if _is_balancer(s)]
    there += [f"{p['nodePort']} (svc/{key_of(s).name})" for s, p in _ports(facts) if p.get("nodePort")]
    text = f"no LoadBalancer or NodePort Service has port {target.port} of this machine"
    inner = next((s for s, p in _ports(facts) if p["port"] == target.port), None)
    if inner is not None and not there:
        namespace, name = key_of(inner)
        fix = commands.merge_patch("svc", name, namespace, type="LoadBalancer")
        text += f"; svc/{name} has it, but is a {inner['spec'].get('type', 'ClusterIP')}, for pods only"
        return Aim(findings=(problem(target.about, text, fix=fix),))
    text += f"; there are {', '.join(there)}" if there else ""
    return Aim(findings=(problem(target.about, text, see="kubectl get svc -A"),))


def _ports(facts: f.Facts) -> Iterator[tuple[Object, dict[str, Any]]]:
    return ((s, p) for s in facts.services for p in s["spec"].get("ports") or ())


def _is_balancer(service: Object) -> bool:
    return bool(service["spec"].get("type") == "LoadBalancer")


def _with_node_port(facts: f.Facts, port: int) -> Object | None:
    return next((s for s, p in _ports(facts) if p.get("nodePort") == port), None)


def _port(service: Object, target: Target) -> list[Finding]:
    namespace, name = key_of(service)
    ports = service["spec"].get("ports") or ()
    if service["spec"].get("clusterIP") == "None" or service["spec"].get("type") == "ExternalName":
        return []
    if any(p["port"] == target.port for p in ports):
        return [fine(target.about, f"is port {target.port} of svc/{name} in {namespace}")]
    offered = ", ".join(str(p["port"]) for p in ports)
    text = f"svc/{name} has no port {target.port} but {offered}: packets to it are dropped "
    text += "(a hang with iptables, refused with nftables)"
    fix = commands.json_patch("svc", name, namespace, "/spec/ports/0/port", target.port) if len(ports) == 1 else ""
    return [problem(target.about, text, fix=fix, see=f"kubectl get svc {name} -n {namespace}")]
