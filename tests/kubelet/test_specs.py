from __future__ import annotations

from typing import Any

import pytest

from labctl.engine.protocol import ContainerSpec, ImageInfo
from labctl.kubelet.environment import ConfigError
from labctl.kubelet.specs import Addresses, Place, container_spec, sandbox_spec
from tests.kubelet.conftest import CONFIG, pod

PLACE = Place(CONFIG, CONFIG.nodes[0], "node-container", memory_bytes=8 << 30)


def made(*, user: str = "", security: dict[str, Any] | None = None, **spec: Any) -> ContainerSpec:
    built = pod(**spec)
    built["metadata"]["uid"] = "u"
    if security is not None:
        built["spec"]["containers"][0]["securityContext"] = security
    return container_spec(
        built, built["spec"]["containers"][0], 2, sandbox="box", image=ImageInfo("sha256:1", user=user),
        image_name="app", env={"PORT": "80"}, mounts=[], place=PLACE,
    )  # fmt: skip


def test_names_and_labels_are_those_of_kubernetes() -> None:
    spec = made()
    assert spec.name == "k8s_main_p_default_u_2"
    assert spec.labels["io.kubernetes.pod.uid"] == "u" and spec.labels["io.kubernetes.container.restartCount"] == "2"
    assert spec.labels["labctl.lab"] == "t"


def test_commands_are_expanded() -> None:
    spec = made(command=["serve", "$(PORT)"], args=["$$(PORT)", "$(NOPE)"])
    assert (spec.command, spec.args) == (["serve", "80"], ["$(PORT)", "$(NOPE)"])


def test_the_host_name_is_in_the_environment() -> None:
    assert made().env == {"HOSTNAME": "p", "PORT": "80"}
    assert made(hostname="db-0").env["HOSTNAME"] == "db-0"


def test_resources() -> None:
    spec = made(resources={"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}})
    assert (spec.nano_cpus, spec.memory_bytes, spec.cpu_shares) == (500_000_000, 64 << 20, 256)
    assert made().cpu_shares == 2 and made().oom_score_adj == 1000


def test_the_containers_security_context_wins_over_the_pods() -> None:
    context = {"runAsUser": 1000, "runAsGroup": 2000, "fsGroup": 3000, "supplementalGroups": [4000]}
    spec = made(
        securityContext=context, security={"runAsUser": 5000, "capabilities": {"add": ["NET_RAW"], "drop": ["ALL"]}}
    )
    assert (spec.user, spec.groups) == ("5000:2000", ("4000", "3000"))
    assert (spec.cap_add, spec.cap_drop) == (["NET_RAW"], ["ALL"])
    strict = made(security={"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True})
    assert strict.security_opt == ("no-new-privileges",) and strict.read_only_rootfs


@pytest.mark.parametrize(
    ("user", "security", "words"),
    [
        ("", {"runAsNonRoot": True}, "image will run as root"),
        ("app", {"runAsNonRoot": True}, r"image has non-numeric user \(app\)"),
        ("1000", {"runAsNonRoot": True, "runAsUser": 0}, "runAsUser breaks non-root policy"),
    ],
)
def test_run_as_non_root_is_checked(user: str, security: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        made(user=user, security=security)
    assert made(user="1000", security={"runAsNonRoot": True}).user == ""


def test_processes_may_be_shared() -> None:
    assert made().pid_of == "" and made(shareProcessNamespace=True).pid_of == "box"
    assert made(hostPID=True).pid_of == "node-container"


def test_a_sandbox_on_the_nodes_network_has_no_address() -> None:
    built = pod(hostNetwork=True)
    built["metadata"]["uid"] = "u"
    spec = sandbox_spec(built, 0, Addresses(), PLACE, [], [])
    assert (spec.network_of, spec.network, spec.address, spec.cap_add) == ("node-container", "", "", ())


def test_a_sandbox_has_the_pods_sysctls() -> None:
    built = pod(securityContext={"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "0"}]})
    built["metadata"]["uid"] = "u"
    assert sandbox_spec(built, 0, Addresses("10.244.1.2"), PLACE, [], []).sysctls == {"net.ipv4.tcp_syncookies": "0"}
