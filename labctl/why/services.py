"""Why a Service has no endpoints, no external address, or does not answer.

The checks follow the order of https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/: does the Service
exist, does its selector match, are the pods ready, is the port right, does anything listen, do the nodes have rules.
"""

from __future__ import annotations

from typing import Any

from labctl.api.objects import Object, key_of
from labctl.why import facts as f
from labctl.why.findings import Finding, fine, nearest, note, problem
from labctl.why.pods import explain_pod
from labctl.why.policies import explain_policies


def explain_service(facts: f.Facts, service: Object) -> list[Finding]:
    """All findings about a Service, causes first found first."""
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return [_external_name(service)]
    found = _endpoints(facts, service)
    if spec.get("type") == "LoadBalancer":
        found.append(_load_balancer(facts, service))
    found += _traffic_policy(facts, service)
    found += explain_policies(facts, _selected(facts, service))
    found += _nodes(facts)
    return found


def explain_missing_service(facts: f.Facts, namespace: str, name: str) -> list[Finding]:
    """Why `name` is no Service of `namespace`."""
    about = f"svc/{name}"
    if namespace not in {key_of(n).name for n in facts.namespaces}:
        near = nearest(namespace, (key_of(n).name for n in facts.namespaces))
        hint = f'; did you mean "{near}"?' if near else ""
        return [
            problem(about, f'there is no namespace "{namespace}"{hint}', fix=f"kubectl create namespace {namespace}")
        ]
    elsewhere = [key_of(s).namespace for s in facts.services if key_of(s).name == name]
    if elsewhere:
        text = f'is not in namespace "{namespace}" but in "{elsewhere[0]}": from here its name is {name}.{elsewhere[0]}'
        return [problem(about, text, fix=f"kubectl get svc {name} -n {elsewhere[0]}")]
    near = nearest(name, (key_of(s).name for s in facts.in_namespace(facts.services, namespace)))
    if near:
        return [
            problem(
                about,
                f'does not exist in namespace "{namespace}"; there is "{near}"',
                fix=f"kubectl get svc {near} -n {namespace}",
            )
        ]
    return [
        problem(
            about,
            f'does not exist in namespace "{namespace}": its name is NXDOMAIN',
            fix=f"kubectl expose deploy/{name} --port=80 -n {namespace}",
        )
    ]


def _selected(facts: f.Facts, service: Object) -> list[Object]:
    pods = facts.in_namespace(facts.pods, key_of(service).namespace)
    return [p for p in pods if f.matches(service["spec"].get("selector"), f.labels_of(p))]


def _endpoints(facts: f.Facts, service: Object) -> list[Finding]:
    about = f"svc/{key_of(service).name}"
    ready = sorted(
        address
        for s in facts.slices_of(service)
        for e in s.get("endpoints") or ()
        if (e.get("conditions") or {}).get("ready", True)
        for address in e["addresses"]
    )
    if not service["spec"].get("selector"):
        return _by_hand(facts, service, ready)
    pods = _selected(facts, service)
    if not pods:
        return _nothing_selected(facts, service)
    found = [x for p in pods for x in explain_pod(facts, p) if x.is_problem or not f.is_ready(p)]
    found += _target_ports(facts, service, [p for p in pods if f.is_ready(p)])
    if ready and not any(x.is_problem for x in found):
        found.insert(0, fine(about, f"has {len(ready)} ready endpoint(s): {', '.join(ready[:5])}"))
    elif not ready:
        found.insert(
            0, problem(about, f"selects {len(pods)} pod(s) but none is a ready endpoint: connections are refused")
        )
    return found


def _nothing_selected(facts: f.Facts, service: Object) -> list[Finding]:
    namespace, name = key_of(service)
    selector: dict[str, str] = service["spec"]["selector"]
    text = ",".join(f"{k}={v}" for k, v in selector.items())
    found = [problem(f"svc/{name}", f'has no endpoints: no pod in namespace "{namespace}" has the labels {text}')]
    elsewhere = [p for p in facts.pods if f.matches(selector, f.labels_of(p))]
    if elsewhere:
        other = key_of(elsewhere[0]).namespace
        found.append(
            note(
                f"pod/{key_of(elsewhere[0]).name}",
                f'has these labels but is in namespace "{other}"; a Service selects in its own namespace only',
                fix=f"kubectl get pods -n {other} -l {text}",
            )
        )
    return found + (_scaled_to_zero(facts, service) or _near_miss(facts, service))


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
            return [
                note(
                    f"pod/{key_of(pod).name}",
                    f"nearly matches: {differs}",
                    fix=f"kubectl set selector svc {name} {pairs} -n {namespace}",
                )
            ]
    return []


def _correction(key: str, value: str, labels: dict[str, str]) -> tuple[str, str] | None:
    """The label that was probably meant: another value of the key, or the same value under a like key."""
    if key in labels and (nearest(value, [labels[key]]) or value.casefold() == labels[key].casefold()):
        return (key, labels[key])
    like = nearest(key, (k for k, v in labels.items() if v == value))
    return (like, value) if like else None


def _scaled_to_zero(facts: f.Facts, service: Object) -> list[Finding]:
    namespace, _ = key_of(service)
    for deployment in facts.in_namespace(facts.deployments, namespace):
        template = deployment["spec"]["template"]["metadata"].get("labels")
        if f.matches(service["spec"]["selector"], template):
            name = key_of(deployment).name
            if deployment["spec"].get("replicas") == 0:
                return [
                    problem(
                        f"deploy/{name}",
                        "makes the pods that are selected, but is scaled to 0",
                        fix=f"kubectl scale deploy/{name} --replicas=1 -n {namespace}",
                    )
                ]
            return [
                note(
                    f"deploy/{name}",
                    "makes the pods that are selected, but has none at the moment",
                    fix=f"kubectl describe deploy {name} -n {namespace}",
                )
            ]
    return []


def _by_hand(facts: f.Facts, service: Object, ready: list[str]) -> list[Finding]:
    namespace, name = key_of(service)
    about = f"svc/{name}"
    if ready:
        return [
            fine(about, f"has no selector; its endpoints are written by hand: {', '.join(ready)}"),
            *_hand_ports(facts, service),
        ]
    near = nearest(name, (key_of(e).name for e in facts.in_namespace(facts.endpoints, namespace)))
    if near and near != name:
        return [
            problem(
                about,
                f'has no selector and no Endpoints "{name}"; there is an Endpoints "{near}"',
                fix=f"kubectl get endpoints {near} -n {namespace} -o yaml",
            )
        ]
    return [
        problem(
            about,
            "has no selector, and nobody has written Endpoints of the same name: connections are refused",
            fix=f"kubectl set selector svc {name} app={name} -n {namespace}",
        )
    ]


def _hand_ports(facts: f.Facts, service: Object) -> list[Finding]:
    offered = {p.get("name") or "" for s in facts.slices_of(service) for p in s.get("ports") or ()}
    return [
        problem(
            f"svc/{key_of(service).name}",
            f'port {p["port"]} is named "{p.get("name", "")}", but the Endpoints offer only '
            + (", ".join(f'"{o}"' for o in sorted(offered)) or "nothing")
            + ": the names must be equal",
            fix=f"kubectl edit endpoints {key_of(service).name} -n {key_of(service).namespace}",
        )
        for p in service["spec"].get("ports") or ()
        if (p.get("name") or "") not in offered
    ]


def _target_ports(facts: f.Facts, service: Object, pods: list[Object]) -> list[Finding]:
    namespace, name = key_of(service)
    found = []
    for port in service["spec"].get("ports") or ():
        target = port.get("targetPort", port["port"])
        for pod in pods:
            number = _port_number(pod, target, port.get("protocol", "TCP"))
            if number is None:
                found.append(
                    problem(
                        f"svc/{name}",
                        f'targetPort "{target}" is no port name of pod {key_of(pod).name}; it has {_port_names(pod)}',
                        fix=f"kubectl edit svc {name} -n {namespace}",
                    )
                )
                break
            listening = facts.listening.get(key_of(pod))
            if port.get("protocol", "TCP") == "TCP" and listening is not None and number not in listening:
                heard = ", ".join(map(str, sorted(listening))) or "no port at all"
                fix = f"kubectl patch svc {name} -n {namespace} --type=json -p " + _retarget(service, port, listening)
                found.append(
                    problem(
                        f"svc/{name}",
                        f"sends to port {number}, but pod {key_of(pod).name} listens on "
                        f"{heard}: connections are refused by the pod",
                        fix=fix if listening else "",
                    )
                )
                break
    return found


def _retarget(service: Object, port: dict[str, Any], listening: frozenset[int]) -> str:
    index = service["spec"]["ports"].index(port)
    return f"""'[{{"op":"replace","path":"/spec/ports/{index}/targetPort","value":{min(listening, default=0)}}}]'"""


def _port_number(pod: Object, target: int | str, protocol: str) -> int | None:
    if isinstance(target, int):
        return target
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def _port_names(pod: Object) -> str:
    names = [f'"{p["name"]}"' for c in pod["spec"]["containers"] for p in c.get("ports") or () if p.get("name")]
    return ", ".join(names) or "no named ports"


def _load_balancer(facts: f.Facts, service: Object) -> Finding:
    namespace, name = key_of(service)
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    if ingress:
        address = ingress[0].get("hostname") or ingress[0].get("ip")
        ports = ", ".join(f"http://{address}:{p['port']}" for p in service["spec"]["ports"])
        return fine(f"svc/{name}", f"is published: {ports}")
    warning = next((e for e in facts.events_of(service) if e.get("type") == "Warning"), None)
    text = f"EXTERNAL-IP is pending: {warning['message']}" if warning else "EXTERNAL-IP is pending"
    fix = f"kubectl patch svc {name} -n {namespace} --type=json -p " + (
        """'[{"op":"replace","path":"/spec/ports/0/port","value":FREE_PORT}]'""" if warning else "'[]'"
    )
    return problem(f"svc/{name}", text, fix=fix if warning else f"kubectl describe svc {name} -n {namespace}")


def _external_name(service: Object) -> Finding:
    target = service["spec"].get("externalName", "")
    about = f"svc/{key_of(service).name}"
    if target.replace(".", "").isdigit():
        return problem(
            about,
            f'externalName "{target}" looks like an address, but is served as the name {target}. '
            "which nobody resolves; an address takes a Service without selector and hand-made Endpoints",
            fix=f"kubectl delete svc {key_of(service).name} -n {key_of(service).namespace}",
        )
    return note(
        about,
        f"is only a CNAME for {target}: no address, no port mapping, and HTTP servers there see the "
        "Host header of the alias",
    )


def _traffic_policy(facts: f.Facts, service: Object) -> list[Finding]:
    spec, about = service["spec"], f"svc/{key_of(service).name}"
    placed = {e.get("nodeName") for s in facts.slices_of(service) for e in s.get("endpoints") or ()}
    without = sorted(key_of(n).name for n in facts.nodes if key_of(n).name not in placed)
    return [
        note(
            about,
            f"{field} is Local: on {', '.join(without)}, where it has no endpoint, its packets are dropped (a hang)",
            fix=f"kubectl patch svc {key_of(service).name} -n {key_of(service).namespace} "
            f'-p \'{{"spec":{{"{field}":"Cluster"}}}}\'',
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
