"""From what the taps saw to what is told: names asked for, connections tried, and every rule on the way. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from labctl.api.objects import Object, key_of
from labctl.proxy.explain import Index, Rule
from labctl.trace.lines import Flow, Handles, Journey, Met, Packet

DNS = 53


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything one node's taps saw."""

    node: str
    packets: Sequence[Packet]
    journeys: Sequence[Journey]
    handles: Handles


@dataclass(frozen=True, slots=True)
class Lookup:
    """One DNS question and its answer. Times are milliseconds; `took_ms` is None when nobody answered."""

    at_ms: float
    question: str
    server: str
    answered_by: str = ""
    answer: str = ""
    took_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that the packet met, as iptables-save or nft print it, and the objects behind it."""

    node: str
    table: str
    chain: str
    rule: str
    verdict: str
    objects: str = ""
    choice: str = ""  # among how many endpoints this rule chose


@dataclass(frozen=True, slots=True)
class Hop:
    """The packet leaving a node: its headers then, and how long after the first packet."""

    after_ms: float
    node: str
    interface: str
    flow: str


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection attempt: its first packet's way, and what came back."""

    at_ms: float
    protocol: str
    flow: str
    target: str
    steps: tuple[Step, ...] = ()
    hops: tuple[Hop, ...] = ()
    translated: str = ""  # address and port after DNAT, empty when they were not changed
    destination: str = ""  # the object at the translated address
    masqueraded: str = ""  # address and port of the source after SNAT, empty when they were not changed
    outcome: str = ""
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """What happened, in order of time."""

    pod: str
    address: str
    node: str
    search: tuple[str, ...] = ()
    events: tuple[Lookup | Connection, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For programs: events carry their kind."""
        kinds = {Lookup: "lookup", Connection: "connection"}
        return {**asdict(self), "events": [{"kind": kinds[type(e)], **asdict(e)} for e in self.events]}


@dataclass(frozen=True, slots=True)
class Names:
    """Who has which address."""

    by_address: Mapping[str, str] = field(default_factory=dict)

    def of(self, address: str) -> str:
        """`Pod default/web-5d4f on node-1`, or the address."""
        return self.by_address.get(address, "")


def names(services: Sequence[Object], pods: Sequence[Object], nodes: Sequence[Object]) -> Names:
    """Names for every address that an object has."""
    found: dict[str, str] = {}
    for node in nodes:
        for address in (node.get("status") or {}).get("addresses") or ():
            found[address["address"]] = f"Node {node['metadata']['name']}"
    for pod in pods:
        if not pod["spec"].get("hostNetwork"):
            for ip in (pod.get("status") or {}).get("podIPs") or ():
                found[ip["ip"]] = f"Pod {key_of(pod)} on {pod['spec'].get('nodeName')}"
    for service in services:
        spec = service["spec"]
        for ip in [*(spec.get("clusterIPs") or ()), *(spec.get("externalIPs") or ())]:
            if ip != "None":
                found[ip] = f"Service {key_of(service)}"
    return Names(found)


def tell(
    *, pod: str, address: str, node: str, search: Sequence[str], seen: Sequence[Seen], known: Names, index: Index
) -> Story:
    """The story of everything that the pod with this address sent while the taps were there."""
    packets = sorted((p for s in seen for p in s.packets), key=lambda p: p.at)
    sent = [p for p in packets if p.node == node and p.is_incoming and p.flow.source == address]
    if not sent:
        return Story(pod, address, node, tuple(search))
    start = sent[0].at
    events: list[Lookup | Connection] = _lookups(sent, packets, start, known)
    told: set[Flow] = set()
    for packet in sent:
        begins = packet.flags == "S" or (packet.flow.protocol == "udp" and packet.flow.target_port != DNS)
        if begins and packet.flow not in told:
            told.add(packet.flow)
            events.append(_connection(packet, packets, start, seen, known, index))
    return Story(pod, address, node, tuple(search), tuple(sorted(events, key=lambda e: e.at_ms)))


_QUESTION = re.compile(r"^(\d+)\S* (?:\[\S+\] )?(\w+)\? (\S+) ")


def _lookups(
    sent: Sequence[Packet], packets: Sequence[Packet], start: float, known: Names
) -> list[Lookup | Connection]:
    found: list[Lookup | Connection] = []
    for packet in sent:
        match = _QUESTION.match(packet.info)
        if not match or packet.flow.target_port != DNS:
            continue
        ident, kind, name = match.groups()
        server = known.of(packet.flow.target)
        title = packet.flow.target + (f" ({server})" if server else "")
        question = f"{kind} {name}"
        answers = [
            p for p in packets if p.at >= packet.at and re.match(rf"{ident}\b", p.info) and _goes_back(p, packet)
        ]
        reply = next((p for p in answers if not p.is_incoming and p.flow == packet.flow.reply), None)
        if reply is None:
            found.append(Lookup(_ms(packet.at, start), question, title))
            continue
        behind = next((p for p in answers if p.is_incoming), None)
        by = known.of(behind.flow.source) if behind else ""
        took = round((reply.at - packet.at) * 1000, 2)
        found.append(Lookup(_ms(packet.at, start), question, title, by, _answer(reply.info, known), took))
    return found


def _goes_back(packet: Packet, question: Packet) -> bool:
    to = question.flow
    return (packet.flow.target, packet.flow.target_port) == (to.source, to.source_port)


def _answer(info: str, known: Names) -> str:
    """`NXDomain`, `10.96.7.1 (Service default/web)`, `CNAME x, A 192.0.2.1`, `no such record`."""
    match = re.match(r"\d+ ?(\w+)?[*|\-$]* (\d+)/\d+/\d+ ?(.*?) ?\(\d+\)$", info)
    if not match:
        return info
    code, count, records = match.groups()
    if code:
        return str(code)
    if count == "0":
        return "no record of this type"
    found = []
    for record in records.split(", "):
        value = record.removeprefix("A ").removeprefix("AAAA ")
        name = known.of(value)
        found.append(value + (f" ({name})" if name else ""))
    return ", ".join(found)


def _connection(
    first: Packet, packets: Sequence[Packet], start: float, seen: Sequence[Seen], known: Names, index: Index
) -> Connection:
    flow = first.flow
    same = [p for p in packets if p.at >= first.at and _is_same(p, first)]
    hops = tuple(
        Hop(_ms(p.at, first.at, digits=3), p.node, p.interface, p.flow.arrow) for p in same if not p.is_incoming
    )
    leaving = next((p for p in same if not p.is_incoming and p.node == first.node), None)
    after = leaving.flow if leaving else flow
    steps = tuple(step for s in seen for step in _steps(s, flow, after, index))
    target = known.of(flow.target)
    outcome, reply = _outcome(first, packets, after, steps, target)
    return Connection(
        _ms(first.at, start),
        flow.protocol.upper(),
        flow.arrow,
        target,
        steps,
        hops,
        _end(after) if _end(after) != _end(flow) else "",
        known.of(after.target),
        f"{after.source}:{after.source_port}" if after.source != flow.source else "",
        outcome,
        reply,
    )


def _end(flow: Flow) -> str:
    return f"{flow.target}:{flow.target_port}"


def _is_same(packet: Packet, first: Packet) -> bool:
    """Whether this is the first packet again, further on its way: rewritten addresses, but the same sequence number."""
    if packet.flow.protocol != first.flow.protocol:
        return False
    if first.flow.protocol == "tcp":
        sequence = re.search(r"\bseq (\d+)", first.info)
        return packet.flags == "S" and sequence is not None and f"seq {sequence[1]}," in packet.info
    return packet.info == first.info and packet.at - first.at < 1 and packet.flow.source_port == first.flow.source_port


def _steps(seen: Seen, flow: Flow, after: Flow, index: Index) -> list[Step]:
    """The rules that the first packet met in one node: it comes there as it was sent, or as another node left it."""
    journey = next((j for j in seen.journeys if j.flow in (flow, after)), None)
    if journey is None:
        return []
    return [_step(seen, met, index) for met in journey.met]


def _step(seen: Seen, met: Met, index: Index) -> Step:
    rule = seen.handles.get((met.table, met.chain, met.handle))
    table = met.table.removeprefix("ip ").removeprefix("ip6 ")
    if rule is None:
        rule = Rule(met.table, met.chain, met.text)
    if met.text.startswith("policy"):
        return Step(seen.node, table, met.chain, " ".join(met.text.split()[:2]), met.verdict)
    text = re.sub(r"-m comment --comment (\"[^\"]*\"|\S+) ?", "", rule.text)
    text = re.sub(r"counter packets \d+ bytes \d+ ?", "", text).strip()
    return Step(seen.node, table, met.chain, text, met.verdict, index.explain(rule).words, _choice(seen, met, rule))


def _choice(seen: Seen, met: Met, rule: Rule) -> str:
    """iptables tries endpoint after endpoint with a probability each; nftables throws the dice once."""
    if numgen := re.search(r"numgen random mod (\d+)", rule.text):
        return f"one of {numgen[1]} endpoints, each with probability {1 / int(numgen[1]):.2f}"
    if "-j KUBE-SEP-" not in rule.text:
        return ""
    chain = [r for (table, name, _), r in seen.handles.items() if (table, name) == (met.table, met.chain)]
    endpoints = list(dict.fromkeys(r.text for r in chain if "--rcheck" not in r.text and "-j KUBE-SEP-" in r.text))
    if "--rcheck" in rule.text:
        return "the endpoint that this client had before"
    if len(endpoints) < 2 or rule.text not in endpoints:
        return ""
    found = re.search(r"--probability ([0-9.]+)", rule.text)
    chance = float(found[1]) if found else 1.0
    return f"endpoint {endpoints.index(rule.text) + 1} of {len(endpoints)}, probability at this rule {chance:.2f}"


def _outcome(
    first: Packet, packets: Sequence[Packet], after: Flow, steps: Sequence[Step], target: str
) -> tuple[str, str]:
    """What came of it in words, and the reply as it came and as the pod saw it."""
    flow = first.flow

    def to_pod(p: Packet) -> bool:
        return not p.is_incoming and p.node == first.node and p.flow == flow.reply

    refused = _first(packets, first.at, lambda p: p.flow.protocol == "icmp" and p.flow.target == flow.source
                     and "unreachable" in p.info and flow.target in p.info)  # fmt: skip
    answer = _first(packets, first.at, to_pod)
    if answer is None and refused is not None:
        return f"refused in {_ms(refused.at, first.at)} ms: {_by(steps, target, 'REJECT', 'reject')}", ""
    if answer is None:
        dropped = _by(steps, target, "drop", "DROP")
        return (f"dropped: {dropped}" if dropped else "no answer"), ""
    took = _ms(answer.at, first.at)
    if "R" in answer.flags:
        return f"refused in {took} ms: nothing listens at {after.arrow.rpartition(' ')[2]}", ""
    word = "connected" if flow.protocol == "tcp" else "answered"
    raw = after.reply.arrow
    undone = f"{raw} becomes {flow.reply.arrow}" if raw != flow.reply.arrow else raw
    return f"{word} in {took} ms", undone


def _by(steps: Sequence[Step], target: str, *words: str) -> str:
    """The last rule whose text or verdict has one of these words; nftables' rules serve all Services: name the one."""
    for step in reversed(steps):
        if any(w in step.rule.split() or w in step.verdict.split() for w in words):
            about = [target] if target and target not in step.objects else []
            objects = f" ({': '.join([*about, step.objects])})" if step.objects else ""
            return f"rule of {step.chain} on {step.node}{objects}"
    return "no rule of the nodes" if "REJECT" in words else ""


def _first(packets: Sequence[Packet], at: float, wanted: Callable[[Packet], bool]) -> Packet | None:
    return next((p for p in packets if p.at >= at and wanted(p)), None)


def _ms(at: float, start: float, *, digits: int = 2) -> float:
    return round((at - start) * 1000, digits)
