"""The same objects make the same rules as in kube-proxy 1.36: all recorded cases, line by line.

Left out of the recordings: chains of the kubelet, canaries, and the nfacct counters, which are no part of a packet's way.
Order within KUBE-SERVICES, KUBE-NODEPORTS and the like is by chance there (a Go map), so those are compared sorted.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from labctl.api.objects import Object
from labctl.proxy.iptables.rules import JUMPS, rules
from labctl.proxy.model import NodeView, group_slices, service_ports

GOLDEN = Path(__file__).parents[1] / "golden" / "kube-proxy" / "iptables"
NODE, POD_CIDR = "node1", "10.245.0.0/16"


def system_objects() -> tuple[list[Object], list[Object]]:
    """kubernetes and kube-dns, as in the recorded cluster."""

    def svc(ns: str, name: str, ip: str, *ports: tuple[str, str, int]) -> Object:
        listed = [{"name": n, "protocol": p, "port": number} for n, p, number in ports]
        return {"metadata": {"namespace": ns, "name": name}, "spec": {"clusterIP": ip, "ports": listed}}

    def slc(ns: str, name: str, ip: str, *ports: tuple[str, str, int]) -> Object:
        listed = [{"name": n, "protocol": p, "port": number} for n, p, number in ports]
        return {
            "metadata": {"namespace": ns, "name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [ip], "conditions": {"ready": True}}],
            "ports": listed,
        }

    dns = (("dns", "UDP", 53), ("dns-tcp", "TCP", 53), ("metrics", "TCP", 9153))
    return (
        [
            svc("default", "kubernetes", "10.96.0.1", ("https", "TCP", 443)),
            svc("kube-system", "kube-dns", "10.96.0.10", *dns),
        ],
        [
            slc("default", "kubernetes", "10.250.0.10", ("https", "TCP", 6443)),
            slc("kube-system", "kube-dns", "10.245.0.2", *dns),
        ],
    )


def load(path: Path) -> tuple[list[Object], list[Object], str]:
    """Services, slices and the recorded rules of a case."""
    services, slices = system_objects()
    lines = path.read_text().splitlines()
    status = re.search(r"ingress = (\S+)", lines[0])
    for line in lines:
        if not line.startswith("# {"):
            continue
        obj: dict[str, Any] = json.loads(line[2:])
        if obj["kind"] == "Service":
            if status:
                obj["status"] = {"loadBalancer": {"ingress": [{"ip": status[1]}]}}
            services.append(obj)
        else:
            slices.append(obj)
    return services, slices, "\n".join(line for line in lines if not line.startswith("#"))


def recorded(text: str) -> dict[str, dict[str, list[str]]]:
    tables: dict[str, dict[str, list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            table = tables.setdefault(line[1:], {})
        elif line.startswith(":KUBE") and "CANARY" not in line and "HINT" not in line:
            table[line[1:].split()[0]] = []
        elif line.startswith("-A"):
            _, chain, rule = line.split(" ", 2)
            if "localhost_nps_accepted" in rule:
                continue  # a counter: the rule after it says the same
            rule = re.sub(r" -m nfacct --nfacct-name  \S+", "", rule)
            table.setdefault(chain, []).append(rule)
    return tables


def arranged(chain: str, listed: list[str]) -> list[str]:
    per_service = chain.startswith(
        ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-", "KUBE-POST", "KUBE-FORW")
    )
    return listed if per_service else sorted(listed)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.txt")), ids=lambda p: p.stem)
def test_rules_are_kube_proxys(path: Path) -> None:
    services, slices, text = load(path)
    ports = service_ports(services, group_slices(slices), node=NODE)
    made = rules(ports, NodeView(NODE, "10.250.0.10", POD_CIDR))
    wanted = recorded(text)
    for table in ("nat", "filter"):
        expected = {c: arranged(c, r) for c, r in wanted[table].items() if c.startswith("KUBE")}
        actual = {c: arranged(c, r) for c, r in made.table(table).items()}
        assert actual == expected
        jumps = [f"{chain} {rule}" for t, chain, rule in JUMPS if t == table]
        assert jumps == [f"{c} {r}" for c, listed in wanted[table].items() if not c.startswith("KUBE") for r in listed]
