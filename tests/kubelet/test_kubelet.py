from __future__ import annotations

import asyncio
from typing import Any

import pytest

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.config import LABEL_ROLE
from labctl.engine.fake import Output
from tests.kubelet.conftest import World, eventually, pod, settle

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]


async def test_a_pod_becomes_ready_and_tells_it_in_the_kubelets_words(world: World) -> None:
    await world.run_pod()
    assert world.is_ready()
    status = world.status()
    assert status["phase"] == "Running"
    assert status["podIP"] == "10.244.1.2" and status["hostIP"] == "192.168.123.11"
    assert [c["type"] for c in status["conditions"]] == [
        "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled",
    ]  # fmt: skip
    container = world.container()
    assert container["ready"] and container["started"] and container["restartCount"] == 0
    assert container["containerID"].startswith("docker://") and container["imageID"] == "sha256:app"
    assert world.events.reasons("p") == ["Pulled", "Created", "Started"]
    assert world.events.messages("p", "Pulled") == [
        'Container image "app" already present on machine and can be accessed by the pod'
    ]


async def test_the_sandbox_owns_the_address_and_sends_everything_to_its_node(world: World) -> None:
    await world.run_pod()
    sandbox, app = world.spec_of("k8s_POD_p"), world.spec_of("k8s_main_p")
    assert sandbox.address == "10.244.1.2" and sandbox.network == "t-pods" and sandbox.cap_add == ("NET_ADMIN",)
    assert sandbox.env["GATEWAY"] == "10.244.1.1" and "default via" in sandbox.command[-1]
    assert app.network_of == world.engine.named("k8s_POD_p").id and app.cap_add == () and not app.network
    mounted = {m.target: m for m in app.mounts}
    assert {"/etc/hosts", "/etc/resolv.conf", "/dev/termination-log"} <= mounted.keys()
    hosts = world.root / mounted["/etc/hosts"].subpath.removeprefix("pods/")
    assert hosts.read_text().endswith("fe00::2\tip6-allrouters\n10.244.1.2\tp\n")


async def test_a_pod_needs_few_engine_calls(world: World) -> None:
    await world.start()
    before = world.engine.calls.total()
    await world.run_pod()
    assert world.engine.calls.total() - before == 5, "image, two creates, two starts"


async def test_pods_of_foreign_nodes_are_left_alone(world: World) -> None:
    await world.run_pod(nodeName="elsewhere")
    assert "status" not in world.pod()


async def test_a_crashing_container_backs_off_from_ten_seconds_on(world: World) -> None:
    await world.run_pod()
    world.crash("main", exit_code=3)
    await settle()
    assert world.container()["restartCount"] == 1 and world.is_ready(), "the first restart is at once"
    assert world.container()["lastState"]["terminated"]["exitCode"] == 3
    world.crash("main")
    await settle()
    waiting = world.container()["state"]["waiting"]
    assert waiting["reason"] == "CrashLoopBackOff"
    assert waiting["message"] == f"back-off 10s restarting failed container=main pod=p_default({world.uid()})"
    assert "BackOff" in world.events.reasons("p") and not world.is_ready()
    assert world.status()["phase"] == "Running"
    await settle(7)
    assert world.container()["restartCount"] == 1
    await settle(4)
    assert world.container()["restartCount"] == 2 and world.is_ready()
    world.crash("main")
    await settle()
    assert world.container()["state"]["waiting"]["message"].startswith("back-off 20s")
    assert len([c for c in world.engine.containers.values() if "k8s_main" in c.state.name]) == 2, "old runs go"


async def test_a_killed_sandbox_means_a_new_one_with_a_new_address(world: World) -> None:
    await world.run_pod()
    world.crash("POD", exit_code=137)
    await settle()
    assert world.is_ready() and world.status()["podIP"] == "10.244.1.3"
    assert "SandboxChanged" in world.events.reasons("p")
    assert world.container()["restartCount"] == 1


async def test_everything_removed_behind_our_back_comes_back_at_once(world: World) -> None:
    await world.run_pod()
    for container in [c for c in world.engine.containers.values() if "_p_" in c.state.name]:
        await world.engine.remove(container.id)
    await settle()
    assert world.is_ready() and world.status()["podIP"] == "10.244.1.3"


async def test_a_deleted_pod_ends_within_its_grace_period_and_leaves_nothing(world: World) -> None:
    hooked: list[bytes] = []

    def hook(_: bytes) -> tuple[Output, int]:
        hooked.append(b"")
        return [], 0

    world.engine.programs[("bye",)] = hook
    await world.run_pod(
        terminationGracePeriodSeconds=20, lifecycle={"preStop": {"exec": {"command": ["bye"]}}},
        volumes=[{"name": "m", "emptyDir": {"medium": "Memory"}}], volumeMounts=[{"name": "m", "mountPath": "/m"}],
    )  # fmt: skip
    assert world.engine.volumes
    world.engine.named("k8s_main_p").ignores_sigterm = True
    await world.api.delete(kinds.POD, "default", "p")
    await settle(18)
    assert (
        hooked
        and world.api.has(kinds.POD, "p")
        and world.events.messages("p", "Killing") == ["Stopping container main"]
    )
    await settle(3)
    assert not world.api.has(kinds.POD, "p")
    assert not world.engine.containers and not world.engine.volumes and not list(world.root.iterdir())


async def test_a_forced_deletion_cuts_the_grace_period_short(world: World) -> None:
    await world.run_pod()
    world.engine.named("k8s_main_p").ignores_sigterm = True
    await world.api.delete(kinds.POD, "default", "p")
    await settle()
    await world.api.delete(kinds.POD, "default", "p", grace_period_s=0)
    await settle(3)
    assert not world.engine.containers


async def test_a_pod_deleted_while_its_image_is_pulled_does_not_wait_for_it(world: World) -> None:
    async def pull(image: str) -> None:
        await asyncio.sleep(10_000)

    world.engine.pull = pull  # type: ignore[method-assign]  # a registry that never answers
    await world.run_pod(image="slow")
    assert world.container()["state"]["waiting"]["reason"] == "ContainerCreating"
    await world.api.delete(kinds.POD, "default", "p")
    await settle()
    assert not world.api.has(kinds.POD, "p") and not world.engine.containers


async def test_a_deleted_config_is_waited_for_and_a_changed_one_reaches_the_running_container(world: World) -> None:
    volumes = [{"name": "conf", "configMap": {"name": "conf"}}]
    mounts = [{"name": "conf", "mountPath": "/etc/conf"}]
    await world.run_pod(volumes=volumes, volumeMounts=mounts)
    assert world.events.messages("p", "FailedMount") == [
        'MountVolume.SetUp failed for volume "conf" : configmap "conf" not found'
    ]
    assert world.container()["state"]["waiting"]["reason"] == "ContainerCreating"
    world.api.put(kinds.CONFIG_MAP, {"metadata": {"name": "conf"}, "data": {"colour": "green"}})
    await settle()
    assert world.is_ready()
    folder = world.root / world.pod()["metadata"]["uid"] / "volumes" / "conf"
    assert (folder / "colour").read_text() == "green"
    world.api.put(kinds.CONFIG_MAP, {"metadata": {"name": "conf"}, "data": {"colour": "blue"}})
    await settle()
    assert (folder / "colour").read_text() == "blue" and world.container()["restartCount"] == 0


async def test_a_volume_type_that_a_lab_has_not_is_refused_in_clear_words(world: World) -> None:
    await world.run_pod(volumes=[{"name": "data", "hostPath": {"path": "/"}}])
    message = world.events.messages("p", "FailedMount")[0]
    assert 'volume "data"' in message and "labctl has no hostPath volumes" in message
    assert world.container()["state"]["waiting"]["reason"] == "ContainerCreating"


async def test_a_missing_key_holds_the_container_back(world: World) -> None:
    world.api.put(kinds.SECRET, {"metadata": {"name": "s"}, "data": {}})
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    await world.run_pod(env=env)
    waiting = world.container()["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerConfigError", "message": "couldn't find key k in Secret default/s"}
    assert world.events.messages("p", "Failed") == ["Error: couldn't find key k in Secret default/s"]
    world.api.put(kinds.SECRET, {"metadata": {"name": "s"}, "data": {"k": "djE="}})
    await settle()
    assert world.is_ready() and world.spec_of("k8s_main_p").env["KEY"] == "v1"


async def test_init_containers_run_one_after_the_other_before_the_rest(world: World) -> None:
    inits = [{"name": "one", "image": "app"}, {"name": "two", "image": "app"}]
    await world.run_pod(initContainers=inits)
    assert world.status()["phase"] == "Pending" and world.condition("Initialized") == "False"
    assert world.container("main")["state"]["waiting"]["reason"] == "PodInitializing"
    assert [c.state.name.split("_")[1] for c in world.engine.containers.values()] == ["POD", "one"]
    world.crash("one", exit_code=0)
    await settle()
    assert world.container("one")["ready"] and not world.is_ready()
    world.crash("two", exit_code=5)
    await settle()
    assert world.container("two")["restartCount"] == 1, "a failed init container runs again"
    world.crash("two", exit_code=0)
    await settle()
    assert world.is_ready() and world.condition("Initialized") == "True"


async def test_a_sidecar_starts_first_and_keeps_running(world: World) -> None:
    sidecar = {"name": "side", "image": "app", "restartPolicy": "Always"}
    await world.run_pod(initContainers=[sidecar, {"name": "init", "image": "app"}])
    assert world.container("side")["started"] and world.status()["phase"] == "Pending"
    world.crash("init", exit_code=0)
    await settle()
    assert world.is_ready()
    world.crash("side")
    await settle()
    assert world.container("side")["restartCount"] == 1 and world.is_ready()


@pytest.mark.parametrize(
    ("policy", "exit_code", "phase"), [("Never", 0, "Succeeded"), ("Never", 1, "Failed"), ("OnFailure", 0, "Succeeded")]
)
async def test_a_pod_that_does_not_restart_ends(world: World, policy: str, exit_code: int, phase: str) -> None:
    await world.run_pod(restartPolicy=policy)
    world.crash("main", exit_code=exit_code)
    await settle()
    assert world.status()["phase"] == phase
    terminated = world.container()["state"]["terminated"]
    assert terminated["exitCode"] == exit_code and terminated["reason"] == ("Error" if exit_code else "Completed")
    assert [c.state.name.split("_")[1] for c in world.engine.containers.values()] == ["main"], "kept for its log"
    assert world.status()["podIP"] == "10.244.1.2"


async def test_a_pod_past_its_deadline_fails(world: World) -> None:
    await world.run_pod(activeDeadlineSeconds=5)
    assert world.is_ready()
    await settle(6)
    assert world.status()["phase"] == "Failed" and world.status()["reason"] == "DeadlineExceeded"


async def test_what_the_container_wrote_last_is_in_its_status(world: World) -> None:
    await world.run_pod()
    mount = next(m for m in world.spec_of("k8s_main_p").mounts if m.target == "/dev/termination-log")
    (world.root.parent / mount.subpath).write_text("disk on fire")
    world.crash("main", oom=True, exit_code=137)
    await settle()
    ended = world.container()["lastState"]["terminated"]
    assert ended["message"] == "disk on fire" and ended["reason"] == "OOMKilled"


@pytest.mark.parametrize(("exit_code", "message"), [(1, "first line\nlast line\n"), (0, None)], ids=["failed", "well"])
async def test_a_failed_container_is_quoted_from_its_log_when_it_asks_for_that(
    world: World, exit_code: int, message: str | None
) -> None:
    await world.run_pod(restartPolicy="Never", terminationMessagePolicy="FallbackToLogsOnError")
    for line in ("first line\n", "last line\n"):
        world.engine.say("k8s_main_p", line)
    world.crash("main", exit_code=exit_code)
    await settle()
    assert world.container()["state"]["terminated"].get("message") == message


async def test_a_pod_with_a_sysctl_of_the_nodes_own_is_not_admitted(world: World) -> None:
    await world.run_pod(securityContext={"sysctls": [{"name": "kernel/msgmax", "value": "1"}]})
    status = world.status()
    assert (status["phase"], status["reason"]) == ("Failed", "SysctlForbidden")
    assert status["message"] == 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted'
    assert world.events.reasons("p") == ["SysctlForbidden"]
    assert not [c for c in world.engine.containers.values() if "_p_" in c.state.name]


async def test_a_command_that_does_not_exist_is_told_and_backs_off(world: World) -> None:
    world.engine.cannot_start["nosuch"] = 'exec: "nosuch": executable file not found in $PATH: unknown'
    await world.run_pod(command=["nosuch"])
    await settle()
    container = world.container()
    assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert container["lastState"]["terminated"]["reason"] == "StartError"
    assert "executable file not found" in world.events.messages("p", "Failed")[0]


async def test_a_restarted_kubelet_adopts_what_runs(world: World) -> None:
    await world.run_pod("kept")
    await world.run_pod("deleted", terminationGracePeriodSeconds=1)
    await world.run_pod("vanished")
    ids = {c.id for c in world.engine.containers.values() if "_kept_" in c.state.name}
    await world.stop()
    await world.api.delete(kinds.POD, "default", "deleted")
    await world.api.delete(kinds.POD, "default", "vanished", grace_period_s=0)
    before = world.engine.calls["create"]
    await world.start()
    await settle(3)
    assert {c.id for c in world.engine.containers.values()} == ids, "the others are gone"
    assert world.engine.calls["create"] == before
    assert world.is_ready("kept") and world.container(of="kept")["restartCount"] == 0
    assert not world.api.has(kinds.POD, "deleted")
    assert [f.name for f in world.root.iterdir()] == [world.pod("kept")["metadata"]["uid"]]
    await world.run_pod("new")
    assert world.status("new")["podIP"] not in (world.status("kept")["podIP"], "10.244.1.1")


async def test_a_container_that_died_while_the_kubelet_was_away_is_restarted(world: World) -> None:
    await world.run_pod()
    await world.stop()
    world.crash("main", exit_code=2)
    await world.start()
    await settle()
    assert world.is_ready() and world.container()["restartCount"] == 1
    assert world.container()["lastState"]["terminated"]["exitCode"] == 2


async def test_a_broken_event_stream_is_taken_up_again(world: World) -> None:
    await world.run_pod()
    world.engine.stop_events()
    world.crash("main")
    await settle(3)
    assert world.container()["restartCount"] == 1


async def test_a_pod_on_its_nodes_network_joins_the_node(world: World) -> None:
    await world.run_pod(hostNetwork=True)
    assert world.container()["state"]["waiting"]["reason"] == "ContainerCreating", "the node is not there yet"
    node = await world.add_node_container()
    await settle(3)
    assert world.is_ready() and world.status()["podIP"] == "192.168.123.11"
    assert world.spec_of("k8s_POD_p").network_of == node


async def test_an_address_that_somebody_else_has_is_passed_over(world: World) -> None:
    world.engine.taken_addresses.add("10.244.1.2")
    await world.run_pod()
    await settle(3)
    assert world.is_ready() and world.status()["podIP"] == "10.244.1.3"


async def test_a_failed_post_start_hook_kills_the_container(world: World) -> None:
    world.engine.programs[("false",)] = lambda _: ([("stdout", b"no")], 1)
    await world.run_pod(lifecycle={"postStart": {"exec": {"command": ["false"]}}})
    assert {"FailedPostStartHook", "Killing"} <= set(world.events.reasons("p"))
    assert not world.is_ready()


async def test_an_ephemeral_container_joins_a_running_pod_once(world: World) -> None:
    await world.run_pod()
    changed: Any = pod()
    changed["spec"]["ephemeralContainers"] = [{"name": "dbg", "image": "app", "targetContainerName": "main"}]
    changed["status"] = world.status()
    world.api.put(kinds.POD, changed)
    await settle()
    assert world.status()["ephemeralContainerStatuses"][0]["state"]["running"]
    assert world.spec_of("k8s_dbg").pid_of == world.engine.named("k8s_main").id
    world.crash("dbg", exit_code=0)
    await settle()
    assert world.status()["ephemeralContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0


async def test_the_token_volume_is_filled_through_the_api_and_renewed(world: World) -> None:
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": 1000}}
    await world.run_pod(volumes=[{"name": "kube-api-access", "projected": {"sources": [source]}}])
    token = world.root / world.pod()["metadata"]["uid"] / "volumes" / "kube-api-access" / "token"
    assert token.read_text() == "token-1"
    about, request = world.api.token_requests[0]
    assert about == "default/default" and request["spec"]["boundObjectRef"]["name"] == "p"
    await settle(801)
    assert token.read_text() == "token-2"


async def test_nodes_register_with_what_a_real_kubelet_says(world: World) -> None:
    await world.start()
    node: Object = world.api.peek(kinds.NODE, "node-2", "")
    assert node["spec"] == {"podCIDR": "10.244.2.0/24", "podCIDRs": ["10.244.2.0/24"]}
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.3"
    assert node["status"]["addresses"] == [
        {"type": "InternalIP", "address": "192.168.123.12"},
        {"type": "Hostname", "address": "node-2"},
    ]
    assert {c["type"]: c["status"] for c in node["status"]["conditions"]} == {
        "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True",
    }  # fmt: skip
    lease = world.api.peek(kinds.LEASE, "node-2", "kube-node-lease")["spec"]["renewTime"]
    await settle(11)
    assert world.api.peek(kinds.LEASE, "node-2", "kube-node-lease")["spec"]["renewTime"] > lease
    await world.api.delete(kinds.NODE, "", "node-2")
    await settle(11)
    assert world.api.has(kinds.NODE, "node-2", ""), "a deleted Node comes back"


async def test_an_engine_that_is_away_is_waited_for(world: World) -> None:
    await world.start()
    world.engine.is_down = True
    await world.run_pod()
    assert not world.is_ready()
    world.engine.is_down = False
    await eventually(world.is_ready)


async def test_roles_are_labelled_so_that_down_finds_everything(world: World) -> None:
    await world.run_pod()
    assert {c.spec.labels[LABEL_ROLE] for c in world.engine.containers.values()} == {"sandbox", "container"}
    assert all(c.spec.labels["labctl.lab"] == "t" for c in world.engine.containers.values())
