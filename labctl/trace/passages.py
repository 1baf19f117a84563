"""One connection's first packet on its way: through which nodes, by which rules, changed how, and what came back. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from labctl.proxy.explain import Index, Rule
from labctl.proxy.family import with_port
from labctl.trace.lines import Flow, Met, Packet
from labctl.trace.model import Connection, Names, Passage, Seen, Step

_STAGES = ("prerouting", "input", "forward", "output", "postrouting")
_COUNTER = re.compile(r"counter packets \d+ bytes \d+ ?")
_COMMENT = re.compile(r"-m comment --comment (\"[^\"]*\"|\S+) ?|comment \"[^\"]*\" ?")

_NAMES = {
    "ct state 0x8": "ct state new",
    "meta l4proto 6 ": "meta l4proto tcp ",
    "meta l4proto 17 ": "meta l4proto udp ",
}


def ms(at: float, start: float, *, digits: int = 2) -> float:
    """Milliseconds from one moment to another."""
    return round((at - start) * 1000, digits)


def connection(
    first: Packet, packets: Sequence[Packet], *, start: float, seen: Sequence[Seen], known: Names, index: Index
) -> Connection:
    """The connection that this packet begins."""
    same = [p for p in packets if p.at >= first.at and _is_same(p, first)]
    by_node = {s.node: s for s in seen}
    nodes = list(dict.fromkeys(p.node for p in same))
    passages = tuple(_passage(by_node[n], [p for p in same if p.node == n], first.at, known, index) for n in nodes)
    last = same[-1].flow
    made = Connection(ms(first.at, start), first.flow.protocol.upper(), first.flow.arrow, known.of(first.flow.target))
    return _with_outcome(replace(made, passages=passages), first, packets, last, known)


def _is_same(packet: Packet, first: Packet) -> bool:
    """Whether this is the first packet again, further on its way: rewritten addresses, but the same sequence number."""
    if packet.flow.protocol != first.flow.protocol:
        return False
    if first.flow.protocol == "tcp":
        sequence = re.search(r"\bseq (\d+)", first.info)
        return packet.flags == "S" and sequence is not None and f"seq {sequence[1]}," in packet.info
    if packet.info != first.info or packet.at - first.at >= 1:
        return False
    # UDP has no numbers: the same port, or another one where the address was changed with it.
    return packet.flow.source_port == first.flow.source_port or packet.flow.source != first.flow.source


def _passage(seen: Seen, same: Sequence[Packet], begin: float, known: Names, index: Index) -> Passage:
    came = next((p for p in same if p.is_incoming), same[0])
    left = next((p for p in reversed(same) if not p.is_incoming), None)
    before, after = came.flow, left.flow if left else came.flow
    dnat = with_port(after.target, after.target_port) if _end(after) != _end(before) else ""
    snat = with_port(after.source, after.source_port) if after.source != before.source else ""
    passage = Passage(seen.node, before.arrow, ms(came.at, begin, digits=3), dnat=dnat, snat=snat)
    if dnat:
        passage = replace(passage, destination=known.of(after.target))
    if left:
        passage = replace(passage, left=after.arrow, left_by=left.interface, left_after_ms=ms(left.at, begin, digits=3))
    return replace(passage, steps=tuple(_steps(seen, before, after, passage, index)))


def _end(flow: Flow) -> tuple[str, int]:
    return flow.target, flow.target_port


def _steps(seen: Seen, before: Flow, after: Flow, passage: Passage, index: Index) -> list[Step]:
    journey = next((j for j in seen.journeys if j.flow == before), None)
    journey = journey or next((j for j in seen.journeys if j.flow == after), None)
    if journey is None:
        return []
    steps: list[Step] = []
    stage = ""
    for position, met in enumerate(journey.met):
        stage = next((s for s in _STAGES if s in met.chain.lower()), stage) if _is_base(met.chain) else stage
        following = journey.met[position + 1] if position + 1 < len(journey.met) else None
        steps.append(_step(seen, met, following, stage, passage, index))
    return steps


def _is_base(chain: str) -> bool:
    """Chains that the kernel's hooks begin with: PREROUTING, nat-prerouting; but not KUBE-POSTROUTING."""
    return "KUBE" not in chain and "LABCTL" not in chain


def _step(seen: Seen, met: Met, following: Met | None, stage: str, passage: Passage, index: Index) -> Step:
    table = met.table.removeprefix("ip ").removeprefix("ip6 ")
    if met.text.startswith("policy"):
        effect = "no rule decided" if met.verdict.startswith("accept") else ""
        return Step(stage, table, met.chain, " ".join(met.text.split()[:2]), met.verdict, effect=effect)
    rule = seen.handles.get((met.table, met.chain, met.handle)) or Rule(met.table, met.chain, met.text)
    text = _readable(_COMMENT.sub("", _COUNTER.sub("", rule.text)).strip())
    objects = index.explain(rule).words or seen.title
    return Step(stage, table, met.chain, text or met.verdict, met.verdict, objects, _choice(seen, met, rule),
                _effect(text, objects, met, following, passage))  # fmt: skip


def _readable(text: str) -> str:
    """Numbers that `nft -n` prints, as the names that rules are written with."""
    for number, name in _NAMES.items():
        text = text.replace(number, name)
    return text


def _effect(text: str, objects: str, met: Met, following: Met | None, passage: Passage) -> str:
    """What a rule did to the packet, in words."""
    words = text.split()
    if "DNAT" in words or "dnat" in words:
        is_told = passage.destination in objects and objects.count(" -> ") + objects.count("), ") == 1
        behind = f" ({passage.destination})" if passage.destination and not is_told else ""
        return f"DNAT: the target becomes {passage.dnat}{behind}" if passage.dnat else ""
    if "MASQUERADE" in words or "masquerade" in words:
        return f"SNAT: the source becomes {passage.snat}" if passage.snat else ""
    if "REJECT" in words or "reject" in words:
        return "refused: an ICMP message goes back"
    if "DROP" in words or "drop" in words:
        return "dropped without a word: the client waits in vain"
    if met.chain == "KUBE-POSTROUTING" and "RETURN" in words:
        return "it has no mark: its source stays"
    if met.chain == "KUBE-POSTROUTING" and "MARK" in words:
        return "the mark has served and is taken off"
    jumped = re.match(r"(?:jump|goto) (\S+)", met.verdict)
    if jumped and (following is None or following.chain != jumped[1]):
        return "nothing there matches"
    return ""


def _choice(seen: Seen, met: Met, rule: Rule) -> str:
    """iptables tries endpoint after endpoint with a probability each; nftables throws the dice once."""
    if numgen := re.search(r"numgen random mod (\d+)", rule.text):
        return f"one of {numgen[1]} endpoints, each with probability {1 / int(numgen[1]):.2f}"
    chain = [r for (table, name, _), r in seen.handles.items() if (table, name) == (met.table, met.chain)]
    if seen.title:
        return _chance(rule, [r.text for r in chain if "-j DNAT" in r.text], "node")
    if "-j KUBE-SEP-" not in rule.text:
        return ""
    if "--rcheck" in rule.text:
        return "the endpoint that this client had before"
    return _chance(rule, [r.text for r in chain if "--rcheck" not in r.text and "-j KUBE-SEP-" in r.text], "endpoint")


def _chance(rule: Rule, rules: Sequence[str], what: str) -> str:
    several = list(dict.fromkeys(rules))
    if len(several) < 2 or rule.text not in several:
        return ""
    found = re.search(r"--probability ([0-9.]+)", rule.text)
    chance = float(found[1]) if found else 1.0
    return f"{what} {several.index(rule.text) + 1} of {len(several)}, probability at this rule {chance:.2f}"


def _with_outcome(made: Connection, first: Packet, packets: Sequence[Packet], last: Flow, known: Names) -> Connection:
    """What came of it in words, and the reply as it came and as the origin saw it."""
    flow = first.flow

    def to_origin(p: Packet) -> bool:
        return not p.is_incoming and p.node == first.node and p.flow == flow.reply

    def refusal(p: Packet) -> bool:
        return (p.flow.protocol == "icmp" and p.flow.target == flow.source and "unreachable" in p.info
                and flow.target in p.info)  # fmt: skip

    answer = _first(packets, first.at, to_origin)
    if answer is None:
        return _unanswered(made, first, _first(packets, first.at, refusal))
    took = ms(answer.at, first.at)
    if "R" in answer.flags:
        who = known.of(last.target)
        at = with_port(last.target, last.target_port) + (f" ({who})" if who else "")
        outcome = f"refused in {took} ms by a TCP reset: nothing listens at {at}"
        return replace(made, result="refused", took_ms=took, outcome=outcome)
    word = "connected" if flow.protocol == "tcp" else "answered"
    raw = last.reply.arrow
    undone = f"{raw} becomes {flow.reply.arrow}" if raw != flow.reply.arrow else raw
    return replace(made, result=word, took_ms=took, outcome=f"{word} in {took} ms", reply=undone)


def _unanswered(made: Connection, first: Packet, refusal: Packet | None) -> Connection:
    if refusal is not None:
        took = ms(refusal.at, first.at)
        if where := _nowhere(refusal, made.passages[-1].left.rpartition(" ")[2] or first.flow.target):
            return replace(made, result="refused", took_ms=took, outcome=f"unreachable after {took} ms: {where}")
        by = _by(made, "REJECT", "reject") or "no rule of the nodes"
        return replace(made, result="refused", took_ms=took, outcome=f"refused in {took} ms: {by}")
    if dropped := _by(made, "drop", "DROP"):
        return replace(made, result="dropped", outcome=f"dropped: {dropped}")
    end = made.passages[-1] if made.passages else None
    last = f": {end.left.rpartition(' ')[2]} says nothing" if end and end.left else ""
    return replace(made, result="silent", outcome=f"no answer{last}")


def _nowhere(refusal: Packet, address: str) -> str:
    """What an ICMP message says that is not about a port; ICMPv6 has the words behind."""
    if re.search(r"\bhost \S+ unreachable|unreachable address", refusal.info):
        return f"no host answers to the address {address}"
    return f"no route leads to {address}" if "unreachable route" in refusal.info else ""


def _by(made: Connection, *words: str) -> str:
    """The last rule whose text or verdict has one of these words; nftables' rules serve all Services: name the one."""
    for passage in reversed(made.passages):
        for step in reversed(passage.steps):
            if any(w in step.rule.split() or w in step.verdict.split() for w in words):
                about = [made.target] if made.target and made.target not in step.objects else []
                objects = f" ({': '.join([*about, step.objects])})" if step.objects else ""
                return f"rule of {step.chain} on {passage.node}{objects}"
    return ""


def _first(packets: Sequence[Packet], at: float, wanted: Callable[[Packet], bool]) -> Packet | None:
    return next((p for p in packets if p.at >= at and wanted(p)), None)
