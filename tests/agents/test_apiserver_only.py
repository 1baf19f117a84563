"""The API server without Docker: its Node, its pods that stay Pending, and what streams into them answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from labctl.agents import apiserver_only
from labctl.agents.apiserver_only import NODE, HollowRuntime, PodFinisher
from labctl.api import kinds
from labctl.api.status import ApiError
from labctl.apiserver.runtime import LogOptions
from labctl.apiserver.server import ApiServer
from labctl.config import Credentials, LabConfig
from labctl.errors import LabctlError, MissingPrerequisite

NOW = "2026-01-01T00:00:00Z"
POD: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"nodeName": NODE, "initContainers": [{"name": "wait"}], "containers": [{"name": "app"}]},
}


@pytest.fixture
def server() -> ApiServer:
    return ApiServer(LabConfig("test", (), Credentials(), ""))


async def test_the_node_is_ready_and_registering_again_keeps_it(server: ApiServer) -> None:
    await apiserver_only.register_node(server.local, NOW)
    first = await server.local.get(kinds.NODE, "", NODE)
    await apiserver_only.register_node(server.local, "2027-01-01T00:00:00Z")
    assert await server.local.get(kinds.NODE, "", NODE) == first
    ready = first["status"]["conditions"][0]
    assert (ready["type"], ready["status"], ready["lastHeartbeatTime"]) == ("Ready", "True", NOW)
    assert first["metadata"]["labels"]["kubernetes.io/hostname"] == NODE


@pytest.fixture
async def finishing(server: ApiServer) -> AsyncIterator[ApiServer]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(PodFinisher(server.local).run())
        yield server
        task.cancel()


async def _gone(server: ApiServer, name: str) -> None:
    async with asyncio.timeout(5):
        async for event in server.local.watch(kinds.POD, "default", send_initial_events=True):
            if event.type == "DELETED" and event.object["metadata"]["name"] == name:
                return


async def test_a_bound_pod_that_is_deleted_goes(finishing: ApiServer) -> None:
    await apiserver_only.ensure_service_account(finishing.local)
    await apiserver_only.ensure_service_account(finishing.local)  # again: over a kept state
    pod = {"metadata": {"name": "web"}, "spec": {"nodeName": NODE, "containers": [{"name": "a", "image": "i"}]}}
    await finishing.local.create(kinds.POD, pod, namespace="default")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_gone(finishing, "web"))
        await asyncio.sleep(0)
        deleted = await finishing.local.delete(kinds.POD, "default", "web")
        assert deleted["metadata"]["deletionGracePeriodSeconds"] == 30
    with pytest.raises(ApiError) as refusal:
        await finishing.local.get(kinds.POD, "default", "web")
    assert refusal.value.code == 404


async def test_exec_and_attach_answer_like_a_kubelet_without_the_container() -> None:
    runtime = HollowRuntime()
    with pytest.raises(ApiError) as exec_refusal:
        await runtime.exec(POD, "app", ["ls"], stdin=False, tty=False)
    assert exec_refusal.value.message.endswith('container not found ("app")')
    with pytest.raises(ApiError) as attach_refusal:
        await runtime.attach(POD, "app", stdin=False, tty=False)
    assert attach_refusal.value.message.endswith("container app not found in pod web_shop")
    with pytest.raises(ApiError) as dial_refusal:
        await runtime.dial(POD, 80)
    assert dial_refusal.value.message.endswith('pod not found ("web_shop")')
    assert {r.value.code for r in (exec_refusal, attach_refusal, dial_refusal)} == {500}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (LogOptions("wait"), 'container "wait" in pod "web" is waiting to start: ContainerCreating'),
        (LogOptions("app"), 'container "app" in pod "web" is waiting to start: PodInitializing'),
        (LogOptions("app", previous=True), 'previous terminated container "app" in pod "web" not found'),
    ],
)
async def test_logs_say_what_the_container_waits_for(options: LogOptions, words: str) -> None:
    with pytest.raises(ApiError) as refusal:
        await anext(HollowRuntime().logs(POD, options))
    assert (refusal.value.code, refusal.value.message) == (400, words)


def test_a_port_that_is_taken_is_named() -> None:
    with (
        apiserver_only.listen("127.0.0.1", 0) as taken,
        pytest.raises(MissingPrerequisite, match=f"127.0.0.1:{taken.getsockname()[1]}: Address already in use"),
    ):
        apiserver_only.listen("127.0.0.1", taken.getsockname()[1])


def test_a_state_file_that_is_none_is_named(tmp_path: Any) -> None:
    broken = tmp_path / "state.db"
    broken.write_bytes(b"x" * 8192)
    with pytest.raises(LabctlError, match=r"state\.db cannot keep the state: .*not a database"):
        apiserver_only.open_server(LabConfig("test", (), Credentials(), ""), str(broken))


def test_answers_do_not_wait_for_an_acknowledgement() -> None:
    with apiserver_only.listen("127.0.0.1", 0) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
