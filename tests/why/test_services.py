"""Broken set-ups and what is said about them. Pods are 10.244.N.x, Services 10.96.x.x."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from labctl.api.objects import ObjectKey
from labctl.why.facts import Facts, Seen
from labctl.why.findings import Finding
from labctl.why.services import explain_missing_service, explain_service


def pod(
    name: str = "web-1", *, ns: str = "default", ready: bool = True, ports: Any = (), **labels: str
) -> dict[str, Any]:
    status = {"name": "main", "ready": ready, "state": {"running": {}}, "restartCount": 0}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": ns, "labels": labels or {"app": "web"}},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "ports": list(ports)}]},
        "status": {
            "phase": "Running",
            "podIP": "10.244.1.2",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [status],
        },
    }


def probed(**more: Any) -> dict[str, Any]:
    """A pod with a readiness probe."""
    made = pod(**more)
    made["spec"]["containers"][0]["readinessProbe"] = {"httpGet": {"path": "/", "port": 80}}
    return made


def service(name: str = "web", *, ns: str = "default", **spec: Any) -> dict[str, Any]:
    body = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}], **spec}
    return {"kind": "Service", "metadata": {"name": name, "namespace": ns}, "spec": body}


def slice_of(
    name: str = "web", *, ready: bool = True, address: str = "10.244.1.2", node: str = "node-1"
) -> dict[str, Any]:
    return {
        "metadata": {"name": f"{name}-x", "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}, "nodeName": node}],
        "ports": [{"name": "", "port": 80}],
    }


def event(kind: str, name: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"kind": kind, "name": name, "namespace": "default"},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }


def node(name: str, *, ready: bool = True) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": [{"type": "Ready", "status": str(ready)}]}}


HEALTHY = Facts(services=[service()], pods=[pod()], slices=[slice_of()], nodes=[node("node-1")])
EMPTY = replace(HEALTHY, slices=[slice_of(ready=False)])


def problems(found: list[Finding]) -> list[Finding]:
    return [x for x in found if x.is_problem]


def test_a_healthy_service_has_no_problem() -> None:
    found = explain_service(HEALTHY, service())
    assert problems(found) == []
    assert "10.244.1.2" in found[0].text


@pytest.mark.parametrize(
    ("facts", "broken", "words", "fix"),
    [
        pytest.param(
            replace(HEALTHY, pods=[pod(app="web-v1")], slices=[]),
            service(),
            "app=web is not app=web-v1",
            "kubectl set selector svc web app=web-v1 -n default",
            id="near miss in a label's value",
        ),
        pytest.param(
            replace(HEALTHY, pods=[pod(App="web")], slices=[]),
            service(),
            "app=web is not App=web",
            "kubectl set selector svc web App=web -n default",
            id="near miss in a label's key",
        ),
        pytest.param(
            replace(HEALTHY, pods=[pod(ns="prod")], slices=[]),
            service(),
            'is in namespace "prod"',
            "kubectl expose pod/web-1 --name=web --port=80 -n prod",
            id="pods in another namespace",
        ),
        pytest.param(
            replace(
                HEALTHY,
                pods=[],
                slices=[],
                deployments=[
                    {
                        "metadata": {"name": "web", "namespace": "default"},
                        "spec": {"replicas": 0, "template": {"metadata": {"labels": {"app": "web"}}}},
                    }
                ],
            ),
            service(),
            "scaled to 0",
            "kubectl scale deploy/web --replicas=1 -n default",
            id="scaled to zero",
        ),
        pytest.param(
            replace(
                EMPTY,
                pods=[probed(ready=False)],
                events=[event("Pod", "web-1", "Unhealthy", "Readiness probe failed: 500")],
            ),
            service(),
            "Readiness probe failed: 500",
            "kubectl edit pod/web-1 -n default",
            id="not ready",
        ),
        pytest.param(
            replace(HEALTHY, pods=[pod(ports=[{"name": "http", "containerPort": 8080}])]),
            service(ports=[{"port": 80, "targetPort": "web"}]),
            'targetPort "web" is no port name of pod web-1; it has "http"',
            "kubectl patch svc web -n default --type=json -p "
            """'[{"op":"replace","path":"/spec/ports/0/targetPort","value":"http"}]'""",
            id="unknown port name",
        ),
        pytest.param(
            replace(HEALTHY, seen=Seen(listening={ObjectKey("default", "web-1"): frozenset({8080})})),
            service(),
            "sends to port 80, but pod web-1 listens on 8080",
            "kubectl patch svc web -n default --type=json -p "
            """'[{"op":"replace","path":"/spec/ports/0/targetPort","value":8080}]'""",
            id="nothing listens",
        ),
        pytest.param(
            replace(HEALTHY, slices=[]),
            service(selector=None),
            "nobody has written Endpoints of the same name",
            'echo \'{"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web"}',
            id="no selector, no Endpoints",
        ),
        pytest.param(
            replace(HEALTHY, endpoints=[{"metadata": {"name": "webs", "namespace": "default"}}], slices=[]),
            service(selector=None),
            'there is an Endpoints "webs"',
            'echo \'{"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web"}',
            id="Endpoints of another name",
        ),
        pytest.param(
            HEALTHY,
            service(selector=None, ports=[{"name": "http", "port": 80}]),
            'is named "http", but the Endpoints offer only ""',
            "kubectl patch endpoints web -n default --type=json -p "
            """'[{"op":"add","path":"/subsets/0/ports/0/name","value":"http"}]'""",
            id="port name of hand-made Endpoints",
        ),
        pytest.param(
            replace(HEALTHY, events=[event("Service", "web", "PortTaken", "port 8080 is held by nginx (pid 7)")]),
            service(type="LoadBalancer"),
            "EXTERNAL-IP is pending: port 8080 is held by nginx (pid 7)",
            "kubectl patch svc web -n default --type=json",
            id="port of the load balancer is taken",
        ),
        pytest.param(
            replace(
                HEALTHY, events=[event("Service", "web", "SyncLoadBalancerFailed", "load balancer: no IPv4 address")]
            ),
            service(type="LoadBalancer", clusterIP="fd00:10:96::9", clusterIPs=["fd00:10:96::9"]),
            "EXTERNAL-IP is pending: no IPv4 address",
            """kubectl patch svc web -n default -p '{"spec":{"ipFamilyPolicy":"RequireDualStack"}}'""",
            id="a load balancer of IPv6",
        ),
        pytest.param(
            replace(HEALTHY, nodes=[node("node-1", ready=False)]),
            service(),
            "is not Ready",
            "labctl up",
            id="a node is down",
        ),
        pytest.param(
            HEALTHY,
            service(type="ExternalName", externalName="10.1.2.3"),
            "looks like an address",
            "kubectl delete svc web",
            id="externalName is an address",
        ),
    ],
)
def test_broken_services_are_explained(facts: Facts, broken: dict[str, Any], words: str, fix: str) -> None:
    found = explain_service(facts, broken)
    said = next((x for x in found if words in x.text), None)
    assert said is not None, found
    assert said.fix.startswith(fix)
    assert problems(found)


def test_local_policy_names_the_nodes_that_drop() -> None:
    facts = replace(HEALTHY, nodes=[node("node-1"), node("node-2")])
    said = explain_service(facts, service(internalTrafficPolicy="Local"))
    assert any("on node-2, where it has no endpoint" in x.text for x in said)


def test_a_policy_that_isolates_the_pods_is_named() -> None:
    policy = {
        "metadata": {"name": "deny", "namespace": "default"},
        "spec": {"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}},
    }
    said = explain_service(replace(HEALTHY, policies=[policy]), service())
    assert any(x.about == "netpol/deny" for x in said)


@pytest.mark.parametrize(
    ("namespace", "name", "words"),
    [
        ("defualt", "web", 'did you mean "default"?'),
        ("other", "web", "its name is web.default"),
        ("default", "wbe", 'there is "web"'),
        ("default", "unlike", "NXDOMAIN"),
    ],
)
def test_a_missing_service_is_looked_for(namespace: str, name: str, words: str) -> None:
    namespaces = [{"metadata": {"name": n}} for n in ("default", "other")]
    [said] = explain_missing_service(replace(HEALTHY, namespaces=namespaces), namespace, name)
    assert words in said.text
    assert said.fix or said.see


def test_a_deployment_scaled_to_zero_is_the_cause_even_beside_a_pod_with_nearly_the_labels() -> None:
    made = {
        "kind": "Deployment",
        "metadata": {"name": "web-a", "namespace": "default"},
        "spec": {"replicas": 0, "template": {"metadata": {"labels": {"app": "web-a"}}}},
    }
    near = pod("web-b-1", app="web-b")
    wanted = service(selector={"app": "web-a"})
    found = explain_service(Facts(services=[wanted], pods=[near], deployments=[made]), wanted)
    assert [f.about for f in found if f.fix][-1] == "deploy/web-a"
    assert not any("nearly" in f.text for f in found)
