"""Names in table `kube-proxy` of family ip and, in a dual-stack lab, in that of family ip6.

They are kube-proxy's constants, and for each Service a hash (sha256, base32, 8 letters) and its words.
"""

from __future__ import annotations

import base64
import hashlib

from labctl.proxy.model import Endpoint, ServicePort

TABLE = "kube-proxy"

SERVICES = "services"
SERVICE_IPS = "service-ips"
SERVICE_NODEPORTS = "service-nodeports"
NODEPORT_IPS = "nodeport-ips"
CLUSTER_IPS = "cluster-ips"
SERVICE_ENDPOINTS_CHECK = "service-endpoints-check"
NODEPORT_ENDPOINTS_CHECK = "nodeport-endpoints-check"
NO_ENDPOINT_SERVICES = "no-endpoint-services"
NO_ENDPOINT_NODEPORTS = "no-endpoint-nodeports"
REJECT = "reject-chain"
CLUSTER_IPS_CHECK = "cluster-ips-check"
FIREWALL_IPS = "firewall-ips"
FIREWALL_CHECK = "firewall-check"
MASQUERADING = "masquerading"
HAIRPIN = "hairpin-connections"
MASQUERADE_MARK = "0x00004000"

_LONGEST = 240  # nftables allows 256; kube-proxy keeps room for its longest prefix


def _base(text: str) -> str:
    hashed = base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:8]
    name = f"{hashed}-{text}"
    return name if len(name) <= _LONGEST else name[: _LONGEST - 3] + "..."


def _service(port: ServicePort) -> str:
    return f"{port.namespace}/{port.name}/{port.protocol}/{port.port_name}"


def service_base(port: ServicePort) -> str:
    """What the names of a service port's chains share: `HASH-namespace/name/protocol/port`."""
    return _base(_service(port))


def endpoint_base(port: ServicePort, target: Endpoint) -> str:
    """What the names of an endpoint's chain and set share: `HASH-namespace/name/protocol/port__address/port`."""
    return _base(f"{_service(port)}__{target.ip.replace(':', '.')}/{target.port}")
