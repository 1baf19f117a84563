"""The facts of one lab that its containers are started with.

`labctl up` decides them, the control plane and the node agents read them from the environment variable
`LABCTL_CONFIG` (JSON). Nothing else passes between the host and the containers but the Kubernetes API.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import orjson

from labctl.api.objects import Object

ENVIRONMENT_VARIABLE = "LABCTL_CONFIG"

# Labels on every container, network and volume of a lab; `down` removes what carries LABEL_LAB=<name> and nothing else.
LABEL_LAB = "labctl.lab"
LABEL_ROLE = "labctl.role"  # control-plane, node, sandbox, container, load-balancer, outside, probe
LABEL_POD_NAMESPACE = "io.kubernetes.pod.namespace"
LABEL_POD_NAME = "io.kubernetes.pod.name"
LABEL_POD_UID = "io.kubernetes.pod.uid"
LABEL_CONTAINER_NAME = "io.kubernetes.container.name"

API_PORT = 6443  # of the control plane, inside its container
# /proc/sys/net of a node container, writable: in /proc/sys itself it is not, and docker-compose 1.29 cannot unmask that.
NET_SYSCTLS = "/run/labctl/sysctl/net"
PROXY_HEALTH_PORT = 10256  # kube-proxy's healthz port, on every node
PROXY_METRICS_PORT = 10249  # kube-proxy's, on every node's loopback; /proxyMode tells the mode
TUNNEL_PORT = 10258  # of the node agents' CONNECT service, through which probes come from the pod's node


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One node: `address` on the LAN, `pod_address` is its own address (the pods' gateway) inside `pod_cidr`."""

    name: str
    address: str
    pod_cidr: str
    pod_address: str
    pod_cidr6: str = ""
    pod_address6: str = ""
    address6: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """PEM texts and bearer tokens of a lab."""

    ca_certificate: str = ""
    server_certificate: str = ""
    server_key: str = ""
    service_account_key: str = ""  # signs ServiceAccount tokens
    admin_token: str = ""  # user kubernetes-admin, group system:masters
    node_token: str = ""  # user system:node:<name>, group system:nodes; used by the proxy agents


@dataclass(frozen=True, slots=True)
class LabConfig:
    """Everything a container of the lab has to know. `node` is set in node containers only."""

    name: str
    nodes: tuple[NodeConfig, ...]
    credentials: Credentials
    control_plane_address: str  # on the LAN
    pod_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/12"
    lan_cidr: str = "192.168.123.0/24"
    pod_cidr6: str = ""
    service_cidr6: str = ""
    lan_cidr6: str = ""
    node_port_range: tuple[int, int] = (30000, 32767)
    cluster_domain: str = "cluster.local"
    dns_address: str = "10.96.0.10"
    ip_family: Literal["ipv4", "dual"] = "ipv4"
    # What the lab starts with; ConfigMap kube-proxy of kube-system may say otherwise since.
    proxy_mode: Literal["iptables", "nftables"] = "iptables"
    pods_network: str = ""  # Docker network names
    lan_network: str = ""
    # The host's name of the pods' bridge where the lab chooses it: on Docker that must know whom the LAN answers
    pods_bridge: str = ""
    lab_image: str = ""  # sandboxes, load balancers and helpers run from it
    state_path: str = "/var/lib/labctl/state.db"
    # Docker volume mounted at the folder of state_path; pods' files lie there too and are bind-mounted from it
    state_volume: str = ""
    node: str = ""
    # image -> stand-in, used only after a pull of the image failed
    stand_ins: dict[str, str] = field(default_factory=dict)
    addons: tuple[Object, ...] = ()  # objects created at first start when absent (CoreDNS)

    @property
    def server(self) -> str:
        """URL of the API server as containers on the LAN reach it."""
        return f"https://{self.control_plane_address}:{API_PORT}"

    def to_json(self) -> str:
        """The value of LABCTL_CONFIG."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: str) -> LabConfig:
        """Read what `to_json` wrote."""
        data: dict[str, Any] = orjson.loads(text)
        data["nodes"] = tuple(NodeConfig(**n) for n in data["nodes"])
        data["credentials"] = Credentials(**data["credentials"])
        data["node_port_range"] = tuple(data["node_port_range"])
        data["addons"] = tuple(data["addons"])
        return cls(**data)

    @classmethod
    def from_environment(cls) -> LabConfig:
        """The configuration this container was started with."""
        return cls.from_json(os.environ[ENVIRONMENT_VARIABLE])
