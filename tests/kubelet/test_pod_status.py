from __future__ import annotations

from typing import Any

import pytest

from labctl.api.objects import Object
from labctl.kubelet.instances import Instance, PodInstances
from labctl.kubelet.pod_status import Facts, Waiting, build, qos_class
from tests.kubelet.conftest import pod

NOW = 1_800_000_000.0


def instances(**states: str | int) -> PodInstances:
    """`main="running"` runs, a number has ended with this code."""
    made = PodInstances()
    for name, state in states.items():
        if isinstance(state, int):
            reason = "Error" if state else "Completed"
            made.put(
                Instance(f"id-{name}", name, 0, "exited", exit_code=state, reason=reason, started_at=1, finished_at=2)
            )
        else:
            made.put(Instance(f"id-{name}", name, 0, "running", started_at=NOW))
    return made


def status(
    made: Object | None = None, *, waiting: dict[str, Waiting] | None = None, up: str = "", **states: Any
) -> Object:
    names = frozenset(up.split())
    facts = Facts(instances(**states), waiting=waiting or {}, started=names, ready=names,
                  pod_ips=("10.244.1.2",), host_ips=("192.168.123.11",), has_sandbox=True)  # fmt: skip
    return build(made or pod(), facts, NOW)


def conditions(found: Object) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c.get("reason", "")) for c in found["conditions"]}


CRASH = {"main": Waiting("CrashLoopBackOff", "back-off 10s")}


@pytest.mark.parametrize(("state", "is_ready"), [("running", False), (1, False), (0, True)])
def test_an_init_container_is_ready_when_it_has_done_its_work(state: str | int, *, is_ready: bool) -> None:
    found = status(pod(initContainers=[{"name": "i", "image": "app"}]), up="i", i=state)
    assert found["initContainerStatuses"][0]["ready"] == is_ready
    assert conditions(found)["Initialized"] == (("True", "") if is_ready else ("False", "ContainersNotInitialized"))


@pytest.mark.parametrize(
    ("spec", "states", "waiting", "phase"),
    [
        ({}, {}, {}, "Pending"),
        ({}, {"main": "running"}, {}, "Running"),
        ({}, {"main": 1}, {}, "Running"),
        ({}, {"main": 0}, CRASH, "Running"),
        ({"restartPolicy": "Never"}, {"main": 0}, {}, "Succeeded"),
        ({"restartPolicy": "Never"}, {"main": 1}, {}, "Failed"),
        ({"restartPolicy": "OnFailure"}, {"main": 0}, {}, "Succeeded"),
        ({"restartPolicy": "OnFailure"}, {"main": 1}, CRASH, "Running"),
        ({"initContainers": [{"name": "i", "image": "app"}]}, {"i": "running"}, {}, "Pending"),
        ({"initContainers": [{"name": "i", "image": "app"}]}, {"i": 1}, {}, "Pending"),
        ({"initContainers": [{"name": "i", "image": "app"}], "restartPolicy": "Never"}, {"i": 1}, {}, "Failed"),
        ({"initContainers": [{"name": "i", "image": "app"}]}, {"i": 0, "main": "running"}, {}, "Running"),
        ({"initContainers": [{"name": "s", "image": "app", "restartPolicy": "Always"}]}, {"s": "running"}, {}, "Pending"),
        ({"initContainers": [{"name": "s", "image": "app", "restartPolicy": "Always"}], "restartPolicy": "Never"},
         {"s": "running", "main": 0}, {}, "Succeeded"),
    ],
    ids=["nothing yet", "running", "crashed", "ended but restarts", "never: done", "never: failed", "on failure: done",
         "on failure: again", "init runs", "init failed", "init failed for good",
         "initialized", "sidecar starts", "sidecar does not count"],
)  # fmt: skip
def test_phases(spec: dict[str, Any], states: dict[str, Any], waiting: dict[str, Waiting], phase: str) -> None:
    assert status(pod(**spec), waiting=waiting, **states)["phase"] == phase


def test_an_ended_pod_never_leaves_its_phase() -> None:
    made = pod(restartPolicy="Never") | {"status": {"phase": "Succeeded"}}
    assert status(made, main="running")["phase"] == "Succeeded"


def test_a_container_that_waits_for_its_restart_tells_its_last_end() -> None:
    found = status(waiting=CRASH, main=3)["containerStatuses"][0]
    assert found["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    assert found["lastState"]["terminated"] == {
        "containerID": "docker://id-main", "exitCode": 3, "reason": "Error",
        "startedAt": "1970-01-01T00:00:01Z", "finishedAt": "1970-01-01T00:00:02Z",
    }  # fmt: skip
    assert not found["ready"] and not found["started"]


def test_ready_needs_every_container() -> None:
    two = pod(containers=[{"name": "a", "image": "app"}, {"name": "b", "image": "app"}])
    found = status(two, a="running", b="running", up="a")
    assert conditions(found)["Ready"] == ("False", "ContainersNotReady")
    assert found["conditions"][-3]["message"] == "containers with unready status: [b]"
    assert conditions(status(two, a="running", b="running", up="a b"))["Ready"] == ("True", "")


def test_readiness_gates_are_others_business() -> None:
    gated = pod(readinessGates=[{"conditionType": "example.com/ok"}])
    found = status(gated, main="running", up="main")
    assert conditions(found)["Ready"] == ("False", "ReadinessGatesNotReady")
    gated["status"] = {"conditions": [{"type": "example.com/ok", "status": "True"}]}
    found = status(gated, main="running", up="main")
    assert conditions(found)["Ready"] == ("True", "") and found["conditions"][0]["type"] == "example.com/ok"


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    first = status(main="running", up="main")
    made = pod() | {"status": first}
    facts = Facts(instances(main="running"), started=frozenset({"main"}), has_sandbox=True)
    second = build(made, facts, NOW + 60)
    times = {c["type"]: c["lastTransitionTime"] for c in second["conditions"]}
    assert times["Ready"] != times["Initialized"] == first["conditions"][1]["lastTransitionTime"]


def test_mounts_are_listed_as_recorded() -> None:
    mount = {"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}
    found = status(pod(volumeMounts=[mount]), main="running")["containerStatuses"][0]
    assert found["volumeMounts"] == [mount | {"recursiveReadOnly": "Disabled"}]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}, "Burstable"),
    ],
)
def test_quality_of_service(resources: dict[str, Any], expected: str) -> None:
    assert qos_class(pod(resources=resources)) == expected
