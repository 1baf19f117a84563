"""Names of chains: kube-proxy's constants, and its hashes (sha256, base32, 16 letters)."""

from __future__ import annotations

import base64
import hashlib

from labctl.proxy.model import Endpoint, ServicePort

SERVICES = "KUBE-SERVICES"
EXTERNAL_SERVICES = "KUBE-EXTERNAL-SERVICES"
NODEPORTS = "KUBE-NODEPORTS"
POSTROUTING = "KUBE-POSTROUTING"
MARK_MASQ = "KUBE-MARK-MASQ"
FORWARD = "KUBE-FORWARD"
PROXY_FIREWALL = "KUBE-PROXY-FIREWALL"
FIREWALL = "KUBE-FIREWALL"
CANARY = "KUBE-PROXY-CANARY"
MASQUERADE_MARK = "0x4000"

PER_SERVICE_PREFIXES = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-")


def _hash(text: str) -> str:
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:16]


def service_hash(port: ServicePort) -> str:
    """The hash that a service port's SVC, SVL, EXT and FW chains share."""
    return _hash(port.full_name + port.protocol)


def cluster(port: ServicePort) -> str:
    """Chain that balances over all endpoints."""
    return "KUBE-SVC-" + service_hash(port)


def local(port: ServicePort) -> str:
    """Chain that balances over the node's own endpoints."""
    return "KUBE-SVL-" + service_hash(port)


def external(port: ServicePort) -> str:
    """Chain for traffic to external destinations."""
    return "KUBE-EXT-" + service_hash(port)


def firewall(port: ServicePort) -> str:
    """Chain for loadBalancerSourceRanges."""
    return "KUBE-FW-" + service_hash(port)


def endpoint(port: ServicePort, target: Endpoint) -> str:
    """Chain of one endpoint of a service port."""
    return "KUBE-SEP-" + _hash(port.full_name + port.protocol + str(target))
