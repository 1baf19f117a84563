"""Defaults, compared with what Kubernetes' own defaulting made of the same objects (data/defaulted.json)."""

import json
from pathlib import Path
from typing import Any

import pytest

from labctl.api import conversion, defaults, kinds, schema
from labctl.api.defaults.create import qos_class
from labctl.api.objects import Object, copy
from labctl.api.status import ApiError

DATA = Path(__file__).parent / "data"
CASES: list[Any] = json.loads((DATA / "defaulted.json").read_text())
LIVE: list[Any] = json.loads((DATA / "live-objects.json").read_text())


def kind_of(obj: Object) -> kinds.Kind:
    kind = kinds.of(obj)
    assert kind is not None
    return kind


def case_id(case: Object) -> str:
    return f"{case['kind']} {json.dumps(case['before'])[:60]}"


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_fills_in_what_kubernetes_fills_in(case: Object) -> None:
    kind = kind_of(case)
    obj = schema.decode(kind, case["before"]).object
    defaults.apply_defaults(kind, obj)
    assert obj == case["after"]


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_applying_twice_changes_nothing(case: Object) -> None:
    obj = copy(case["after"])
    defaults.apply_defaults(kind_of(case), obj)
    assert obj == case["after"]


@pytest.mark.parametrize("obj", LIVE, ids=lambda o: f"{o['kind']} {o['metadata']['name']}")
def test_objects_of_a_real_cluster_have_all_their_defaults(obj: Object) -> None:
    again = copy(obj)
    defaults.apply_defaults(kind_of(obj), again)
    assert again == obj


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda k: f"{k.api_version} {k.kind}")
def test_bare_objects_can_be_defaulted(kind: kinds.Kind) -> None:
    obj: Object = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "x"}}
    defaults.apply_defaults(kind, obj)
    schema.decode(kind, obj)


def test_new_namespaces_are_active_and_have_a_finalizer() -> None:
    obj: Object = {"metadata": {"name": "x"}, "spec": {"finalizers": ["a/b"]}, "status": {"phase": "Terminating"}}
    defaults.prepare_for_create(kinds.NAMESPACE, obj)
    assert obj["spec"] == {"finalizers": ["a/b", "kubernetes"]}
    assert obj["status"] == {"phase": "Active"}


def test_clients_cannot_create_status() -> None:
    deployment: Object = {"metadata": {"name": "x"}, "status": {"replicas": 7}}
    defaults.prepare_for_create(kinds.DEPLOYMENT, deployment)
    assert (deployment["metadata"]["generation"], deployment["status"]) == (1, {})
    service: Object = {"metadata": {}, "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}
    defaults.prepare_for_create(kinds.SERVICE, service)
    assert service["status"] == {"loadBalancer": {}}
    assert "generation" not in service["metadata"]


def containers(*resources: Object) -> Object:
    return {"spec": {"containers": [{"resources": r} for r in resources]}}


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (containers({}), "BestEffort"),
        (containers({"requests": {"cpu": "100m"}}), "Burstable"),
        (containers({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m"}}), "Guaranteed"),
        (containers({"limits": {"cpu": "1", "memory": "1Gi"}}, {}), "Burstable"),
        (containers({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}), "Burstable"),
        (containers({"requests": {"example.com/gpu": "1"}}), "BestEffort"),
    ],
)
def test_qos_class_of_new_pods(pod: Object, expected: str) -> None:
    assert qos_class(pod) == expected
    defaults.prepare_for_create(kinds.POD, pod)
    assert pod["status"] == {"phase": "Pending", "qosClass": expected}


CONVERTED: list[Any] = json.loads((DATA / "converted.json").read_text())


@pytest.mark.parametrize("case", CONVERTED, ids=lambda c: f"{c['from']['apiVersion']} {c['from']['kind']}")
def test_conversion_is_that_of_kubernetes(case: Object) -> None:
    source, target = kind_of(case["from"]), kind_of(case["to"])
    stored = conversion.to_storage(source, case["from"])
    assert stored["apiVersion"] == kinds.storage_kind(source).api_version
    assert conversion.from_storage(target, stored) == case["to"]
    assert conversion.from_storage(source, stored) == case["from"]


@pytest.mark.parametrize("text", ["no json", "5", "[5]", '[{"type":5}]', '[{"type":"Pods","pods":7}]', '{"a":"b"}'])
def test_autoscaler_annotations_may_hold_anything(text: str) -> None:
    prefix = "autoscaling.alpha.kubernetes.io/"
    annotations = {prefix + name: text for name in ("metrics", "behavior", "conditions")}
    obj = {"metadata": {"annotations": annotations}, "spec": {"maxReplicas": 1}}
    try:
        stored = conversion.to_storage(kinds.HORIZONTAL_POD_AUTOSCALER_V1, obj)
    except ApiError as error:
        assert error.code == 400
    else:
        assert stored["spec"]["metrics"]
        assert "annotations" not in stored["metadata"]


def test_a_gated_pod_says_so_from_its_beginning() -> None:
    pod: Object = {"metadata": {"name": "p"}, "spec": {"containers": [], "schedulingGates": [{"name": "wait"}]}}
    defaults.prepare_for_create(kinds.POD, pod)
    (condition,) = pod["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "SchedulingGated")
