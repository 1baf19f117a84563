"""Why a URL or `host:port` does not answer, seen from a pod: the name, the Service behind it, the port."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from labctl.api.objects import Object, key_of
from labctl.errors import UsageError
from labctl.why import facts as f
from labctl.why.findings import Finding, fine, note, problem
from labctl.why.pods import explain_pod
from labctl.why.services import explain_missing_service, explain_service

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """Host and port of something a pod wants to reach."""

    host: str
    port: int

    @property
    def about(self) -> str:
        """`web:80`."""
        return f"{self.host}:{self.port}"


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


def explain_url(facts: f.Facts, target: Target, *, namespace: str, domain: str = "cluster.local") -> list[Finding]:
    """Findings about a target as a pod of `namespace` sees it."""
    dns = _dns(facts)
    if any(finding.is_problem for finding in dns):
        return dns
    service = _by_address(facts, target.host)
    if service is None and not _is_address(target.host):
        name, owner = _service_name(facts, target.host, namespace, domain)
        if not name:
            return [note(target.host, f"is no Service name of this cluster (Services end in svc.{domain})")]
        service = facts.service(owner, name)
        if service is None:
            return explain_missing_service(facts, owner, name)
    if service is None:
        return _plain_address(facts, target)
    return _port(service, target) + explain_service(facts, service)


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


def _by_address(facts: f.Facts, address: str) -> Object | None:
    return next((s for s in facts.services if address in (s["spec"].get("clusterIPs") or ())), None)


def _plain_address(facts: f.Facts, target: Target) -> list[Finding]:
    for pod in facts.pods:
        if (pod.get("status") or {}).get("podIP") == target.host:
            return explain_pod(facts, pod)
    return [problem(target.about, "no Service and no pod has this address: packets to it are dropped (a hang)",
                    fix="kubectl get svc,pods -A -o wide")]  # fmt: skip


def _port(service: Object, target: Target) -> list[Finding]:
    namespace, name = key_of(service)
    ports = service["spec"].get("ports") or ()
    if service["spec"].get("clusterIP") == "None" or service["spec"].get("type") == "ExternalName":
        return []
    if any(p["port"] == target.port for p in ports):
        return [fine(target.about, f"is port {target.port} of svc/{name} in {namespace}")]
    offered = ", ".join(str(p["port"]) for p in ports)
    return [problem(target.about, f"svc/{name} has no port {target.port} but {offered}: packets to it are dropped "
                    "(a hang with iptables, refused with nftables)",
                    fix=f"kubectl get svc {name} -n {namespace}")]  # fmt: skip
