"""Files as a real kubelet wrote them (golden case 01-seed: `cat /etc/resolv.conf`, `cat /etc/hosts`)."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.kubelet import etc
from labctl.kubelet.etc import Resolver
from tests.kubelet.conftest import pod

NODE = Resolver(("192.0.2.53",), ("example.org",), ("timeout:2",))
HOSTS = (
    "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
)


EMPTY = Resolver()
CLUSTER = "search default.svc.cluster.local svc.cluster.local cluster.local"


def resolv_conf(node: Resolver = EMPTY, **spec: Any) -> str:
    made = pod("numbers-web-7f5745d68d-zddkk", **spec)
    return etc.render_resolv_conf(
        etc.resolver_of(made, dns_address="10.96.0.10", cluster_domain="cluster.local", node=node)
    )


def test_resolv_conf_as_recorded() -> None:
    assert resolv_conf() == (
        "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
    )


def test_hosts_as_recorded() -> None:
    made = pod("numbers-web-7f5745d68d-zddkk")
    assert (
        etc.render_hosts(made, ["10.245.0.245"], "cluster.local")
        == HOSTS + "10.245.0.245\tnumbers-web-7f5745d68d-zddkk\n"
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, f"{CLUSTER} example.org\nnameserver 10.96.0.10\noptions ndots:5\n"),
        ({"dnsPolicy": "Default"}, "search example.org\nnameserver 192.0.2.53\noptions timeout:2\n"),
        ({"hostNetwork": True}, "search example.org\nnameserver 192.0.2.53\noptions timeout:2\n"),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["a.b"], "options": [{"name": "edns0"}]}},
         "search a.b\nnameserver 1.1.1.1\noptions edns0\n"),
        ({"dnsConfig": {"options": [{"name": "ndots", "value": "2"}], "nameservers": ["10.96.0.10", "9.9.9.9"]}},
         f"{CLUSTER} example.org\nnameserver 10.96.0.10\nnameserver 9.9.9.9\noptions ndots:2\n"),
        ({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
         f"{CLUSTER} example.org\nnameserver 10.96.0.10\noptions ndots:5\n"),
    ],
    ids=["ClusterFirst", "Default", "host network", "None", "dnsConfig adds and overrides", "ClusterFirstWithHostNet"],
)  # fmt: skip
def test_dns_policies(spec: dict[str, Any], expected: str) -> None:
    assert resolv_conf(NODE, **spec) == expected


def test_a_subdomain_and_host_aliases() -> None:
    made = pod("p", hostname="db-0", subdomain="db", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}])
    assert etc.render_hosts(made, ["10.0.0.1", "fd00::1"], "cluster.local") == (
        HOSTS + "10.0.0.1\tdb-0.db.default.svc.cluster.local\tdb-0\nfd00::1\tdb-0.db.default.svc.cluster.local\tdb-0\n"
        "\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n"
    )


def test_resolv_conf_is_read_as_the_resolver_does() -> None:
    text = "# comment\nnameserver 127.0.0.11\nsearch old\nsearch a.b. c\noptions ndots:0 edns0\n"
    assert etc.parse_resolv_conf(text) == Resolver(("127.0.0.11",), ("a.b", "c"), ("ndots:0", "edns0"))
