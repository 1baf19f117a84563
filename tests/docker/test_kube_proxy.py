"""The unmodified kube-proxy beside ours: it reads our API server and programs the same rules for the same objects.

It is the binary that LABCTL_KUBE_PROXY names, or one compiled from its Go module, in a container on the lab's LAN that calls
itself node-1. What both write is compared chain by chain; order counts wherever packets meet several rules.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from labctl.lab.tools.kubernetes import kube_proxy_binary
from labctl.proxy.explain import iptables_rules, nftables_rules
from labctl.proxy.family import IPV4, Family
from tests.docker.lab import Lab, eventually
from tests.docker.objects import deployment, service
from tests.docker.test_services import pods, ready

pytestmark = pytest.mark.docker

NODE = "node-1"
CONFIGURATION = {
    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
    "kind": "KubeProxyConfiguration",
    "hostnameOverride": NODE,
    "clientConnection": {"kubeconfig": "/kube/config"},
    # what it would do to the kernel beside its rules is the container's affair
    "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
}
# Docker mounts /proc/sys read-only, so what kube-proxy would set is set before. arp_ignore: answer for own interfaces only.
SYSCTLS = ("net.ipv4.ip_forward=1", "net.ipv4.conf.all.route_localnet=1", "net.ipv4.conf.all.arp_ignore=1")
SYSCTLS6 = ("net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.all.forwarding=1")  # in a dual-stack lab
# Chains whose rules exclude each other: their order is nobody's business, and that of a hash table at kube-proxy's.
UNORDERED = {"KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL"}
# A second rule for each NodePort, with the same target, that only counts.
COUNTING = "localhost_nps_accepted_pkts"
# What is no kube-proxy's, and the chains that it only keeps to notice a flush.
OTHERS = ("LABCTL-", "CNI-", "DOCKER", "CANARY")


@pytest.fixture(scope="module")
def binary() -> Path:
    """The kube-proxy to compare with."""
    given = os.environ.get("LABCTL_KUBE_PROXY", "")
    return Path(given) if given else kube_proxy_binary()


@contextmanager
def kube_proxy(lab: Lab, binary: Path, mode: str) -> Iterator[str]:
    """kube-proxy in a container of its own; yields the container's name."""
    name, network = f"labctl-{lab.name}-kube-proxy", f"labctl-{lab.name}-lan"
    folder = lab.home / f"kube-proxy-{mode}"
    folder.mkdir(exist_ok=True)
    view = json.loads(lab.kubectl("config", "view", "--raw", "--minify", "-o", "json").out)
    inside = lab.json("get", "endpointslice", "kubernetes")["endpoints"][0]["addresses"][0]
    view["clusters"][0]["cluster"]["server"] = f"https://{inside}:6443"
    (folder / "config").write_text(json.dumps(view))
    configuration = {**CONFIGURATION, "mode": mode, "clusterCIDR": ",".join(lab.pod_cidrs)}
    (folder / "configuration").write_text(json.dumps(configuration))
    image = lab.docker("inspect", "-f", "{{.Config.Image}}", lab.node(NODE)).out.strip()
    mounts = ["-v", f"{folder}:/kube:ro", "-v", f"{binary.resolve()}:/kube-proxy:ro"]
    rights = ["--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW", "--label", f"labctl.lab={lab.name}"]
    # It counts on the node's address being its own. Nobody is to hear of that: node-1 itself is on the same network.
    own = [a["address"] for a in lab.json("get", "node", NODE)["status"]["addresses"] if a["type"] == "InternalIP"]
    adding = [f"ip addr add {a}/{128 if ':' in a else 32} dev lo" for a in own]
    start = " && ".join([*adding, "exec /kube-proxy --config=/kube/configuration"])
    wanted = (*SYSCTLS, *(SYSCTLS6 if len(own) == 2 else ()))
    sysctls = [a for s in wanted for a in ("--sysctl", s)]
    lab.docker("run", "-d", "--name", name, "--network", network, *sysctls, *rights, *mounts, image, "sh", "-c", start)
    try:
        yield name
    finally:
        lab.docker("rm", "-f", name)


def place(ns: Lab, **everywhere: Any) -> None:
    """Services of every kind; their endpoints are on both nodes. `everywhere` goes into each Service's spec."""
    ports = [{"name": "http", "containerPort": 80}, {"name": "talk", "containerPort": 8081, "protocol": "UDP"}]
    ns.apply(deployment("web", replicas=3, container={"ports": ports}))
    http = {"port": 80, "targetPort": "http"}
    made: dict[str, dict[str, Any]] = {
        "plain": {},
        "sticky": {"sessionAffinity": "ClientIP"},
        "node": {"type": "NodePort"},
        "local": {"type": "NodePort", "externalTrafficPolicy": "Local"},
        "inside": {"internalTrafficPolicy": "Local"},
        "external": {"externalIPs": ["203.0.113.77", "2001:db8::77"]},
        "balanced": {"type": "LoadBalancer"},
        "guarded": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["198.51.100.0/24", "2001:db8:1::/48"]},
        "headless": {"clusterIP": "None"},
        "near": {"trafficDistribution": "PreferClose"},
    }
    for number, (name, spec) in enumerate(made.items()):
        port = {**http, "port": 18700 + number} if spec.get("type") == "LoadBalancer" else http
        ns.apply(service(name, port, app="web", **everywhere, **spec))
    talk = {"name": "talk", "port": 53, "targetPort": "talk", "protocol": "UDP"}
    ns.apply(service("both", {"name": "http", **http}, talk, app="web", **everywhere))
    outside = ["203.0.113.78", "2001:db8::78"]
    ns.apply(service("empty", {"port": 80}, app="nobody", type="NodePort", externalIPs=outside, **everywhere))
    ready(ns, "web")
    assert set(pods(ns, "web").values()) == {"node-1", "node-2"}
    eventually(lambda: ns.kubectl("get", "svc", "-n", ns.namespace).out.count("localhost") == 2)


def rules(lab: Lab, container: str, mode: str, family: Family = IPV4) -> dict[tuple[str, str], list[str]]:
    """(table, chain) -> its rules, those of Services only."""
    if mode == "nftables":
        found = nftables_rules(lab.docker("exec", container, "nft", "list", "table", family.nft, "kube-proxy").out)
    else:
        found = [r for r in iptables_rules(lab.docker("exec", container, *family.save).out) if "KUBE-" in r.line]
    listed: dict[tuple[str, str], list[str]] = {}
    for rule in found:
        if COUNTING not in rule.text and not any(word in rule.line for word in OTHERS):
            listed.setdefault((rule.table, rule.chain), []).append(_plain(rule.text))
    for texts in listed.values():  # where it stands tells who came first, the kubelet (as in a cluster) or the proxy
        texts.sort(key="-j KUBE-FIREWALL".__eq__)
    every = mode == "nftables"  # maps and sets; its chains of several rules have them in one order
    return {key: sorted(texts) if every or key[1] in UNORDERED else texts for key, texts in listed.items()}


def _plain(text: str) -> str:
    """Without counters, those of kube-proxy's metrics (nfacct) included, and without what expires."""
    text = re.sub(r"-m nfacct --nfacct-name +\S+ ", "", text)
    text = re.sub(r"counter packets \d+ bytes \d+ ?", "", text)
    return re.sub(r" expires \S+", "", text)


def compare(ns: Lab, binary: Path, mode: str, *families: Family) -> None:
    """Both write the same rules, after a while."""
    with kube_proxy(ns, binary, mode) as theirs:

        def same() -> bool:
            for family in families:
                mine, other = rules(ns, ns.node(NODE), mode, family), rules(ns, theirs, mode, family)
                for chain in mine.keys() | other.keys():
                    assert mine.get(chain) == other.get(chain), (family.name, chain)
                assert len(mine) > 20
            return True

        try:
            eventually(same, within=60, every=1)
        except AssertionError:
            print(ns.docker("logs", "--tail", "20", theirs).err)
            raise


@pytest.mark.timeout(900)
def test_it_writes_the_rules_that_we_write(ns: Lab, binary: Path, mode: str) -> None:
    place(ns)
    compare(ns, binary, mode, IPV4)
