"""Why a Service has no endpoints: nothing selected, a near miss, another namespace, no replicas, no Endpoints by hand."""

from __future__ import annotations

import json

from labctl.api.objects import Object, key_of
from labctl.why import commands
from labctl.why import facts as f
from labctl.why.findings import Finding, fine, nearest, note, problem
from labctl.why.pods import explain_pod
from labctl.why.ports import explain_hand_ports, explain_target_ports

_SHOWN = 5


def explain_endpoints(facts: f.Facts, service: Object) -> list[Finding]:
    """Whether a Service has endpoints, and everything that keeps it from having them."""
    about, ready = f"svc/{key_of(service).name}", facts.ready_addresses(service)
    if not service["spec"].get("selector"):
        return _by_hand(facts, service, ready)
    pods = facts.selected(service)
    if not pods:
        return _nothing_selected(facts, service)
    found = [x for p in pods for x in explain_pod(facts, p) if x.is_problem or not f.is_ready(p)]
    found += explain_target_ports(facts, service, [p for p in pods if f.is_ready(p)])
    if ready and not any(x.is_problem for x in found):
        more = ", …" if len(ready) > _SHOWN else ""
        return [fine(about, f"has {len(ready)} ready endpoint(s): {', '.join(ready[:_SHOWN])}{more}"), *found]
    if not ready:
        text = f"selects {len(pods)} pod(s) but none is a ready endpoint: connections are refused"
        return [problem(about, text), *found]
    return found


def _nothing_selected(facts: f.Facts, service: Object) -> list[Finding]:
    namespace, name = key_of(service)
    text = ",".join(f"{k}={v}" for k, v in service["spec"]["selector"].items())
    first = problem(f"svc/{name}", f'has no endpoints: no pod in namespace "{namespace}" has the labels {text}')
    causes = _scaled_to_zero(facts, service) or _near_miss(facts, service) or _elsewhere(facts, service, text)
    return [first, *causes]


def _elsewhere(facts: f.Facts, service: Object, text: str) -> list[Finding]:
    selector, name = service["spec"]["selector"], key_of(service).name
    pod = next((p for p in facts.pods if f.matches(selector, f.labels_of(p))), None)
    if pod is None:
        see = f"kubectl get pods -n {key_of(service).namespace} --show-labels"
        return [note(f"svc/{name}", "and no pod has labels that are nearly these", see=see)]
    other, (kind, workload) = key_of(pod).namespace, commands.workload_of(pod)
    port = (service["spec"].get("ports") or [{"port": 80}])[0]
    target = f" --target-port={port['targetPort']}" if port.get("targetPort", port["port"]) != port["port"] else ""
    return [
        note(
            f"pod/{key_of(pod).name}",
            f'has these labels but is in namespace "{other}": a Service selects in its own namespace only',
            fix=f"kubectl expose {kind}/{workload} --name={name} --port={port['port']}{target} -n {other}",
            see=f"kubectl get pods -n {other} -l {text}",
        )
    ]


def _near_miss(facts: f.Facts, service: Object) -> list[Finding]:
    namespace, name = key_of(service)
    selector: dict[str, str] = service["spec"]["selector"]
    for pod in facts.in_namespace(facts.pods, namespace):
        labels = f.labels_of(pod)
        wrong = {k: v for k, v in selector.items() if labels.get(k) != v}
        corrections = {k: c for k, v in wrong.items() if (c := _correction(k, v, labels))}
        if wrong and len(corrections) == len(wrong):
            differs = ", ".join(f"{k}={v} is not {corrections[k][0]}={corrections[k][1]}" for k, v in wrong.items())
            right = {**{k: v for k, v in selector.items() if k not in wrong}, **dict(corrections.values())}
            pairs = ",".join(f"{k}={v}" for k, v in right.items())
            fix = f"kubectl set selector svc {name} {pairs} -n {namespace}"
            return [note(f"pod/{key_of(pod).name}", f"nearly matches: {differs}", fix=fix)]
    return []


def _correction(key: str, value: str, labels: dict[str, str]) -> tuple[str, str] | None:
    """The label that was probably meant: another value of the key, or the same value under a like key."""
    if key in labels and (nearest(value, [labels[key]]) or value.casefold() == labels[key].casefold()):
        return (key, labels[key])
    like = nearest(key, (k for k, v in labels.items() if v == value))
    return (like, value) if like else None


def _scaled_to_zero(facts: f.Facts, service: Object) -> list[Finding]:
    namespace = key_of(service).namespace
    for deployment in facts.in_namespace(facts.deployments, namespace):
        template = deployment["spec"]["template"]["metadata"].get("labels")
        if f.matches(service["spec"]["selector"], template):
            about, name = f"deploy/{key_of(deployment).name}", key_of(deployment).name
            if deployment["spec"].get("replicas") == 0:
                text = "makes the pods that are selected, but is scaled to 0"
                return [problem(about, text, fix=f"kubectl scale {about} --replicas=1 -n {namespace}")]
            text = "makes the pods that are selected, but has none at the moment"
            return [note(about, text, see=f"kubectl describe deploy {name} -n {namespace}")]
    return []


def _by_hand(facts: f.Facts, service: Object, ready: list[str]) -> list[Finding]:
    namespace, name = key_of(service)
    about = f"svc/{name}"
    if ready:
        text = f"has no selector; its endpoints are written by hand: {', '.join(ready[:_SHOWN])}"
        return [fine(about, text), *explain_hand_ports(facts, service)]
    near = nearest(name, (key_of(e).name for e in facts.in_namespace(facts.endpoints, namespace)))
    if near and near != name:
        text = f'has no selector and no Endpoints "{name}"; there is an Endpoints "{near}"'
        see = f"kubectl get endpoints {near} -n {namespace} -o yaml"
        return [problem(about, text, fix=_endpoints_manifest(facts, service, near), see=see)]
    text = "has no selector, and nobody has written Endpoints of the same name: connections are refused"
    labels = _likely_labels(facts, service)
    fix = f"kubectl set selector svc {name} {labels} -n {namespace}" if labels else ""
    return [problem(about, text, fix=fix or _endpoints_manifest(facts, service))]


def _likely_labels(facts: f.Facts, service: Object) -> str:
    """The labels of pods that are named like the Service."""
    namespace, name = key_of(service)
    for deployment in facts.in_namespace(facts.deployments, namespace):
        if key_of(deployment).name == name:
            return ",".join(f"{k}={v}" for k, v in deployment["spec"]["selector"].get("matchLabels", {}).items())
    return ""


def _endpoints_manifest(facts: f.Facts, service: Object, like: str = "") -> str:
    """A command that writes the Endpoints; with the addresses of another one, if there is one."""
    namespace, name = key_of(service)
    port = (service["spec"].get("ports") or [{"port": 80}])[0]
    there = next((e for e in facts.in_namespace(facts.endpoints, namespace) if key_of(e).name == like), None)
    addresses = [a["ip"] for s in (there or {}).get("subsets") or () for a in s.get("addresses") or ()] or ["ADDRESS"]
    named = {"name": port["name"]} if port.get("name") else {}
    manifest = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": name},
        "subsets": [
            {
                "addresses": [{"ip": a} for a in addresses],
                "ports": [{**named, "port": port.get("targetPort", port["port"])}],
            }
        ],
    }
    return f"echo '{json.dumps(manifest)}' | kubectl apply -n {namespace} -f -"
