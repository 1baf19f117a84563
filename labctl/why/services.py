"""Why a Service has no endpoints, no external address, or does not answer.

The checks follow the order of https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/: does the Service
exist, does its selector match, are the pods ready, is the port right, does anything listen, do the nodes have rules.
"""

from __future__ import annotations

from labctl.api.objects import Object, key_of
from labctl.why import commands
from labctl.why import facts as f
from labctl.why.findings import Finding, nearest, note, problem
from labctl.why.policies import explain_policies
from labctl.why.ports import explain_published
from labctl.why.reach import explain_attempts, explain_lookup
from labctl.why.selection import explain_endpoints


def explain_service(facts: f.Facts, service: Object) -> list[Finding]:
    """All findings about a Service, causes first found first."""
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return _external_name(facts, service)
    found = explain_endpoints(facts, service)
    if spec.get("type") in ("LoadBalancer", "NodePort"):
        found += explain_published(facts, service)
    found += _traffic_policy(facts, service)
    found += _nodes(facts)
    tried = explain_attempts(facts, service, is_explained=any(x.is_problem for x in found))
    if not any(x.about.startswith("netpol/") for x in tried):
        found += explain_policies(facts, facts.selected(service))
    return found + tried


def explain_missing_service(facts: f.Facts, namespace: str, name: str) -> list[Finding]:
    """Why `name` is no Service of `namespace`."""
    about = f"svc/{name}"
    known = [key_of(n).name for n in facts.namespaces]
    if namespace not in known:
        near = nearest(namespace, known)
        hint = f'; did you mean "{near}"?' if near else ""
        return [
            problem(about, f'there is no namespace "{namespace}"{hint}', fix=f"kubectl create namespace {namespace}")
        ]
    elsewhere = [key_of(s).namespace for s in facts.services if key_of(s).name == name]
    if elsewhere:
        other = elsewhere[0]
        text = f'is not in namespace "{namespace}" but in "{other}": from here its name is {name}.{other}'
        alias = f"--external-name={name}.{other}.svc.cluster.local"
        fix = f"kubectl create service externalname {name} {alias} -n {namespace}"
        return [problem(about, text, fix=fix, see=f"labctl why {name}.{other} -n {namespace}")]
    near = nearest(name, (key_of(s).name for s in facts.in_namespace(facts.services, namespace)))
    if near:
        text = f'does not exist in namespace "{namespace}"; there is "{near}"'
        return [problem(about, text, see=f"labctl why svc/{near} -n {namespace}")]
    text = f'does not exist in namespace "{namespace}": its name is NXDOMAIN'
    workloads = [key_of(d).name for d in facts.in_namespace(facts.deployments, namespace)]
    workload = name if name in workloads else nearest(name, workloads)
    if not workload:
        return [problem(about, text, see=f"kubectl get svc -n {namespace}")]
    return [problem(about, text, fix=f"kubectl expose deploy/{workload} --name={name} --port=80 -n {namespace}")]


def _external_name(facts: f.Facts, service: Object) -> list[Finding]:
    target = service["spec"].get("externalName", "")
    namespace, name = key_of(service)
    if target.replace(".", "").isdigit():
        text = (
            f'externalName "{target}" looks like an address, but is served as the name {target}. '
            "which nobody resolves; an address takes a Service without selector and hand-made Endpoints"
        )
        return [problem(f"svc/{name}", text, fix=f"kubectl delete svc {name} -n {namespace}")]
    alias = note(
        f"svc/{name}",
        f"is only a CNAME for {target}: no address, no port mapping, and HTTP servers there see the "
        "Host header of the alias",
    )
    return [alias, *explain_lookup(facts, service)]


def _traffic_policy(facts: f.Facts, service: Object) -> list[Finding]:
    spec, (namespace, name) = service["spec"], key_of(service)
    placed = {e.get("nodeName") for s in facts.slices_of(service) for e in s.get("endpoints") or ()}
    without = sorted(key_of(n).name for n in facts.nodes if key_of(n).name not in placed)
    return [
        note(
            f"svc/{name}",
            f"{field} is Local: on {', '.join(without)}, where it has no endpoint, its packets are dropped (a hang)",
            fix=commands.merge_patch("svc", name, namespace, **{field: "Cluster"}),
        )
        for field in ("internalTrafficPolicy", "externalTrafficPolicy")
        if spec.get(field) == "Local" and without
    ]


def _nodes(facts: f.Facts) -> list[Finding]:
    return [
        problem(
            f"node/{key_of(n).name}",
            "is not Ready: its rules may be stale, and its pods are not reached",
            fix="labctl up",
        )
        for n in facts.nodes
        if f.condition(n, "Ready").get("status") not in ("True", None)
    ]
