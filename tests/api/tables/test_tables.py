"""Tables against what a real server printed for the very same objects (tests/golden/kubectl-1.36)."""

import re
from typing import Any

import pytest
import yaml

from labctl.api import kinds, tables
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.cli import columns
from tests.docker import golden

CASES = {c.command: c.out for c in golden.read(golden.GOLDEN / "kubectl-1.36" / "02-get.txt")}
NOW_S = 1795411897.0  # 2026-11-23T05:31:37Z, when the recording was made


def recorded(command: str) -> list[Object]:
    data = yaml.load(CASES[command], _Loader)  # a SafeLoader
    return data["items"] if data["kind"] == "List" else [data]


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's own class attribute
        letter: [(tag, pattern) for tag, pattern in pairs if not tag.endswith("timestamp")]
        for letter, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def printed(kind: Kind, objects: list[Object], *, wide: bool = False, now_s: float = NOW_S) -> str:
    table = tables.render(kind, objects, now_s=now_s)
    shown = [i for i, c in enumerate(table["columnDefinitions"]) if wide or c["priority"] == 0]
    rows = [[table["columnDefinitions"][i]["name"].upper() for i in shown]]
    rows += [[str(row["cells"][i]) for i in shown] for row in table["rows"]]
    return "\n".join(columns.lay_out(rows))


def lines_of(command: str, objects: list[Object]) -> str:
    """The header and the lines about these objects, with the columns' spaces as they would be for these lines alone."""
    names = {o["metadata"]["name"] for o in objects}
    header, *rest = CASES[command].rstrip("\n").split("\n")
    lines = [header, *(line for line in rest if line.split()[0] in names)]
    return "\n".join(columns.lay_out([re.split(r" {2,}", line) for line in lines]))


@pytest.mark.parametrize(
    ("kind", "source", "command", "wide"),
    [
        (kinds.POD, "kubectl get pods -l app=numbers-api -o yaml", "kubectl get pods", False),
        (kinds.POD, "kubectl get pods -l app=numbers-api -o yaml", "kubectl get pods -o wide", True),
        (kinds.SERVICE, "kubectl get services numbers-api -o yaml", "kubectl get svc", False),
        (kinds.SERVICE, "kubectl get svc numbers-web -o yaml", "kubectl get svc -o wide", True),
        (kinds.SERVICE, "kubectl get svc headless -o yaml", "kubectl get svc -o wide", True),
        (kinds.ENDPOINTS, "kubectl get ep numbers-api -o yaml", "kubectl get ep", False),
        (kinds.ENDPOINTS, "kubectl get ep multi -o yaml", "kubectl get ep -o wide", True),
        (
            kinds.ENDPOINT_SLICE,
            "kubectl get endpointslice -l kubernetes.io/service-name=multi -o json",
            "kubectl get endpointslices",
            False,
        ),
        (kinds.DEPLOYMENT, "kubectl get deploy numbers-api -o yaml", "kubectl get deploy", False),
        (kinds.DEPLOYMENT, "kubectl get deploy numbers-api -o yaml", "kubectl get deploy -o wide", True),
        (kinds.REPLICA_SET, "kubectl get rs -l app=numbers-api -o yaml", "kubectl get rs -o wide", True),
        (kinds.NAMESPACE, "kubectl get ns default -o yaml", "kubectl get ns", False),
        (kinds.NODE, "kubectl get node node1 -o yaml", "kubectl get nodes -o wide", True),
    ],
)
def test_as_recorded(kind: Kind, source: str, command: str, wide: bool) -> None:
    objects = recorded(source)
    assert golden.normalise(printed(kind, objects, wide=wide)) == golden.normalise(lines_of(command, objects))


def pod(**status: Any) -> Object:
    spec = status.pop("spec", {"containers": [{"name": "a"}]})
    meta = {"name": "p", "namespace": "default", "creationTimestamp": "2026-11-23T05:31:27Z"} | status.pop("meta", {})
    return {"metadata": meta, "spec": spec, "status": status}


def ended(code: int = 0, **more: Any) -> Object:
    return {"terminated": {"exitCode": code, **more}}


RUNNING: Object = {"running": {}}
READY = [{"type": "Ready", "status": "True"}]
TWO: Object = {"containers": [{"name": "a"}, {"name": "b"}]}
INIT: Object = {"containers": [{"name": "a"}], "initContainers": [{"name": "i"}, {"name": "j"}]}
SIDECAR: Object = {"containers": [{"name": "a"}], "initContainers": [{"name": "s", "restartPolicy": "Always"}]}


@pytest.mark.parametrize(
    ("obj", "ready", "status", "restarts"),
    [
        (pod(phase="Pending"), "0/1", "Pending", "0"),
        (
            pod(
                phase="Pending",
                containerStatuses=[{"name": "a", "state": {"waiting": {"reason": "ContainerCreating"}}}],
            ),
            "0/1",
            "ContainerCreating",
            "0",
        ),
        (
            pod(phase="Running", containerStatuses=[{"name": "a", "ready": True, "state": RUNNING}]),
            "1/1",
            "Running",
            "0",
        ),
        (
            pod(
                phase="Running",
                containerStatuses=[
                    {
                        "name": "a",
                        "restartCount": 3,
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": ended(1, finishedAt="2026-11-23T05:31:32Z"),
                    }
                ],
            ),
            "0/1",
            "CrashLoopBackOff",
            "3 (5s ago)",
        ),
        (
            pod(phase="Succeeded", containerStatuses=[{"name": "a", "state": ended(0, reason="Completed")}]),
            "0/1",
            "Completed",
            "0",
        ),
        (pod(phase="Failed", containerStatuses=[{"name": "a", "state": ended(3)}]), "0/1", "ExitCode:3", "0"),
        (pod(phase="Failed", containerStatuses=[{"name": "a", "state": ended(0, signal=9)}]), "0/1", "Signal:9", "0"),
        (pod(phase="Failed", reason="Evicted"), "0/1", "Evicted", "0"),
        (pod(phase="Running", meta={"deletionTimestamp": "2026-11-23T05:31:36Z"}), "0/1", "Terminating", "0"),
        (pod(phase="Succeeded", meta={"deletionTimestamp": "2026-11-23T05:31:36Z"}), "0/1", "Succeeded", "0"),
        (
            pod(phase="Running", reason="NodeLost", meta={"deletionTimestamp": "2026-11-23T05:31:36Z"}),
            "0/1",
            "Unknown",
            "0",
        ),
        (
            pod(
                spec=TWO,
                phase="Running",
                conditions=READY,
                containerStatuses=[
                    {"name": "a", "state": ended(0, reason="Completed")},
                    {"name": "b", "ready": True, "state": RUNNING},
                ],
            ),
            "1/2",
            "Running",
            "0",
        ),
        (
            pod(
                spec=TWO,
                phase="Running",
                containerStatuses=[
                    {"name": "a", "state": ended(0, reason="Completed")},
                    {"name": "b", "ready": True, "state": RUNNING},
                ],
            ),
            "1/2",
            "NotReady",
            "0",
        ),
        (
            pod(
                spec=TWO,
                phase="Failed",
                containerStatuses=[
                    {"name": "a", "state": ended(0, reason="Completed")},
                    {"name": "b", "state": ended(2, reason="Error")},
                ],
            ),
            "0/2",
            "Error",
            "0",
        ),
        (
            pod(
                spec=INIT,
                phase="Pending",
                initContainerStatuses=[{"name": "i", "state": RUNNING, "restartCount": 2}],
            ),
            "0/1",
            "Init:0/2",
            "2",
        ),
        (
            pod(
                spec=INIT,
                phase="Pending",
                initContainerStatuses=[
                    {"name": "i", "state": ended()},
                    {"name": "j", "state": {"waiting": {"reason": "PodInitializing"}}},
                ],
            ),
            "0/1",
            "Init:1/2",
            "0",
        ),
        (
            pod(
                spec=INIT,
                phase="Pending",
                initContainerStatuses=[{"name": "i", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
            ),
            "0/1",
            "Init:CrashLoopBackOff",
            "0",
        ),
        (
            pod(spec=INIT, phase="Pending", initContainerStatuses=[{"name": "i", "state": ended(7)}]),
            "0/1",
            "Init:ExitCode:7",
            "0",
        ),
        (
            pod(
                spec=SIDECAR,
                phase="Running",
                initContainerStatuses=[
                    {"name": "s", "ready": True, "started": True, "state": RUNNING, "restartCount": 1}
                ],
                containerStatuses=[{"name": "a", "ready": True, "state": RUNNING}],
            ),
            "2/2",
            "Running",
            "1",
        ),
        (
            pod(
                phase="Pending",
                conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}],
            ),
            "0/1",
            "SchedulingGated",
            "0",
        ),
    ],
)
def test_pod(obj: Object, ready: str, status: str, restarts: str) -> None:
    cells = tables.render(kinds.POD, [obj], now_s=NOW_S)["rows"][0]["cells"]
    assert cells[:4] == ["p", ready, status, restarts]


def test_pod_wide() -> None:
    obj = pod(
        spec={
            "containers": [],
            "nodeName": "node-1",
            "readinessGates": [{"conditionType": "x"}, {"conditionType": "y"}],
        },
        conditions=[{"type": "y", "status": "True"}],
        podIPs=[{"ip": "10.244.1.2"}, {"ip": "fd00::2"}],
    )
    cells = tables.render(kinds.POD, [obj], now_s=NOW_S)["rows"][0]["cells"]
    assert cells[5:] == ["10.244.1.2", "node-1", "<none>", "1/2"]


def test_ended_pods_are_marked_for_clients_that_grey_them_out() -> None:
    rows = tables.render(kinds.POD, [pod(phase="Failed"), pod(phase="Running")], now_s=NOW_S)["rows"]
    assert rows[0]["conditions"][0]["type"] == "Completed"
    assert "conditions" not in rows[1]


def meta(name: str = "x", **more: Any) -> Object:
    return {"name": name, "namespace": "default", "creationTimestamp": "2026-11-23T05:31:27Z", **more}


def service(type_: str, ingress: list[Object] | None = None, **spec: Any) -> Object:
    return {"metadata": meta(), "spec": {"type": type_, **spec}, "status": {"loadBalancer": {"ingress": ingress or []}}}


def slice_of(ports: list[Object], addresses: list[str]) -> Object:
    return {
        "metadata": meta(),
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": [{"addresses": [a]} for a in addresses],
    }


FOUR = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]


@pytest.mark.parametrize(
    ("kind", "obj", "cells"),
    [
        (kinds.SERVICE, service("LoadBalancer"), ["LoadBalancer", "<none>", "<pending>", "<none>", "10s", "<none>"]),
        (
            kinds.SERVICE,
            service("LoadBalancer", [{"hostname": "localhost"}], clusterIPs=["10.96.0.9"], externalIPs=["1.2.3.4"]),
            ["LoadBalancer", "10.96.0.9", "localhost,1.2.3.4", "<none>", "10s", "<none>"],
        ),
        (
            kinds.SERVICE,
            service("ExternalName", externalName="example.com"),
            ["ExternalName", "<none>", "example.com", "<none>", "10s", "<none>"],
        ),
        (
            kinds.SERVICE,
            service(
                "NodePort",
                clusterIPs=["10.96.0.9"],
                ports=[{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
                selector={"b": "2", "a": "1"},
            ),
            ["NodePort", "10.96.0.9", "<none>", "80:30080/TCP,53/UDP", "10s", "a=1,b=2"],
        ),
        (kinds.ENDPOINTS, {"metadata": meta()}, ["<none>", "10s"]),
        (
            kinds.ENDPOINTS,
            {"metadata": meta(), "subsets": [{"notReadyAddresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]},
            ["", "10s"],
        ),
        (
            kinds.ENDPOINTS,
            {"metadata": meta(), "subsets": [{"addresses": [{"ip": a} for a in FOUR], "ports": [{"port": 80}]}]},
            ["10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more...", "10s"],
        ),
        (
            kinds.ENDPOINTS,
            {"metadata": meta(), "subsets": [{"addresses": [{"ip": "fd00::1"}], "ports": [{"port": 80}]}]},
            ["[fd00::1]:80", "10s"],
        ),
        (kinds.ENDPOINT_SLICE, slice_of([], []), ["IPv4", "<unset>", "<unset>", "10s"]),
        (
            kinds.ENDPOINT_SLICE,
            slice_of([{"name": "any"}, {}], FOUR),
            ["IPv4", "any,*", "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...", "10s"],
        ),
        (
            kinds.NODE,
            {"metadata": meta(labels={"node-role.kubernetes.io/control-plane": ""}), "spec": {"unschedulable": True}},
            ["Unknown,SchedulingDisabled", "control-plane", "10s", "", "<none>", "<none>", *["<unknown>"] * 3],
        ),
        (
            kinds.EVENT,
            {
                "metadata": meta("e"),
                "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{a}"},
                "type": "Normal",
                "reason": "Pulled",
                "message": "done\n",
                "source": {"component": "kubelet", "host": "node-1"},
                "firstTimestamp": "2026-11-23T05:21:27Z",
                "lastTimestamp": "2026-11-23T05:31:32Z",
                "count": 4,
            },
            ["Normal", "Pulled", "pod/p", "spec.containers{a}", "kubelet, node-1", "done", "10m", 4, "e"],
        ),
        (
            kinds.EVENT,
            {
                "metadata": meta("e"),
                "involvedObject": {"kind": "Node"},
                "reportingComponent": "kubelet",
                "reportingInstance": "node-2",
                "eventTime": "2026-11-23T05:31:32.000000Z",
                "series": {"count": 2, "lastObservedTime": "2026-11-23T05:31:36.000000Z"},
            },
            ["", "", "node", "", "kubelet, node-2", "", "5s", 2, "e"],
        ),
        (kinds.CONFIG_MAP, {"metadata": meta(), "data": {"a": "b"}, "binaryData": {"c": "ZA=="}}, [2, "10s"]),
        (kinds.SECRET, {"metadata": meta(), "type": "Opaque"}, ["Opaque", 0, "10s"]),
        (kinds.SERVICE_ACCOUNT, {"metadata": meta()}, ["10s"]),
        (kinds.LEASE, {"metadata": meta(), "spec": {"holderIdentity": "me"}}, ["me", "10s"]),
        (kinds.ROLE, {"metadata": meta()}, ["2026-11-23T05:31:27Z"]),
        (kinds.LIMIT_RANGE, {"metadata": meta()}, ["2026-11-23T05:31:27Z"]),
        (
            kinds.ROLE_BINDING,
            {
                "metadata": meta(),
                "roleRef": {"kind": "Role", "name": "r"},
                "subjects": [
                    {"kind": "User", "name": "u"},
                    {"kind": "Group", "name": "g"},
                    {"kind": "Group", "name": "h"},
                    {"kind": "ServiceAccount", "name": "s", "namespace": "n"},
                ],
            },
            ["Role/r", "10s", "u", "g, h", "n/s"],
        ),
        (
            kinds.INGRESS,
            {
                "metadata": meta(),
                "spec": {"rules": [{"host": h} for h in "abcd"], "tls": [{}]},
                "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}},
            },
            ["<none>", "a,b,c + 1 more...", "1.2.3.4", "80, 443", "10s"],
        ),
        (kinds.INGRESS, {"metadata": meta(), "spec": {"rules": [{}]}}, ["<none>", "*", "", "80", "10s"]),
        (kinds.NETWORK_POLICY, {"metadata": meta(), "spec": {"podSelector": {}}}, ["<none>", "10s"]),
        (
            kinds.POD_DISRUPTION_BUDGET,
            {"metadata": meta(), "spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}},
            ["50%", "N/A", 1, "10s"],
        ),
        (
            kinds.RESOURCE_QUOTA,
            {
                "metadata": meta(),
                "spec": {},
                "status": {"hard": {"pods": "4", "limits.cpu": "2"}, "used": {"pods": "1"}},
            },
            ["pods: 1/4", "limits.cpu: 0/2", "10s"],
        ),
        (
            kinds.PRIORITY_CLASS,
            {"metadata": meta(), "value": 10, "preemptionPolicy": "Never"},
            [10, False, "10s", "Never"],
        ),
        (kinds.SCALE, {"metadata": meta(), "spec": {"replicas": 3}, "status": {"replicas": 1}}, [3, 1, "10s"]),
        (
            kinds.IP_ADDRESS,
            {
                "metadata": meta(),
                "spec": {"parentRef": {"group": "", "resource": "services", "namespace": "default", "name": "web"}},
            },
            ["services/default/web"],
        ),
        (
            kinds.SERVICE_CIDR,
            {"metadata": meta(), "spec": {"cidrs": ["10.96.0.0/12", "fd00::/108"]}},
            ["10.96.0.0/12,fd00::/108", "10s"],
        ),
    ],
)
def test_cells(kind: Kind, obj: Object, cells: list[Any]) -> None:
    table = tables.render(kind, [obj], now_s=NOW_S)
    got = table["rows"][0]["cells"]
    assert len(got) == len(table["columnDefinitions"])
    assert got[1:] == cells


@pytest.mark.parametrize("annotation", ["true", "false"])
def test_defaults_among_classes_are_marked(annotation: str) -> None:
    marked = " (default)" if annotation == "true" else ""
    for kind, key in (
        (kinds.STORAGE_CLASS, "storageclass.kubernetes.io/is-default-class"),
        (kinds.INGRESS_CLASS, "ingressclass.kubernetes.io/is-default-class"),
    ):
        obj = {"metadata": meta(annotations={key: annotation}), "spec": {}}
        assert tables.render(kind, [obj], now_s=NOW_S)["rows"][0]["cells"][0] == f"x{marked}"


@pytest.mark.parametrize(
    ("metrics", "current", "shown"),
    [
        ([], [], "<none>"),
        ([("cpu", {"averageUtilization": 50})], [], "cpu: <unknown>/50%"),
        ([("cpu", {"averageUtilization": 50})], [{"averageUtilization": 7}], "cpu: 7%/50%"),
        ([("memory", {"averageValue": "1Gi"})], [{"averageValue": "20Mi"}], "memory: 20Mi/1Gi"),
        (
            [("a", {"averageUtilization": 1}), ("b", {}), ("c", {})],
            [],
            "a: <unknown>/1%, b: <unknown>/<auto> + 1 more...",
        ),
    ],
)
def test_autoscaler_targets(metrics: list[tuple[str, Object]], current: list[Object], shown: str) -> None:
    obj = {
        "metadata": meta(),
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "maxReplicas": 3,
            "metrics": [{"type": "Resource", "resource": {"name": n, "target": t}} for n, t in metrics],
        },
        "status": {"currentMetrics": [{"type": "Resource", "resource": {"current": c}} for c in current]},
    }
    cells = tables.render(kinds.HORIZONTAL_POD_AUTOSCALER, [obj], now_s=NOW_S)["rows"][0]["cells"]
    assert cells == ["x", "Deployment/web", shown, "<unset>", 3, 0, "10s"]


@pytest.mark.parametrize("kind", [k for k in kinds.KINDS if k.is_stored], ids=str)
def test_every_kind_has_described_columns_with_a_name(kind: Kind) -> None:
    listed = tables.render(kind, [], now_s=NOW_S)["columnDefinitions"]
    assert [c["format"] for c in listed].count("name") == 1
    assert all(c["description"].endswith(".") for c in listed)


def test_objects_come_as_asked_for() -> None:
    obj = {"metadata": meta(), "type": "Opaque"}
    objects = {
        include: tables.render(kinds.SECRET, [obj], now_s=NOW_S, include_object=include)["rows"][0].get("object")
        for include in ("None", "Metadata", "Object")
    }
    assert objects["None"] is None
    assert objects["Metadata"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": obj["metadata"],
    }
    assert objects["Object"] == {"kind": "Secret", "apiVersion": "v1", **obj}
