"""What real connections tell: who was tried from where, and why it was refused, not resolved, or silent."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.api.objects import Object, key_of
from labctl.proxy.family import with_port
from labctl.why import commands
from labctl.why import facts as f
from labctl.why.findings import Finding, fine, nearest, problem
from labctl.why.policies import explain_blocked

_MOST = 4
_DOMAIN = "svc.cluster.local"


def targets(facts: f.Facts, service: Object) -> list[tuple[str, int]]:
    """Where to try to connect for a Service: its own address, then its endpoints; for an alias its name (port 0)."""
    namespace, name = key_of(service)
    if service["spec"].get("type") == "ExternalName":
        return [(f"{name}.{namespace}.{_DOMAIN}", 0)]
    if not facts.ready_addresses(service):
        return []
    return [*_own(service), *list(_endpoints(facts, service))[:_MOST]]


def _own(service: Object) -> list[tuple[str, int]]:
    spec = service["spec"]
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP", "None")]
    tcp = [p["port"] for p in spec.get("ports") or () if p.get("protocol", "TCP") == "TCP"]
    return [(address, port) for address in addresses if address != "None" for port in tcp]


def _endpoints(facts: f.Facts, service: Object) -> Iterator[tuple[str, int]]:
    ready = set(facts.ready_addresses(service))
    for slice_ in facts.slices_of(service):
        for endpoint in slice_.get("endpoints") or ():
            for port in slice_.get("ports") or ():
                if port.get("protocol", "TCP") == "TCP" and port.get("port"):
                    yield from ((a, port["port"]) for a in endpoint["addresses"] if a in ready)


def explain_attempts(facts: f.Facts, service: Object, *, is_explained: bool) -> list[Finding]:
    """What came of trying a Service. `is_explained`: a cause is known already, refusals need none."""
    namespace, name = key_of(service)
    own = [a for target in _own(service) if (a := facts.seen.attempts.get(target))]
    behind = [a for target in _endpoints(facts, service) if (a := facts.seen.attempts.get(target))]
    who = _source(facts)
    found = [fine(f"svc/{name}", _answered(a, who)) for a in own if a.is_answered]
    causes = list(dict.fromkeys(x for a in behind if not a.is_answered for x in _endpoint(facts, service, a)))
    if is_explained:
        causes = [x for x in causes if x.about.startswith("netpol/")]
    failed = [a for a in own if not a.is_answered]
    if failed and not causes and not is_explained:
        at = with_port(failed[0].host, failed[0].port)
        text = (
            f"{at}, tried from {who}: {failed[0].error}, although its endpoints answer: the rules of the nodes are not "
            "what they should be, or its traffic policy is Local"
        )
        causes = [problem(f"svc/{name}", text, fix="labctl up", see=f"labctl rules svc/{name} -n {namespace}")]
    return found + causes


def _answered(attempt: f.Attempt, who: str) -> str:
    return f"{with_port(attempt.host, attempt.port)} answers {who} in {attempt.took_ms} ms"


def _source(facts: f.Facts) -> str:
    return f"pod/{key_of(facts.seen.source).name}" if facts.seen.source else "nowhere"


def _endpoint(facts: f.Facts, service: Object, attempt: f.Attempt) -> list[Finding]:
    (namespace, name), pod = key_of(service), facts.pod_at(attempt.host)
    at, who = with_port(attempt.host, attempt.port), _source(facts)
    source = facts.seen.source
    if source is not None and attempt.error != f.Attempt.REFUSED:
        blocked = explain_blocked(facts, source, attempt.host, pod, attempt.port)
        if blocked:
            return blocked
    if pod is not None:
        what = f"pod {key_of(pod).name}"
        see = commands.logs(pod, pod["spec"]["containers"][0]["name"])
        return [problem(f"svc/{name}", f"its endpoint {at} ({what}), tried from {who}: {attempt.error}", see=see)]
    cause = (
        "nothing listens there"
        if attempt.error == f.Attempt.REFUSED
        else "no host has this address, or it drops packets (a hang)"
    )
    fix = commands.json_patch(
        "endpoints", name, namespace, "/subsets/0/addresses", [{"ip": "ADDRESS"}]
    )  # only who wrote the address knows the right one
    if attempt.error == f.Attempt.REFUSED:
        fix = commands.json_patch("endpoints", name, namespace, "/subsets/0/ports/0/port", "PORT").replace(
            '"PORT"', "PORT"
        )
    text = f"its endpoint {at}, written by hand, tried from {who}: {attempt.error}; {cause}"
    return [problem(f"svc/{name}", text, fix=fix, see=f"kubectl get endpoints {name} -n {namespace} -o yaml")]


def explain_lookup(facts: f.Facts, service: Object) -> list[Finding]:
    """Whether the name behind an ExternalName Service resolves."""
    (namespace, name), target = key_of(service), service["spec"].get("externalName", "")
    (attempt,) = [facts.seen.attempts.get(t) for t in targets(facts, service)]
    if attempt is None:
        return []
    if attempt.is_answered:
        return [fine(f"svc/{name}", f"{target} resolves to {attempt.address} for {_source(facts)}")]
    meant = _name_meant(facts, target)
    text = f"{target} does not resolve for {_source(facts)}, so {name} does not either"
    text += f'; there is "{meant}"' if meant else _outside(target)
    fix = commands.merge_patch("svc", name, namespace, externalName=meant or "NAME")
    return [problem(f"svc/{name}", text, fix=fix, see=f"labctl trace POD -n {namespace} -- nslookup {target}")]


def _outside(target: str) -> str:
    if target.endswith(".cluster.local"):
        return ": no Service has this name"
    return ": no such name, or the lab asks no resolver outside (labctl up --dns-upstream host)"


def _name_meant(facts: f.Facts, target: str) -> str:
    """The Service that a misspelt name of the cluster stands for."""
    known = [
        ".".join([*reversed(key_of(s)), _DOMAIN]) for s in facts.services if s["spec"].get("type") != "ExternalName"
    ]
    return nearest(target, known) if target.endswith(".cluster.local") or ".svc" in target else ""
