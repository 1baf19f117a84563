"""Which object put a rule there: rules as a node has them, each with the Service, EndpointSlice and Pod behind it. Pure.

The names of chains are hashes of what they are for, so the objects' names are hashed again and looked up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from labctl.api.objects import Object, ObjectKey, key_of
from labctl.proxy import hostports, policies
from labctl.proxy.family import IPV4, IPV6, Family
from labctl.proxy.iptables import chains
from labctl.proxy.model import Endpoint, ServicePort, group_slices, service_ports
from labctl.proxy.nftables import names

BUILT_IN = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")

# What chains are for that belong to no Service.
NOTES = {
    chains.SERVICES: "all Services",
    chains.EXTERNAL_SERVICES: "Services that cannot be reached from outside at present",
    chains.NODEPORTS: "all NodePorts",
    chains.MARK_MASQ: "marks what has to leave with the node's address",
    chains.POSTROUTING: "gives what is marked the node's address",
    chains.FORWARD: "lets connections of Services through",
    chains.PROXY_FIREWALL: "drops what loadBalancerSourceRanges do not allow",
    chains.FIREWALL: "keeps other hosts from this node's loopback",
    "LABCTL-MASQ": "labctl: pods leave the cluster with the address of their node",
    "LABCTL-GUARD": "labctl: service addresses never leave the node",
    hostports.DNAT: "hostPorts of this node's Pods",
    hostports.SET_MARK: "marks what comes to a hostPort and has to leave with the node's address",
    hostports.MASQUERADE: "gives what came to a hostPort and is marked the node's address",
    names.SERVICES: "all Services",
    names.SERVICE_IPS: "all Services",
    names.SERVICE_NODEPORTS: "all NodePorts",
    names.NODEPORT_IPS: "addresses of this node at which NodePorts answer",
    names.CLUSTER_IPS_CHECK: "ports and addresses that no Service has",
    names.SERVICE_ENDPOINTS_CHECK: "Services without endpoints",
    names.NODEPORT_ENDPOINTS_CHECK: "NodePorts without endpoints",
    names.REJECT: "Services without endpoints",
    names.FIREWALL_CHECK: "drops what loadBalancerSourceRanges do not allow",
    names.MASQUERADING: "gives what is marked, and pods that reach themselves, the node's address",
}
_PREFIX_NOTES = {
    "CNI-DN-": "a Pod's hostPort",
    "DOCKER": "Docker's resolver",
    "KUBE-PROXY-CANARY": "tells the proxy that nobody flushed the table",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, or one element of a set or map. `text` is as iptables-save and nft print it.

    Tables are `nat`, `filter` and `mangle` of iptables, `ip6 nat` and so on of ip6tables, `ip kube-proxy` and so on of nft.
    """

    table: str
    chain: str
    text: str

    @property
    def family(self) -> Family:
        """Whose packets meet it."""
        return IPV6 if self.table.startswith(f"{IPV6.nft} ") else IPV4

    @property
    def line(self) -> str:
        """The rule with its chain."""
        return (
            f"-A {self.chain} {self.text}"
            if self.table.removeprefix("ip6 ") in ("nat", "filter", "mangle")
            else f"{self.chain}: {self.text}"
        )


@dataclass(frozen=True, slots=True)
class Behind:
    """One endpoint that a rule leads to. `pod` is `namespace/name`, empty for an address that is no Pod's."""

    endpoint: str
    endpoint_slice: str = ""
    pod: str = ""
    node: str = ""

    @property
    def words(self) -> str:
        """In one line."""
        where = f" on {self.node}" if self.node else ""
        target = f"Pod {self.pod}{where}" if self.pod else f"{self.endpoint}{where}"
        return f"{target} (EndpointSlice {self.endpoint_slice})" if self.endpoint_slice else target


@dataclass(frozen=True, slots=True)
class Explained:
    """A rule and what is behind it: the Service as `namespace/name`, its port, and where it leads to; else a note."""

    rule: Rule
    service: str = ""
    port: str = ""
    endpoints: tuple[Behind, ...] = ()
    note: str = ""

    @property
    def words(self) -> str:
        """The objects in one line."""
        if not self.service:
            return self.note
        found = f"Service {self.service}" + (f" port {self.port}" if self.port else "")
        return found + (" -> " + ", ".join(e.words for e in self.endpoints) if self.endpoints else "")

    @property
    def rank(self) -> int:
        """The order in which packets meet a Service's chains."""
        order = (chains.SERVICES, names.CLUSTER_IPS, names.SERVICE_IPS, chains.NODEPORTS, names.SERVICE_NODEPORTS)
        prefixes = ("KUBE-FW-", "KUBE-EXT-", "external-", "KUBE-SVC-", "service-", "KUBE-SVL-", "local-", "KUBE-SEP-")
        if self.rule.chain in order:
            return order.index(self.rule.chain)
        return len(order) + next((i for i, p in enumerate(prefixes) if self.rule.chain.startswith(p)), len(prefixes))

    def to_json(self) -> dict[str, Any]:
        """Without empty fields."""
        found = {**asdict(self.rule), **{k: v for k, v in asdict(self).items() if k != "rule"}}
        found["endpoints"] = [{k: v for k, v in e.items() if v} for e in found["endpoints"]]
        return {k: v for k, v in found.items() if v}


class Index:
    """Names that occur in rules, and the objects they stand for."""

    def __init__(self, services: Iterable[Object], slices: Iterable[Object]) -> None:
        grouped = group_slices(slices)
        # Names of a Service's chains are the same in both families.
        self._ports: dict[Family, dict[str, ServicePort]] = {IPV4: {}, IPV6: {}}
        self._names: dict[Family, dict[str, tuple[ServicePort, Endpoint | None]]] = {IPV4: {}, IPV6: {}}
        self._addresses: dict[str, ServicePort] = {}
        self._targets: dict[tuple[ObjectKey, str], Behind] = {}
        for key, listed in grouped.items():
            self._targets |= {(key, address): target for s in listed for address, target in _targets(s)}
        listed_services = list(services)
        for family in (IPV4, IPV6):
            for port in service_ports(listed_services, grouped, node="", ip_family=family.name):
                self._add(port)

    def _add(self, port: ServicePort) -> None:
        self._ports[port.family][port.full_name] = port
        of_family = self._names[port.family]
        base = names.service_base(port)
        of_service = [chains.cluster(port), chains.local(port), chains.external(port), chains.firewall(port)]
        of_service += [f"{prefix}-{base}" for prefix in ("service", "local", "external", "firewall")]
        of_family |= dict.fromkeys(of_service, (port, None))
        for endpoint in port.endpoints:
            name = names.endpoint_base(port, endpoint)
            of_endpoint = (chains.endpoint(port, endpoint), f"endpoint-{name}", f"affinity-{name}")
            of_family |= dict.fromkeys(of_endpoint, (port, endpoint))
        self._addresses[port.cluster_ip] = port

    def explain(self, rule: Rule) -> Explained:
        """What is behind a rule: an endpoint rather than a Service, where it names both."""
        if rule.table.split()[-1] == policies.TABLE:
            return Explained(rule, note=_policy_note(rule))
        if pod := re.search(r"dnat name: labctl id: ([^\s\"]+)", rule.text):
            return Explained(rule, note=f"hostPort of Pod {pod[1]}")
        known, ports = self._names[rule.family], self._ports[rule.family]
        found = [known[word] for word in _words(rule) if word in known]
        found += [(ports[c], None) for c in _commented(rule.text) if c in ports]
        if rule.chain == names.CLUSTER_IPS and rule.text in self._addresses:
            return Explained(rule, service=_service(self._addresses[rule.text]))
        if rule.chain == names.HAIRPIN:
            return Explained(rule, note=f"{rule.text.split(' ')[0]}, if it reaches itself through a Service")
        if not found:
            note = NOTES.get(rule.chain) or next((NOTES[w] for w in _words(rule) if w in NOTES), "")
            return Explained(rule, note=note or next((n for p, n in _PREFIX_NOTES.items() if p in rule.line), ""))
        port, endpoint = next((f for f in found if f[1] is not None), found[0])
        behind = [endpoint] if endpoint else self._mentioned(port, rule.text)
        return Explained(rule, _service(port), _port(port), tuple(self._behind(port, e) for e in behind))

    def _behind(self, port: ServicePort, endpoint: Endpoint) -> Behind:
        known = self._targets.get((ObjectKey(port.namespace, port.name), endpoint.ip), Behind(""))
        return replace(known, endpoint=str(endpoint))

    @staticmethod
    def _mentioned(port: ServicePort, text: str) -> list[Endpoint]:
        """nftables names the addresses themselves."""
        return [e for e in port.endpoints if f" {e.ip} . {e.port}" in text or f"to {e}" in text]


def _policy_note(rule: Rule) -> str:
    selecting = policies.names_of(rule.chain)
    if not selecting:
        return "NetworkPolicies of this node's Pods"
    if "drop" in rule.text.split():
        return f"no rule of NetworkPolicy {', '.join(selecting)} allows it"
    return next((f"NetworkPolicy {name}" for name in _commented(rule.text) if name in selecting), "")


def _service(port: ServicePort) -> str:
    return f"{port.namespace}/{port.name}"


def _port(port: ServicePort) -> str:
    return f"{port.port_name or port.port}/{port.protocol}"


def _targets(slice_: Object) -> Iterator[tuple[str, Behind]]:
    for endpoint in slice_.get("endpoints") or ():
        ref = endpoint.get("targetRef") or {}
        pod = f"{ref.get('namespace', '')}/{ref['name']}" if ref.get("kind") == "Pod" else ""
        for address in endpoint.get("addresses") or ():
            yield address, Behind("", key_of(slice_).name, pod, endpoint.get("nodeName") or "")


def _words(rule: Rule) -> list[str]:
    """Names of chains and sets in a rule: where it leads to first, then where it stands."""
    return [*(word.strip("@,{}") for word in reversed(rule.text.split())), rule.chain]


def _commented(text: str) -> list[str]:
    """The first words of comments: kube-proxy's begin with the service port's name."""
    return re.findall(r'comment "?(?!--)([^" ]+)', text)


def iptables_rules(saved: str, family: Family = IPV4) -> list[Rule]:
    """The rules of an iptables-save text, or of one of ip6tables-save."""
    found, table = [], ""
    prefix = f"{IPV6.nft} " if family is IPV6 else ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = prefix + line[1:]
        elif line.startswith("-A "):
            _, chain, *rest = line.split(" ", 2)
            found.append(Rule(table, chain, rest[0] if rest else ""))
    return found


_OPENS = re.compile(r"\t(set|map|chain) (\S+) \{")


def nftables_rules(listed: str) -> list[Rule]:
    """The rules of chains and the elements of sets and maps in a `nft list table` text."""
    found: list[Rule] = []
    table, kind, name, elements = "", "", "", ""
    for line in listed.splitlines():
        if line.startswith("table "):
            table = line.removeprefix("table ").removesuffix(" {")
        elif opened := _OPENS.match(line):
            kind, name = opened.groups()
        elif kind == "chain" and line.startswith("\t\t") and not line.startswith(("\t\ttype ", "\t\tcomment ")):
            found.append(Rule(table, name, line.strip()))
        elif kind != "chain" and (elements or "elements = {" in line):
            elements += line
            if line.endswith("}"):
                inner = elements[elements.index("{") + 1 : -1]
                found += (Rule(table, name, " ".join(e.split())) for e in inner.split(",") if e.strip())
                elements = ""
    return found


def changes(before: Iterable[Rule], after: Iterable[Rule]) -> list[tuple[str, Rule]]:
    """What is gone (-) and what came (+), in order; a rule that only moved is no change."""
    old, new = dict.fromkeys(before), dict.fromkeys(after)
    return [("-", r) for r in old if r not in new] + [("+", r) for r in new if r not in old]
