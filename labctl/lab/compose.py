"""The Compose file of a lab, and the Compose command that makes it true."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import jinja2
import orjson

from labctl.config import API_PORT, LABEL_LAB, LABEL_ROLE, NET_SYSCTLS, LabConfig
from labctl.errors import MissingPrerequisite
from labctl.lab import paths, plan, shell

_PLUGIN_FOLDERS = (
    "~/.docker/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
    "/opt/homebrew/lib/docker/cli-plugins",
)


def quoted(text: str) -> str:
    """A YAML string, with `$` doubled because Compose would look for a variable."""
    return orjson.dumps(text).decode().replace("$", "$$")


def render(template: str, config: LabConfig, *, api_port: int, docker_socket: str) -> str:
    """The Compose file. `template` is the text of compose/lab.yaml.j2."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701  # YAML is no HTML
    environment.filters["quoted"] = quoted
    return environment.from_string(template).render(
        name=config.name,
        project=paths.project_of(config.name),
        image=config.lab_image,
        control_plane_config=config.to_json(),
        node_configs={node.name: plan.for_node(config, node.name).to_json() for node in config.nodes},
        nodes=config.nodes,
        docker_socket=docker_socket,
        net_sysctls=NET_SYSCTLS,
        api_port=api_port,
        container_port=API_PORT,
        control_plane_address=config.control_plane_address,
        lan_network=config.lan_network,
        lan_cidr=config.lan_cidr,
        lan_gateway=plan.host(config.lan_cidr, 1),
        lan_dynamic_range=plan.dynamic_range(config.lan_cidr),
        pods_network=config.pods_network,
        pods_bridge=config.pods_bridge,
        pod_cidr=config.pod_cidr,
        pod_gateway=plan.host(config.pod_cidr, 1),
        lan_cidr6=config.lan_cidr6,
        lan_dynamic_range6=plan.dynamic_range(config.lan_cidr6) if config.lan_cidr6 else "",
        lan_gateway6=plan.host(config.lan_cidr6, 1) if config.lan_cidr6 else "",
        pod_cidr6=config.pod_cidr6,
        pod_gateway6=plan.host(config.pod_cidr6, 1) if config.pod_cidr6 else "",
        label_lab=LABEL_LAB,
        label_role=LABEL_ROLE,
    )


def command() -> list[str]:
    """`docker compose` where the plugin is installed, else `docker-compose`. Raises MissingPrerequisite.

    The plugin's file is looked for: asking `docker compose version` costs a tenth of a second.
    """
    if any((Path(folder).expanduser() / "docker-compose").exists() for folder in _PLUGIN_FOLDERS) and shutil.which(
        "docker"
    ):
        return ["docker", "compose"]
    if found := shutil.which("docker-compose"):
        return [found]
    raise MissingPrerequisite(
        "Docker Compose is missing",
        hint="install Docker's compose plugin, or on Debian: apt-get install docker-compose",
    )


def up(name: str, file: Path, *, environment: Mapping[str, str] | None = None) -> None:
    """Create, start or re-create whatever differs from the file."""
    argv = [*command(), "--project-name", paths.project_of(name), "--file", str(file)]
    shell.run([*argv, "up", "--detach", "--remove-orphans"], env=environment, timeout_s=120)


def reason(output: str) -> str:
    """The line of Compose's output that tells why it failed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() and "encountered errors" not in line.lower()]
    return (errors or lines or ["no output"])[-1]
