"""From what the taps saw to what is told: names asked for, and connections tried. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from labctl.proxy.explain import Index
from labctl.trace.lines import Flow, Packet
from labctl.trace.model import DNS, Connection, Lookup, Names, Origin, Seen, Story
from labctl.trace.passages import connection, ms


def tell(origin: Origin, *, seen: Sequence[Seen], known: Names, index: Index) -> Story:
    """The story of everything that came from the origin while the taps were there."""
    packets = sorted((p for s in seen for p in s.packets), key=lambda p: p.at)
    sent = [p for p in packets if p.node in origin.nodes and p.is_incoming and p.flow.source in origin.addresses]
    if not sent:
        return Story(origin)
    start = sent[0].at
    events: list[Lookup | Connection] = _lookups(sent, packets, start, known)
    told: set[Flow] = set()
    for packet in sent:
        begins = packet.flags == "S" or (packet.flow.protocol == "udp" and packet.flow.target_port != DNS)
        if begins and packet.flow not in told:
            told.add(packet.flow)
            events.append(connection(packet, packets, start=start, seen=seen, known=known, index=index))
    return Story(origin, tuple(sorted(events, key=lambda e: e.at_ms)))


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
            found.append(Lookup(ms(packet.at, start), question, title))
            continue
        behind = next((p for p in answers if p.is_incoming), None)
        by = known.of(behind.flow.source) if behind else ""
        took = round((reply.at - packet.at) * 1000, 2)
        found.append(Lookup(ms(packet.at, start), question, title, by, _answer(reply.info, known), took))
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
