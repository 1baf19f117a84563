"""Texts for iptables-restore, and reading back what iptables-save prints. Pure.

A restore with --noflush replaces the chains it names (`:CHAIN - [0:0]` empties one) and leaves all others alone; the whole of a
table is committed at once, so packets never see a half-written rule set. iptables 1.8 needs time that grows with the square
of a restore's length, so a large rule set is written in pieces: first the Services' own chains, which nothing leads to yet (or
which are each replaced whole), last and at once everything that leads to them. Up to PIECE service ports that is one restore.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from labctl.proxy.family import IPV4
from labctl.proxy.iptables import chains
from labctl.proxy.iptables.rules import FILTER, JUMPS, NAT, Fragment, Ruleset, base, fragment, last
from labctl.proxy.model import NodeView, ServicePort

PIECE = 200


def full(ports: Iterable[ServicePort], view: NodeView, saved: str) -> Iterator[str]:
    """The restores that write everything and delete what is left of earlier Services; `saved` is what is there now."""
    found = base(view.family)
    own: dict[str, list[str]] = {}
    names: set[str] = set()
    mark = {chains.MARK_MASQ: found.nat[chains.MARK_MASQ]}
    for piece in _pieces(ports, PIECE):
        if own:
            yield _table(NAT, mark | own)
        own = {}
        for port in piece:
            made = fragment(port, view)
            own |= made.own
            for table, chain, rule in made.shared:
                found.table(table)[chain].append(rule)
        names.update(own)
    found.nat[chains.SERVICES].append(last(view.family))
    found.nat[chains.CANARY] = []
    present = chains_in(saved).get(NAT, set())
    stale = sorted(c for c in present - names if c.startswith(chains.PER_SERVICE_PREFIXES))
    nat = _table(NAT, {**found.nat, **own}, stale, jumps=missing_jumps(saved, NAT))
    yield _table(FILTER, found.filter, jumps=missing_jumps(saved, FILTER)) + nat


def difference(old: Iterable[Fragment], new: Iterable[Fragment]) -> str:
    """A restore that writes only what differs; empty when nothing does.

    Rules of shared chains are deleted and inserted one by one, for those chains grow with the number of Services.
    """
    before, after = _merged(old), _merged(new)
    changed = {c: rules for c, rules in after.own.items() if before.own.get(c) != rules}
    gone = [c for c in before.own if c not in after.own]
    had, has = dict.fromkeys(before.shared), dict.fromkeys(after.shared)
    texts = []
    for table in (FILTER, NAT):
        edits = [f"-D {chain} {rule}" for t, chain, rule in had if t == table and (t, chain, rule) not in has]
        edits += [f"-I {chain} {rule}" for t, chain, rule in has if t == table and (t, chain, rule) not in had]
        mine, stale = (changed, gone) if table == NAT else ({}, [])
        if edits or mine or stale:
            texts.append(_table(table, mine, stale, jumps=edits))
    return "".join(texts)


def removal(saved: str) -> str:
    """A restore that takes away every chain of this backend and the jumps to them."""
    texts = []
    present = chains_in(saved)
    mine = base(IPV4)  # chains are the same in both families
    for table in (FILTER, NAT):
        ours = {*mine.table(table), chains.CANARY}
        gone = sorted(c for c in present.get(table, ()) if c in ours or c.startswith(chains.PER_SERVICE_PREFIXES))
        jumps = [(chain, rule) for t, chain, rule in JUMPS if t == table]
        deleted = [f"-D {chain} {rule}" for chain, rule in jumps if rule in rules_in(saved, table, chain)]
        if gone or deleted:
            texts.append(_table(table, {}, gone, jumps=deleted))
    return "".join(texts)


def missing_jumps(saved: str, table: str) -> list[str]:
    """Lines that put our jumps in front in the kernel's chains, where one is missing or they are out of order."""
    wanted: dict[str, list[str]] = {}
    for of, chain, rule in JUMPS:
        if of == table:
            wanted.setdefault(chain, []).append(rule)
    lines = []
    for chain, rules in wanted.items():
        present = [rule for rule in rules_in(saved, table, chain) if rule in rules]
        if present != rules:
            lines += [f"-D {chain} {rule}" for rule in present]
            lines += [f"-I {chain} {rule}" for rule in reversed(rules)]
    return lines


def chains_in(saved: str) -> dict[str, set[str]]:
    """The chains of each table in an iptables-save text."""
    found: dict[str, set[str]] = {}
    table: set[str] = set()
    for line in saved.splitlines():
        if line.startswith("*"):
            table = found.setdefault(line[1:], set())
        elif line.startswith(":"):
            table.add(line[1:].split(" ", 1)[0])
    return found


def rules_in(saved: str, table: str, chain: str) -> list[str]:
    """The rules of one chain in an iptables-save text."""
    inside, found = False, []
    for line in saved.splitlines():
        if line.startswith("*"):
            inside = line[1:] == table
        elif inside and line.startswith(f"-A {chain} "):
            found.append(line[len(chain) + 4 :])
    return found


def _table(
    name: str, rules: Mapping[str, Sequence[str]], stale: Sequence[str] = (), *, jumps: Iterable[str] = ()
) -> str:
    """One table: chains written anew, then edits of other chains, then the deletion of stale chains."""
    lines = [f"*{name}"]
    lines += [f":{chain} - [0:0]" for chain in (*rules, *stale)]
    lines += [f"-A {chain} {rule}" for chain, listed in rules.items() for rule in listed]
    lines += jumps
    lines += [f"-X {chain}" for chain in stale]
    return "\n".join([*lines, "COMMIT\n"])


def _merged(fragments: Iterable[Fragment]) -> Fragment:
    found = Fragment()
    for each in fragments:
        found.own |= each.own
        found.shared += each.shared
    return found


def _pieces(ports: Iterable[ServicePort], size: int) -> Iterator[list[ServicePort]]:
    iterator = iter(ports)
    while piece := list(itertools.islice(iterator, size)):
        yield piece


def counted(ruleset: Ruleset) -> dict[str, int]:
    """How many rules each table has in chains of ours."""
    return {table: sum(map(len, ruleset.table(table).values())) for table in (NAT, FILTER)}


def count_in(saved: str) -> dict[str, int]:
    """The same of an iptables-save text."""
    found: dict[str, int] = {}
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A KUBE-"):
            found[table] = found.get(table, 0) + 1
    return found
