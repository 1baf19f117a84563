"""A packet filter in memory: takes iptables-restore texts, prints them back, and walks packets through the rules.

`IptablesKernel` is a Runner, so whatever drives the real programs drives it. It refuses what the kernel refuses: deleting a
rule that is not there, jumping to a chain that does not exist, deleting a chain that something still leads to.
"""

from __future__ import annotations

import copy
import ipaddress
import itertools
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from typing import ClassVar

from labctl.proxy.runner import CommandFailed

Chains = dict[str, list[str]]
BUILT_IN = {
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
}
VERDICTS = ("ACCEPT", "DROP", "REJECT", "RETURN", "MARK", "DNAT", "MASQUERADE")


@dataclass(frozen=True)
class Packet:
    """The first packet of a connection at one node."""

    source: str
    destination: str
    port: int
    protocol: str = "tcp"
    mark: int = 0
    dnat: bool = False
    masqueraded: bool = False

    @property
    def target(self) -> str:
        return f"{self.destination}:{self.port}"


@dataclass(frozen=True)
class Fate:
    """Where a packet ends: `address:port` when it is delivered, else DROP or REJECT."""

    end: str
    masqueraded: bool = False

    def __str__(self) -> str:
        return self.end + (" from the node" if self.masqueraded else "")


Branches = Iterator[tuple[Fraction, Packet, str | None]]
"""Chance, packet, and the verdict; None at the end of a chain that decided nothing."""


@dataclass
class IptablesKernel:
    """Tables of chains of rules; `local` are the node's own addresses, `recent` the lists of module recent."""

    mode: ClassVar[str] = "iptables"
    local: frozenset[str]
    tables: dict[str, Chains] = field(
        default_factory=lambda: {table: {chain: [] for chain in chains} for table, chains in BUILT_IN.items()}
    )
    recent: dict[str, set[str]] = field(default_factory=dict)
    commands: list[tuple[str, ...]] = field(default_factory=list)
    restores: list[str] = field(default_factory=list)
    fail: str = ""  # the next restore fails with this
    conntrack: str = ""  # what conntrack -L prints
    generation: int = 0

    async def __call__(self, *argv: str, stdin: str = "") -> str:
        self.commands.append(argv)
        if argv[0] == "iptables-restore":
            assert "--noflush" in argv
            if self.fail:
                error, self.fail = self.fail, ""
                raise CommandFailed(argv, 4, error)
            self.restores.append(stdin)
            self.restore(stdin)
            return ""
        if argv[0] == "iptables-save":
            return self.save()
        assert argv[0] == "conntrack", argv
        return self.conntrack if "-L" in argv else ""

    # changes

    def restore(self, text: str) -> None:
        """Apply a text table by table, each whole or not at all."""
        table, work = "", dict[str, list[str]]()
        for line in text.splitlines():
            if line.startswith("*"):
                table, work = line[1:], copy.deepcopy(self.tables[line[1:]])
            elif line.startswith(":"):
                work[line[1:].split()[0]] = []
            elif line == "COMMIT":
                self._check(work)
                self.tables[table] = work
                self.generation += 1
            elif line:
                self._edit(work, line)

    def _edit(self, work: Chains, line: str) -> None:
        verb, chain, *rest = line.split(" ", 2)
        rule = rest[0] if rest else ""
        if chain not in work:
            raise CommandFailed(("iptables-restore",), 2, f"{line}: no chain {chain}")
        if verb == "-A":
            work[chain].append(rule)
        elif verb == "-I":
            work[chain].insert(0, rule)
        elif verb == "-D":
            if rule not in work[chain]:
                raise CommandFailed(("iptables-restore",), 1, f"{line}: does a matching rule exist in that chain?")
            work[chain].remove(rule)
        else:
            assert verb == "-X", line
            if work[chain] or any(f"-j {chain}" == r[-len(chain) - 3 :] for rules in work.values() for r in rules):
                raise CommandFailed(("iptables-restore",), 4, f"{line}: Device or resource busy")
            del work[chain]

    def _check(self, work: Chains) -> None:
        for chain, rules in work.items():
            for rule in rules:
                target = target_of(rule)
                if target and target not in VERDICTS and target not in work:
                    raise CommandFailed(("iptables-restore",), 2, f"{chain}: {rule}: no chain {target}")

    def save(self) -> str:
        """What iptables-save prints."""
        lines = []
        for table, chains in self.tables.items():
            lines.append(f"*{table}")
            lines += [f":{c} {'ACCEPT' if c in BUILT_IN[table] else '-'} [0:0]" for c in sorted(chains)]
            lines += [f"-A {c} {r}" for c in sorted(chains) for r in chains[c]]
            lines.append("COMMIT")
        return "\n".join(lines) + "\n"

    # packets

    def fates(self, packet: Packet) -> dict[Fate, Fraction]:
        """All ends a packet may come to, and how probable each is."""
        found: dict[Fate, Fraction] = {}
        for chance, fate in self._way(packet):
            found[fate] = found.get(fate, Fraction(0)) + chance
        return found

    def remember(self, client: str, endpoint: str) -> None:
        """As if the client had lately been sent to an endpoint (`address:port`)."""
        (chain,) = [c for c, rules in self.tables["nat"].items() if any(endpoint in r.split()[-1] for r in rules)]
        self.recent[chain] = {client}

    def _way(self, packet: Packet) -> Iterator[tuple[Fraction, Fate]]:
        here = packet.source in self.local
        for chance, routed, _ in self._chain("nat", "OUTPUT" if here else "PREROUTING", packet):
            to_us = routed.destination in self.local
            filters = ["OUTPUT"] if here else []
            filters += ["INPUT"] if to_us else [] if here else ["FORWARD"]
            yield from self._filtered(chance, routed, filters, leaves=not to_us)

    def _filtered(
        self, chance: Fraction, packet: Packet, filters: list[str], *, leaves: bool
    ) -> Iterator[tuple[Fraction, Fate]]:
        for chain in filters:
            ((_, packet, verdict),) = self._chain("filter", chain, packet)
            if verdict in ("DROP", "REJECT"):
                yield chance, Fate(verdict)
                return
        if leaves:
            yield from ((chance * part, fate) for part, fate in self.leaving(packet))
        else:
            yield chance, Fate(packet.target, packet.masqueraded)

    def leaving(self, packet: Packet) -> Iterator[tuple[Fraction, Fate]]:
        """POSTROUTING; a packet that is masqueraded already stays so."""
        for table in ("mangle", "nat"):
            ((_, packet, verdict),) = self._chain(table, "POSTROUTING", packet)
            if verdict == "DROP":
                yield Fraction(1), Fate("DROP")
                return
        yield Fraction(1), Fate(packet.target, packet.masqueraded)

    def _chain(self, table: str, chain: str, packet: Packet, start: int = 0) -> Branches:
        rules = self.tables[table][chain]
        for index in range(start, len(rules)):
            chance = self._chance(rules[index], packet)
            if chance:
                for part, after, verdict in self._act(table, rules[index], packet):
                    if verdict is None:
                        further = self._chain(table, chain, after, index + 1)
                        yield from ((chance * part * p, a, v) for p, a, v in further)
                    else:
                        yield chance * part, after, None if verdict == "RETURN" else verdict
            if chance == 1:
                return
            if chance:
                rest = self._chain(table, chain, packet, index + 1)
                yield from (((1 - chance) * p, a, v) for p, a, v in rest)
                return
        yield Fraction(1), packet, None

    def _act(self, table: str, rule: str, packet: Packet) -> Branches:
        words = _words(rule)
        options = dict(itertools.pairwise(words))
        target = target_of(rule)
        if "--set" in words:
            self.recent.setdefault(options["--name"], set()).add(packet.source)
        if target == "MARK":
            value, mask = (int(n, 16) for n in options["--set-xmark"].split("/"))
            packet = replace(packet, mark=(packet.mark & ~mask) ^ value)
        elif target == "DNAT":
            address, _, port = options["--to-destination"].rpartition(":")
            yield Fraction(1), replace(packet, destination=address, port=int(port), dnat=True), "ACCEPT"
            return
        elif target == "MASQUERADE":
            yield Fraction(1), replace(packet, masqueraded=True), "ACCEPT"
            return
        elif target in VERDICTS:
            yield Fraction(1), packet, target
            return
        elif target:
            yield from self._chain(table, target, packet)
            return
        yield Fraction(1), packet, None

    def _chance(self, rule: str, packet: Packet) -> Fraction:
        """0 or 1, or the probability of module statistic."""
        words = iter(_words(rule))
        chance, negated, listed = Fraction(1), False, False
        for word in words:
            if word == "!":
                negated = True
                continue
            if word in ("-m", "--comment", "--mode", "--seconds", "--mask", "--reject-with"):
                next(words)
            elif word in ("--set", "--reap", "--rsource", "--random-fully"):
                pass
            elif word == "-j":
                break
            elif word == "--rcheck":
                listed = True
            elif word == "--name":
                clients = self.recent.get(next(words), set())
                if listed and packet.source not in clients:
                    return Fraction(0)
            elif word == "--probability":
                chance = Fraction(next(words)).limit_denominator(1000)
            elif self._matches(word, next(words), packet) == negated:
                return Fraction(0)
            negated = False
        return chance

    def _matches(self, option: str, value: str, packet: Packet) -> bool:
        match option:
            case "-s":
                return ipaddress.ip_address(packet.source) in ipaddress.ip_network(value)
            case "-d":
                return ipaddress.ip_address(packet.destination) in ipaddress.ip_network(value)
            case "-p":
                return packet.protocol == value
            case "--dport":
                return packet.port == int(value)
            case "--dports":
                return str(packet.port) in value.split(",")
            case "--dst-type":
                return value == "LOCAL" and packet.destination in self.local
            case "--src-type":
                return value == "LOCAL" and packet.source in self.local
            case "--ctstate":
                return bool({"NEW", *(("DNAT",) if packet.dnat else ())} & set(value.split(",")))
            case "--mark":
                wanted, mask = (int(n, 16) for n in value.split("/"))
                return packet.mark & mask == wanted
        raise AssertionError(f"the tracer does not know {option}")


def target_of(rule: str) -> str:
    """What a rule leads to; empty when it only counts."""
    words = _words(rule)
    return words[words.index("-j") + 1] if "-j" in words else ""


def ends(fates: Mapping[Fate, Fraction]) -> str:
    """Fates in one line for comparing: `10.244.1.7:80 10.244.2.8:80 from the node`."""
    marks = {f.masqueraded for f in fates if ":" in f.end}
    assert len(marks) <= 1, fates
    return " ".join(sorted(f.end for f in fates)) + (" from the node" if True in marks else "")


@cache
def _words(rule: str) -> tuple[str, ...]:
    """The words of a rule: packets meet the same rules again and again, and splitting takes longer than all else."""
    return tuple(shlex.split(rule))
