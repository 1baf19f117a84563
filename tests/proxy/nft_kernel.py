"""Table `ip kube-proxy` in memory: takes texts for `nft -f -`, lists itself, and walks packets through its rules.

Knows the statements of kube-proxy's rules. A text is applied whole or not at all, and refused where the kernel refuses it: an
element that is there with another verdict or is not there to delete, a chain or set that something still leads to.
"""

from __future__ import annotations

import copy
import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import ClassVar

from labctl.proxy.runner import CommandFailed
from tests.proxy.kernel import Branches, Fate, IptablesKernel, Packet

HOOKS = {
    "pre": ("filter-prerouting-pre-dnat", "nat-prerouting"),
    "out": ("filter-output-pre-dnat", "nat-output"),
}
ONE = Fraction(1)


@dataclass
class Table:
    chains: dict[str, list[str]] = field(default_factory=dict)
    hooks: dict[str, str] = field(default_factory=dict)
    containers: dict[str, dict[str, str]] = field(default_factory=dict)
    specs: dict[str, str] = field(default_factory=dict)


@dataclass
class NftKernel:
    """`beside` is iptables' part of the same node: what labctl itself adds."""

    mode: ClassVar[str] = "nftables"
    name: ClassVar[str] = "kube-proxy"
    local: frozenset[str]
    beside: IptablesKernel
    table: Table | None = None
    commands: list[tuple[str, ...]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    fail: str = ""
    generation: int = 0

    async def __call__(self, *argv: str, stdin: str = "") -> str:
        self.commands.append(argv)
        if argv[0] != "nft":
            return await self.beside(*argv, stdin=stdin)
        if "list" in argv:
            if self.table is None:
                raise CommandFailed(argv, 1, "No such file or directory")
            return self.listing()
        if self.fail:
            error, self.fail = self.fail, ""
            raise CommandFailed(argv, 1, error)
        self.texts.append(stdin)
        self.apply(stdin)
        return ""

    # changes

    def apply(self, text: str) -> None:
        """Apply a transaction."""
        work = copy.deepcopy(self.table)
        for line in text.splitlines():
            verb, kind, _, name, *rest = line.split(" ", 4)
            assert name == self.name, line
            if kind == "table":
                work = (work or Table()) if verb == "add" else None
                continue
            assert work is not None, line
            self._change(work, verb, kind, rest[0])
        if work is not None:
            self._check(work)
        self.table = work
        self.generation += 1

    def _change(self, work: Table, verb: str, kind: str, text: str) -> None:
        name, _, rest = text.partition(" ")
        match verb, kind:
            case "add", "chain":
                work.chains.setdefault(name, [])
                if "hook" in rest:
                    work.hooks[name] = rest
            case "add", "set" | "map":
                if work.specs.setdefault(name, rest) != rest:
                    raise self._refused(f"{name}: exists with other flags")
                work.containers.setdefault(name, {})
                if elements := re.search(r"elements = (\{.*?\})", rest):
                    work.containers[name] |= dict(_elements(elements[1]))
            case "add", "rule":
                work.chains[name].append(rest)
            case "flush", "chain":
                work.chains[name] = []
            case "add", "element":
                for key, value in _elements(rest):
                    if work.containers[name].get(key, value) != value:
                        raise self._refused(f"{name}: {key} exists")
                    work.containers[name][key] = value
            case "delete", "element":
                for key, _ in _elements(rest):
                    if work.containers[name].pop(key, None) is None:
                        raise self._refused(f"{name}: no {key}")
            case "delete", "chain":
                assert not work.chains.pop(name), name
            case "delete", "set":
                del work.containers[name], work.specs[name]
            case _:
                raise AssertionError(f"{verb} {kind}")

    def _check(self, work: Table) -> None:
        """Whatever something leads to has to exist."""
        rules = [rule for listed in work.chains.values() for rule in listed]
        verdicts = [value.split('" ')[-1] for elements in work.containers.values() for value in elements.values()]
        for target in (t for text in (*rules, *verdicts) for t in re.findall(r"(?:goto|jump) ([^ ,]+)", text)):
            if target not in work.chains:
                raise self._refused(f"no chain {target}")
        for name in (n for rule in rules for n in re.findall(r"@(\S+)", rule)):
            if name not in work.containers:
                raise self._refused(f"no set {name}")

    @staticmethod
    def _refused(why: str) -> CommandFailed:
        return CommandFailed(("nft", "-f", "-"), 1, why)

    def listing(self) -> str:
        """What `nft list table` prints, as far as it is counted."""
        assert self.table is not None
        lines = ["table ip kube-proxy {"]
        for name, elements in self.table.containers.items():
            lines.append(f"\t{'map' if 'verdict' in self.table.specs[name] else 'set'} {name} {{")
            lines += [f"\t\telements = {{ {', '.join(elements)} }}"] if elements else []
            lines.append("\t}")
        for name, rules in self.table.chains.items():
            lines += [f"\tchain {name} {{", *(f"\t\t{rule}" for rule in rules), "\t}"]
        return "\n".join([*lines, "}", ""])

    # packets

    def remember(self, client: str, endpoint: str) -> None:
        """As if the client had lately been sent to an endpoint (`address:port`)."""
        assert self.table is not None
        (name,) = [n for n in self.table.containers if n.startswith("affinity-") and endpoint.replace(":", "/") in n]
        self.table.containers[name][client] = ""

    def fates(self, packet: Packet) -> dict[Fate, Fraction]:
        """All ends a packet may come to, and how probable each is."""
        found: dict[Fate, Fraction] = {}
        for chance, fate in self._way(packet):
            found[fate] = found.get(fate, Fraction(0)) + chance
        return found

    def _way(self, packet: Packet) -> Iterator[tuple[Fraction, Fate]]:
        here = packet.source in self.local
        before, nat = HOOKS["out" if here else "pre"]
        ((_, packet, verdict),) = self._chain(before, packet)
        if verdict == "DROP":
            yield ONE, Fate("DROP")
            return
        for chance, routed, _ in self._chain(nat, packet):
            to_us = routed.destination in self.local
            filters = ["filter-output"] if here else []
            filters += ["filter-input"] if to_us else [] if here else ["filter-forward"]
            yield from self._filtered(chance, routed, filters, leaves=not to_us)

    def _filtered(
        self, chance: Fraction, packet: Packet, filters: list[str], *, leaves: bool
    ) -> Iterator[tuple[Fraction, Fate]]:
        for chain in filters:
            ((_, packet, verdict),) = self._chain(chain, packet)
            if verdict in ("DROP", "REJECT"):
                yield chance, Fate(verdict)
                return
        if leaves:
            ((_, packet, _),) = self._chain("nat-postrouting", packet)
            for part, fate in self.beside.leaving(packet):
                yield chance * part, fate
        else:
            yield chance, Fate(packet.target, packet.masqueraded)

    def _chain(self, chain: str, packet: Packet, start: int = 0) -> Branches:
        assert self.table is not None
        rules = self.table.chains[chain]
        for index in range(start, len(rules)):
            branches = list(self._rule(rules[index], packet))
            if len(branches) == 1 and branches[0][2] is None:
                packet = branches[0][1]
                continue
            for chance, after, verdict in branches:
                if verdict is None:
                    yield from ((chance * p, a, v) for p, a, v in self._chain(chain, after, index + 1))
                else:
                    yield chance, after, None if verdict == "RETURN" else verdict
            return
        yield ONE, packet, None

    def _rule(self, rule: str, packet: Packet) -> Branches:
        """None goes on with the next rule; RETURN ends the chain (after goto)."""
        text = re.sub(r' comment "[^"]*"$', "", rule)
        while text:
            found, handle = _statement(text)
            text = text[found.end() :]
            result = handle(self, packet, *found.groups())
            if isinstance(result, Packet):
                packet = result
            elif isinstance(result, Fraction):  # the rest of the rule with this chance
                yield ONE - result, packet, None
                yield from ((result * p, a, v) for p, a, v in self._rule(text, packet))
                return
            elif result is False:
                yield ONE, packet, None
                return
            elif result is not True:
                yield from result
                return
        yield ONE, packet, None

    def verdict(self, value: str, packet: Packet) -> Branches:
        """drop, reject, or what a chain decides."""
        verb, _, chain = value.partition(" ")
        if verb in ("accept", "drop", "reject", "return"):
            yield ONE, packet, verb.upper()
            return
        for chance, after, verdict in self._chain(chain, packet):
            yield chance, after, verdict or ("RETURN" if verb == "goto" else None)

    def look_up(self, packet: Packet, key: str, container: str) -> bool | Branches:
        """A verdict map."""
        assert self.table is not None
        value = self.table.containers[container].get(key)
        return True if value is None else self.verdict(value.split('" ')[-1], packet)


def _statement(text: str) -> tuple[re.Match[str], Callable[..., Handled]]:
    """The first statement of a rule."""
    for pattern, handle in STATEMENTS:
        if found := re.match(pattern + r"(?: |$)", text):
            return found, handle
    raise AssertionError(f"the tracer does not know {text!r}")


def _elements(text: str) -> Iterator[tuple[str, str]]:
    """Keys and verdicts; a comment stays with the verdict."""
    for each in text.removeprefix("{ ").removesuffix(" }").split(", "):
        key, _, value = each.partition(" : ")
        key, _, comment = key.partition(' comment "')
        yield key, f'"{comment} {value}' if comment else value


def _within(address: str, ranges: str) -> bool:
    listed = ranges.strip("{} ").split(", ")
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(r) for r in listed)


def _has(kernel: NftKernel, key: str, container: str) -> bool:
    assert kernel.table is not None
    return key in kernel.table.containers[container]


def _balanced(kernel: NftKernel, packet: Packet, count: str, listed: str) -> Branches:
    targets = dict(each.split(" : ") for each in listed.split(", "))
    assert len(targets) == int(count)
    for target in targets.values():
        address, _, port = target.partition(" . ")
        yield Fraction(1, len(targets)), replace(packet, destination=address, port=int(port), dnat=True), "ACCEPT"


def _spread(kernel: NftKernel, packet: Packet, count: str, listed: str) -> Branches:
    targets = dict(each.split(" : ") for each in listed.split(", "))
    for target in targets.values():
        yield from ((p / int(count), a, v) for p, a, v in kernel.verdict(target, packet))


def _translated(packet: Packet, target: str) -> Branches:
    address, _, port = target.rpartition(":")
    yield ONE, replace(packet, destination=address, port=int(port), dnat=True), "ACCEPT"


def _service(p: Packet) -> str:
    return f"{p.destination} . {p.protocol} . {p.port}"


Handled = bool | Packet | Fraction | Branches
STATEMENTS: list[tuple[str, Callable[..., Handled]]] = [
    (r"ct state new", lambda k, p: True),
    (r"ct status dnat", lambda k, p: p.dnat),
    (r"ct state established,related", lambda k, p: False),
    (r"counter", lambda k, p: True),
    (r"(accept|drop|reject|return)", lambda k, p, v: k.verdict(v, p)),
    (r"ip saddr \. ip daddr @(\S+)", lambda k, p, c: _has(k, f"{p.source} . {p.destination}", c)),
    (r"ip saddr vmap @(\S+)", lambda k, p, c: k.look_up(p, p.source, c)),
    (r"ip daddr vmap @(\S+)", lambda k, p, c: k.look_up(p, p.destination, c)),
    (
        r"ip daddr \. (tcp|udp|sctp) dport \{ (.*?) \}",
        lambda k, p, name, s: p.protocol == name and f"{p.destination} . {p.port}" in s.split(", "),
    ),
    (
        r"(tcp|udp|sctp) dport (\d+)(?:-(\d+))?",
        lambda k, p, name, low, high: p.protocol == name and int(low) <= p.port <= int(high or low),
    ),
    (r"((?:goto|jump) \S+)", lambda k, p, v: k.verdict(v, p)),
    (
        r"ip saddr \. ip daddr \. meta l4proto \. th dport @(\S+)",
        lambda k, p, c: _has(k, f"{p.source} . {_service(p)}", c),
    ),
    (r"ip daddr \. meta l4proto \. th dport vmap @(\S+)", lambda k, p, c: k.look_up(p, _service(p), c)),
    (r"meta l4proto \. th dport vmap @(\S+)", lambda k, p, c: k.look_up(p, f"{p.protocol} . {p.port}", c)),
    (r"ip daddr @(\S+)", lambda k, p, c: _has(k, p.destination, c)),
    (r"ip saddr @(\S+)", lambda k, p, c: _has(k, p.source, c)),
    (r"ip saddr != (\{.*?\}|\S+)", lambda k, p, r: not _within(p.source, r)),
    (r"ip daddr != (\{.*?\}|\S+)", lambda k, p, r: not _within(p.destination, r)),
    (r"ip saddr (\{.*?\}|\S+)", lambda k, p, r: _within(p.source, r)),
    (r"ip daddr (\{.*?\}|\S+)", lambda k, p, r: _within(p.destination, r)),
    (r"meta l4proto (\w+)", lambda k, p, name: p.protocol == name),
    (r"meta mark set meta mark \| (\S+)", lambda k, p, m: replace(p, mark=p.mark | int(m, 16))),
    (r"meta mark & (\S+) != 0x00000000", lambda k, p, m: bool(p.mark & int(m, 16))),
    (r"meta mark set meta mark \^ (\S+)", lambda k, p, m: replace(p, mark=p.mark ^ int(m, 16))),
    (r"masquerade fully-random", lambda k, p: iter([(ONE, replace(p, masqueraded=True), "ACCEPT")])),
    (r"fib saddr type local", lambda k, p: p.source in k.local),
    (r"dnat ip addr \. port to numgen random mod (\d+) map \{ (.*?) \}", _balanced),
    (r"numgen random mod (\d+) vmap \{ (.*?) \}", _spread),
    (r"numgen random mod (\d+) 0", lambda k, p, n: Fraction(1, int(n))),
    (r"dnat to (\S+)", lambda k, p, target: _translated(p, target)),
    (r"update @\S+ \{ ip saddr \}", lambda k, p: True),
]
