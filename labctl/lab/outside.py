"""Containers that play hosts outside the cluster: on the lab's LAN, at addresses of our choice, with a web server.

They carry the lab's label with role `outside`, so `labctl down` takes them along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.config import LABEL_LAB, LABEL_ROLE, LabConfig
from labctl.lab import engine, paths

if TYPE_CHECKING:
    import docker

# Every GET of a path that ends in /rng gets a random number; everything else says who answers.
_SERVER = """
import http.server, os, random, signal, sys

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        number = str(random.randrange(100))
        body = (number if self.path.endswith("/rng") else f"{os.uname().nodename}, outside the cluster\\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("", 80), Answer).serve_forever()
"""


def container_name(lab: str, hostname: str) -> str:
    """Name of the container that plays this host."""
    return f"{paths.project_of(lab)}-outside-{hostname.replace('.', '-')}"


def start(client: docker.DockerClient, config: LabConfig, *, hostname: str, address: str) -> str:
    """Start (or start anew) a host with a web server on port 80. Returns the container's name. Raises LabctlError."""
    name = container_name(config.name, hostname)
    stop(client, config, hostname=hostname)
    api = client.api
    with engine.translated(f"starting {hostname} at {address}"):
        endpoint = api.create_endpoint_config(ipv4_address=address)
        created = api.create_container(
            config.lab_image,
            command=["python3", "-S", "-c", _SERVER],
            name=name,
            hostname=hostname,
            labels={LABEL_LAB: config.name, LABEL_ROLE: "outside"},
            networking_config=api.create_networking_config({config.lan_network: endpoint}),  # type: ignore[arg-type]  # the stub knows one endpoint only
        )
        api.start(created["Id"])
    return name


def stop(client: docker.DockerClient, config: LabConfig, *, hostname: str) -> None:
    """Remove such a host; one that is not there is no error."""
    import docker.errors

    name = container_name(config.name, hostname)
    with engine.translated(f"removing {name}"):
        try:
            client.api.remove_container(name, force=True, v=True)
        except docker.errors.NotFound:
            return
