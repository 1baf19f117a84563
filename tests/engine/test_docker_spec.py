from __future__ import annotations

from typing import Any

from labctl.engine.docker_spec import create_body
from labctl.engine.protocol import ContainerSpec, Mount, PortBinding


def body(**spec: Any) -> dict[str, Any]:
    return create_body(ContainerSpec("n", "i", **spec), lambda volume: f"/volumes/{volume}/_data")


def test_a_plain_container_asks_for_nothing_special() -> None:
    made = body(env={"A": "1"}, labels={"l": "v"})
    assert made["Env"] == ["A=1"] and made["Labels"] == {"l": "v"} and "Entrypoint" not in made
    assert made["HostConfig"].keys() == {"LogConfig"}


def test_an_address_on_a_network() -> None:
    made = body(network="pods", address="10.244.1.7")
    assert made["HostConfig"]["NetworkMode"] == "pods"
    assert made["NetworkingConfig"] == {"EndpointsConfig": {"pods": {"IPAMConfig": {"IPv4Address": "10.244.1.7"}}}}


def test_joining_another_container_excludes_a_network_of_its_own() -> None:
    made = body(network="pods", network_of="abc", pid_of="abc", ipc_of="abc")
    assert "NetworkingConfig" not in made
    assert {made["HostConfig"][k] for k in ("NetworkMode", "PidMode", "IpcMode")} == {"container:abc"}


def test_mounts() -> None:
    mounts = [
        Mount("/a", volume="state", subpath="pods/u/hosts", read_only=True),
        Mount("/b", size_bytes=1024),
        Mount("/c", volume="shared", in_memory=True, size_bytes=4096),
    ]
    made = body(mounts=mounts, labels={"labctl.lab": "x", "other": "y"})["HostConfig"]["Mounts"]
    assert made[0] == {
        "Type": "bind", "Source": "/volumes/state/_data/pods/u/hosts", "Target": "/a", "ReadOnly": True,
    }  # fmt: skip
    assert made[1] == {"Type": "tmpfs", "Target": "/b", "TmpfsOptions": {"SizeBytes": 1024}}
    options = made[2]["VolumeOptions"]
    assert options["Labels"] == {"labctl.lab": "x"}
    assert options["DriverConfig"]["Options"] == {"type": "tmpfs", "device": "tmpfs", "o": "size=4096,mode=1777"}


def test_ports_are_published_on_loopback() -> None:
    made = body(ports=[PortBinding(80, 8080), PortBinding(53, 5353, protocol="udp")])
    assert made["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    assert made["HostConfig"]["PortBindings"]["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "8080"}]


def test_a_memory_limit_is_no_invitation_to_swap() -> None:
    config = body(memory_bytes=64 << 20)["HostConfig"]
    assert config["MemorySwap"] == config["Memory"] == 64 << 20
