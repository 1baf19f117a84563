from __future__ import annotations

import asyncio
from typing import Any

import pytest

from labctl.api import kinds
from labctl.kubelet import grpc_check
from tests.kubelet.conftest import World, settle

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]

IP = "10.244.1.2"


def http(**probe: Any) -> dict[str, Any]:
    return {"httpGet": {"path": "/healthz", "port": 80}, "periodSeconds": 2, **probe}


async def test_a_container_is_ready_when_its_probe_says_so_and_not_before(world: World) -> None:
    world.dialer.answers[IP, 80] = 503
    await world.run_pod(readinessProbe=http())
    assert not world.is_ready() and world.container()["started"]
    assert world.events.messages("p", "Unhealthy") == ["Readiness probe failed: HTTP probe failed with statuscode: 503"]
    world.dialer.answers[IP, 80] = 204
    await settle(2)
    assert world.is_ready()
    assert world.dialer.dialled[0] == ("node-1", IP, 80), "from the pod's node"
    world.dialer.answers[IP, 80] = 500
    await settle(5)
    assert world.is_ready(), "three failures make it unready"
    await settle(2)
    assert not world.is_ready() and world.container()["restartCount"] == 0


async def test_a_pod_that_is_ending_is_asked_whether_it_serves_but_not_killed(world: World) -> None:
    world.dialer.answers[IP, 80] = 200
    await world.run_pod(
        terminationGracePeriodSeconds=60, readinessProbe=http(), livenessProbe=http(),
        lifecycle={"preStop": {"sleep": {"seconds": 50}}},
    )  # fmt: skip
    assert world.is_ready()
    await world.api.delete(kinds.POD, "default", "p")
    await settle(10)
    assert world.is_ready(), "it serves while it ends"
    world.dialer.answers[IP, 80] = 500
    await settle(10)
    assert not world.is_ready()
    assert world.container()["restartCount"] == 0
    assert len([m for m in world.events.messages("p", "Killing") if "liveness" in m]) == 0
    await settle(60)
    assert not world.api.has(kinds.POD, "p")


async def test_a_refused_connection_is_told_as_go_tells_it(world: World) -> None:
    await world.run_pod(readinessProbe=http(), livenessProbe={"tcpSocket": {"port": 81}})
    assert set(world.events.messages("p", "Unhealthy")) == {
        f'Readiness probe failed: Get "http://{IP}:80/healthz": dial tcp {IP}:80: connect: connection refused',
        f"Liveness probe failed: dial tcp {IP}:81: connect: connection refused",
    }


async def test_a_container_that_fails_its_liveness_probe_is_restarted(world: World) -> None:
    world.dialer.answers[IP, 80] = 500
    await world.run_pod(livenessProbe=http(failureThreshold=2))
    await settle(2)
    assert world.events.messages("p", "Killing") == ["Container main failed liveness probe, will be restarted"]
    assert world.container()["restartCount"] == 1
    world.dialer.answers[IP, 80] = 200
    await settle(20)
    assert world.container()["restartCount"] == 1 and world.is_ready()


async def test_a_startup_probe_holds_the_others_back(world: World) -> None:
    world.dialer.answers[IP, 80] = 500
    await world.run_pod(startupProbe=http(failureThreshold=30), readinessProbe=http(), livenessProbe=http())
    await settle(10)
    assert not world.container()["started"] and not world.is_ready()
    assert {m.split()[0] for m in world.events.messages("p", "Unhealthy")} == {"Startup"}
    world.dialer.answers[IP, 80] = 200
    await settle(4)
    assert world.container()["started"] and world.is_ready()


async def test_a_startup_probe_that_never_succeeds_kills_the_container(world: World) -> None:
    await world.run_pod(startupProbe=http(failureThreshold=2))
    await settle(2)
    assert world.events.messages("p", "Killing") == ["Container main failed startup probe, will be restarted"]


async def test_a_command_is_run_in_the_container(world: World) -> None:
    code = [1]
    world.engine.programs[("check",)] = lambda _: ([("stderr", b"not yet\n")], code[0])
    await world.run_pod(readinessProbe={"exec": {"command": ["check"]}, "periodSeconds": 1})
    assert world.events.messages("p", "Unhealthy")[0] == "Readiness probe failed: not yet\n"
    code[0] = 0
    await settle(2)
    assert world.is_ready()


async def test_ports_may_be_named_and_the_first_probe_may_wait(world: World) -> None:
    world.dialer.answers[IP, 8080] = 200
    probe = {"httpGet": {"path": "/", "port": "web"}, "initialDelaySeconds": 30}
    await world.run_pod(ports=[{"name": "web", "containerPort": 8080}], readinessProbe=probe)
    await settle(28)
    assert not world.dialer.dialled
    await settle(3)
    assert world.is_ready()


async def test_a_redirect_is_a_success_with_a_warning(world: World) -> None:
    world.dialer.answers[IP, 80] = 302
    await world.run_pod(readinessProbe=http())
    assert world.is_ready() and world.events.messages("p", "ProbeWarning")


async def test_a_deleted_pod_is_not_killed_for_failing_probes(world: World) -> None:
    world.dialer.answers[IP, 80] = 200
    await world.run_pod(livenessProbe=http(failureThreshold=1), terminationGracePeriodSeconds=60)
    world.engine.named("k8s_main_p").ignores_sigterm = True
    await world.api.delete(kinds.POD, "default", "p")
    world.dialer.answers[IP, 80] = 500
    await settle(20)
    assert not world.events.messages("p", "Unhealthy")


async def test_a_ready_container_stays_ready_when_the_kubelet_is_restarted(world: World) -> None:
    world.dialer.answers[IP, 80] = 200
    await world.run_pod(readinessProbe=http(periodSeconds=30))
    assert world.is_ready()
    await world.stop()
    await settle(60)
    world.dialer.answers.clear()
    await world.start()
    assert world.is_ready(), "until its probe has failed three times"
    await settle(100)
    assert not world.is_ready()


def _answer(status: int) -> bytes:
    body = b"\x00\x00\x00\x00\x02\x08" + bytes([status])
    return grpc_check.frame(4, 0, 0) + grpc_check.frame(1, 4, 1, b"\x88") + grpc_check.frame(0, 0, 1, body)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (_answer(1), ""),
        (_answer(2), 'service unhealthy (responded with "NOT_SERVING")'),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "error: "),
        (grpc_check.frame(1, 5, 1, b"\x88"), "error: this server does not implement the grpc health protocol"),
    ],
    ids=["serving", "not serving", "no http2", "no such service"],
)
async def test_grpc_health(world: World, answer: bytes, complaint: str) -> None:
    world.dialer.answers[IP, 9000] = answer
    await world.run_pod(readinessProbe={"grpc": {"port": 9000, "service": "db"}})
    assert world.is_ready() == (not complaint)
    said = world.events.messages("p", "Unhealthy")
    assert not said if not complaint else complaint in said[0]


async def test_a_defect_in_a_probe_does_not_end_the_pods_worker(world: World) -> None:
    async def broken(*_: object) -> Any:
        raise RuntimeError("a defect")

    world.dialer.open = broken  # type: ignore[method-assign,assignment]  # as if it had a defect
    await world.run_pod(readinessProbe=http())
    await asyncio.sleep(3)
    world.crash("main")
    await settle()
    assert world.container()["restartCount"] == 1
