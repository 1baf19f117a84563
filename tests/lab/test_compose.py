"""The Compose file: what runs with which rights."""

from __future__ import annotations

import yaml

from labctl.config import Credentials
from labctl.lab import compose, paths, plan, resources
from labctl.lab.plan import Ranges, UpOptions

RANGES = Ranges("10.244.0.0/16", "192.168.123.0/24", "10.96.0.0/12")
SECRET = Credentials(admin_token="a$b${c}")  # no secret


def rendered(nodes: int = 2) -> dict[str, dict[str, dict[str, object]]]:
    config = plan.config(UpOptions(name="two"), RANGES, nodes=nodes, credentials=SECRET)
    template = (resources.folder("compose") / "lab.yaml.j2").read_text()
    text = compose.render(template, config, api_port=6444, docker_socket="/var/run/docker.sock")
    found: dict[str, dict[str, dict[str, object]]] = yaml.safe_load(text)
    return found


def test_one_control_plane_and_the_nodes_all_with_the_labs_label() -> None:
    services = rendered(3)["services"]
    assert sorted(services) == ["control-plane", "node-1", "node-2", "node-3"]
    for service in services.values():
        assert service["labels"]["labctl.lab"] == "two"  # type: ignore[index]  # a mapping in YAML


def test_only_the_control_plane_reaches_docker_and_nothing_is_privileged() -> None:
    services = rendered()["services"]
    sockets = {name for name, s in services.items() if "docker.sock" in str(s.get("volumes"))}
    assert sockets == {"control-plane"}
    assert not any(s.get("privileged") for s in services.values())


def test_the_api_server_is_published_on_loopback_only() -> None:
    services = rendered()["services"]
    assert {n: s["ports"] for n, s in services.items() if s.get("ports")} == {"control-plane": ["127.0.0.1:6444:6443"]}


def test_the_lan_lets_the_pods_bridge_through_where_docker_would_drop_it() -> None:
    def networks(bridge: str) -> dict[str, dict[str, str]]:
        config = plan.config(UpOptions(name="two"), RANGES, nodes=1, credentials=SECRET, pods_bridge=bridge)
        template = (resources.folder("compose") / "lab.yaml.j2").read_text()
        text = compose.render(template, config, api_port=6444, docker_socket="/var/run/docker.sock")
        return {name: network.get("driver_opts", {}) for name, network in yaml.safe_load(text)["networks"].items()}

    bridge = paths.pods_bridge_of("a-lab-with-the-longest-of-names-")
    assert len(bridge) <= 15
    assert bridge != paths.pods_bridge_of("two")
    assert networks(bridge)["pods"] == {"com.docker.network.bridge.name": bridge}
    assert networks(bridge)["lan"]["com.docker.network.bridge.trusted_host_interfaces"] == bridge
    assert networks("")["pods"] == networks("")["uplink"] == {}
    assert list(networks("")["lan"]) == ["com.docker.network.bridge.enable_ip_masquerade"]


def test_compose_finds_no_variables_in_what_a_user_wrote() -> None:
    assert compose.quoted('a$b "c"') == '"a$$b \\"c\\""'
    assert "a$$b$${c}" in str(rendered()["services"]["control-plane"])


def test_the_line_that_tells_why_compose_failed() -> None:
    output = (
        " Network a  Creating\nError response from daemon: Pool overlaps\nERROR: Encountered errors while bringing up\n"
    )
    assert compose.reason(output) == "Error response from daemon: Pool overlaps"
    assert compose.reason("") == "no output"
