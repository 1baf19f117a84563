"""What the taps in the nodes print, as values: `nft monitor trace` and `tcpdump -n -tt -i any`. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from labctl.proxy.explain import Rule
from labctl.proxy.family import with_port

TABLE = "labctl-trace"
"""The nftables table that turns tracing on; it changes nothing else and is gone afterwards."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One direction of a connection. Ports are 0 where the protocol has none."""

    protocol: str
    source: str
    source_port: int
    target: str
    target_port: int

    @property
    def arrow(self) -> str:
        """`10.244.1.3:46140 -> 10.96.0.10:53`."""
        return f"{with_port(self.source, self.source_port)} -> {with_port(self.target, self.target_port)}"

    @property
    def reply(self) -> Flow:
        """The other direction."""
        return Flow(self.protocol, self.target, self.target_port, self.source, self.source_port)


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet at one interface of one node. `at` is the kernel's clock in seconds; `info` is tcpdump's text."""

    at: float
    node: str
    interface: str
    is_incoming: bool
    flow: Flow
    info: str

    @property
    def flags(self) -> str:
        """TCP flags as tcpdump writes them: `S`, `S.`, `R.`, `F.`."""
        found = re.match(r"Flags \[([^\]]*)\]", self.info)
        return found[1] if found else ""


_PACKET = re.compile(r"^(\d+\.\d+) (\S+) +(In|Out|B|M|P) +IP6? (\S+) > (\S+): (.*)$")


def packets(text: str, node: str) -> list[Packet]:
    """The packets of a tcpdump text; lines of other protocols are left out."""
    found = []
    for line in text.splitlines():
        if match := _PACKET.match(line):
            at, interface, direction, source, target, info = match.groups()
            flow = _flow(source, target, info)
            found.append(Packet(float(at), node, interface, direction == "In", flow, info))
    return found


def _flow(source: str, target: str, info: str) -> Flow:
    protocol = "tcp" if info.startswith("Flags [") else "icmp" if info.startswith("ICMP") else "udp"
    if protocol == "icmp":
        return Flow(protocol, source, 0, target, 0)
    (from_, from_port), (to, to_port) = (text.rpartition(".")[::2] for text in (source, target))
    return Flow(protocol, from_, _port(from_port), to, _port(to_port))


def _port(text: str) -> int:
    return int(text) if text.isdigit() else 0


@dataclass(frozen=True, slots=True)
class Met:
    """A rule, or a chain's policy, that a packet met: `verdict` is the kernel's (`jump KUBE-SERVICES`, `accept`, `drop`)."""

    table: str
    chain: str
    text: str
    handle: int
    verdict: str


@dataclass(slots=True)
class Journey:
    """One packet through one node: its headers as it came in, and every rule it met, in order."""

    flow: Flow
    met: list[Met] = field(default_factory=list)


_HEAD = re.compile(r"^trace id (\S+) (\S+ \S+) (\S+) (packet:|rule|policy|verdict)\s?(.*)$")
_VERDICT = re.compile(r"^(.*?)\s*(?:# handle (\d+) )?\(verdict ([^)]*)\)\s*$")
_PROTOCOLS = {"6": "tcp", "17": "udp", "132": "sctp", "1": "icmp", "58": "icmp"}


def journeys(text: str) -> list[Journey]:
    """The packets of a `nft -n -a monitor trace` text.

    The kernel makes a trace's id of an address that it soon uses again, so a journey begins where our own table
    sees a packet.
    """
    found: list[Journey] = []
    current: dict[str, Journey] = {}
    for line in text.splitlines():
        match = _HEAD.match(line)
        if not match:
            continue
        ident, table, chain, kind, rest = match.groups()
        if table.endswith(f" {TABLE}"):
            if kind == "packet:":
                current[ident] = Journey(_traced_flow(rest))
                found.append(current[ident])
        elif ident in current and kind != "packet:":
            current[ident].met.append(_met(table, chain, kind, rest))
    return found


def _met(table: str, chain: str, kind: str, rest: str) -> Met:
    if kind == "rule" and (match := _VERDICT.match(rest)):
        return Met(table, chain, " ".join(match[1].split()), int(match[2] or 0), match[3])
    return Met(table, chain, f"policy {rest.strip()}" if kind == "policy" else rest.strip(), 0, rest.strip())


def _traced_flow(text: str) -> Flow:
    def value(*names: str) -> str:
        for name in names:
            if match := re.search(rf"\b{name} (\S+)", text):
                return match[1]
        return ""

    protocol = value("ip protocol", "ip6 nexthdr")
    protocol = _PROTOCOLS.get(protocol, protocol)
    source_port, target_port = value(f"{protocol} sport"), value(f"{protocol} dport")
    source, target = value("ip6? saddr"), value("ip6? daddr")
    return Flow(protocol, source, _port(source_port), target, _port(target_port))


Handles = dict[tuple[str, str, int], Rule]
"""(nftables table, chain, handle) -> the rule as iptables-save prints it."""


def handles(ruleset: str, rules: Iterable[Rule]) -> Handles:
    """Which rule a handle of `nft -j -a list ruleset` is: both lists keep the order of a chain.

    nft prints no comments of iptables' rules, and iptables-save no handles.
    """
    saved: dict[tuple[str, str], Iterator[Rule]] = {}
    by_chain: dict[tuple[str, str], list[Rule]] = {}
    for rule in rules:
        by_chain.setdefault((f"{rule.family.nft} {rule.table.removeprefix('ip6 ')}", rule.chain), []).append(rule)
    found: Handles = {}
    for entry in json.loads(ruleset or '{"nftables": []}')["nftables"]:
        if rule_ := entry.get("rule"):
            key = (f"{rule_['family']} {rule_['table']}", rule_["chain"])
            if key in by_chain:
                following = saved.setdefault(key, iter(by_chain[key]))
                if (same := next(following, None)) is not None:
                    found[(*key, rule_["handle"])] = same
    return found
