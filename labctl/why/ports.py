"""Whether a Service's ports lead to something: names of target ports, what listens, hand-made Endpoints, the host's ports."""

from __future__ import annotations

import re
from typing import Any

from labctl.api.objects import Object, key_of
from labctl.why import commands
from labctl.why import facts as f
from labctl.why.findings import Finding, fine, nearest, problem
from labctl.why.policies import port_number

_HOST = "localhost"


def explain_target_ports(facts: f.Facts, service: Object, pods: list[Object]) -> list[Finding]:
    """Ports that lead nowhere in one of the pods; one finding per port."""
    found = []
    for index, port in enumerate(service["spec"].get("ports") or ()):
        says = (finding for pod in pods if (finding := _target_port(facts, service, index, port, pod)) is not None)
        found += [first for first in [next(says, None)] if first is not None]
    return found


def _target_port(facts: f.Facts, service: Object, index: int, port: dict[str, Any], pod: Object) -> Finding | None:
    (namespace, name), protocol = key_of(service), port.get("protocol", "TCP")
    target = port.get("targetPort", port["port"])
    path = f"/spec/ports/{index}/targetPort"
    number = port_number(pod, target, protocol)
    if number is None:
        names = _port_names(pod, protocol)
        meant = nearest(str(target), names) or (names[0] if len(names) == 1 else "")
        listed = ", ".join(f'"{n}"' for n in names) or "no named ports"
        return problem(
            f"svc/{name}",
            f'targetPort "{target}" is no port name of pod {key_of(pod).name}; it has {listed}',
            fix=commands.json_patch("svc", name, namespace, path, meant or "NAME_OR_NUMBER"),
        )
    listening = facts.seen.listening.get(key_of(pod))
    if protocol != "TCP" or listening is None or number in listening:
        return None
    heard = ", ".join(map(str, sorted(listening))) or "no port at all"
    return problem(
        f"svc/{name}",
        f"sends to port {number}, but pod {key_of(pod).name} listens on {heard}: connections are refused by the pod",
        fix=commands.json_patch("svc", name, namespace, path, min(listening)) if listening else "",
        see="" if listening else commands.logs(pod, pod["spec"]["containers"][0]["name"]),
    )


def _port_names(pod: Object, protocol: str) -> list[str]:
    ports = (p for c in pod["spec"]["containers"] for p in c.get("ports") or ())
    return [p["name"] for p in ports if p.get("name") and p.get("protocol", "TCP") == protocol]


def explain_hand_ports(facts: f.Facts, service: Object) -> list[Finding]:
    """Port names that the hand-made Endpoints of a Service do not have."""
    namespace, name = key_of(service)
    offered = sorted({p.get("name") or "" for s in facts.slices_of(service) for p in s.get("ports") or ()})
    found = []
    for port in service["spec"].get("ports") or ():
        named = port.get("name") or ""
        if named not in offered:
            listed = ", ".join(f'"{o}"' for o in offered) or "nothing"
            text = f'port {port["port"]} is named "{named}", but the Endpoints offer only {listed}: the names must be equal'
            fix = commands.json_patch("endpoints", name, namespace, "/subsets/0/ports/0/name", named, op="add")
            found.append(problem(f"svc/{name}", text, fix=fix))
    return found


def explain_published(facts: f.Facts, service: Object) -> list[Finding]:
    """Whether the host has the ports of a LoadBalancer or NodePort Service."""
    spec, name = service["spec"], key_of(service).name
    failed = next((e for e in facts.events_of(service) if e.get("type") == "Warning"), None)
    if spec.get("type") == "LoadBalancer":
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress")
        if not ingress:
            return [_pending(facts, service, failed)]
        address = ingress[0].get("hostname") or ingress[0].get("ip")
        ports = ", ".join(f"http://{address}:{p['port']}" for p in spec["ports"])
        return [fine(f"svc/{name}", f"is published: {ports}")]
    ports = ", ".join(f"{p['nodePort']} -> {p['port']}" for p in spec.get("ports") or () if p.get("nodePort"))
    return [fine(f"svc/{name}", f"answers at every node, nodePort -> port: {ports}")] if ports else []


def _pending(facts: f.Facts, service: Object, failed: Object | None) -> Finding:
    (namespace, name), about = key_of(service), f"svc/{key_of(service).name}"
    if failed is None:
        text = "EXTERNAL-IP is pending: nobody has published it yet"
        return problem(about, text, see=f"kubectl describe svc {name} -n {namespace}")
    message = str(failed.get("message", "")).rpartition("load balancer: ")[2]
    if all(":" in a for a in service["spec"].get("clusterIPs") or ("",)):
        both = {"ipFamilyPolicy": "RequireDualStack"}
        return problem(
            about, f"EXTERNAL-IP is pending: {message}", fix=commands.merge_patch("svc", name, namespace, **both)
        )
    ports = service["spec"]["ports"]
    index = next((i for i, p in enumerate(ports) if re.search(rf"port {p['port']}\b", message)), 0)
    free = facts.seen.free_port or "FREE_PORT"
    fix = commands.json_patch("svc", name, namespace, f"/spec/ports/{index}/port", free)
    return problem(about, f"EXTERNAL-IP is pending: {message}", fix=fix)


def is_host(name: str) -> bool:
    """Whether a host name means the machine that the lab runs on."""
    return name == _HOST or name.startswith("127.")
