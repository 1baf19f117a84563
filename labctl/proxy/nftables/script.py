"""Texts for `nft -f -`: one text is one transaction, applied whole or not at all. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from labctl.proxy.family import Family
from labctl.proxy.model import NodeView, ServicePort
from labctl.proxy.nftables import names
from labctl.proxy.nftables.rules import BASE_CHAINS, Element, Fragment, base, containers, fragment

_PER_COMMAND = 500  # elements


class Elements:
    """Which elements are wanted, and by how many service ports: several may share one (an address, an endpoint).

    Where two Services claim the same address and port for themselves, one of them has it until it goes.
    """

    def __init__(self) -> None:
        self._wanted: dict[tuple[str, str], list[Element]] = {}

    def add(self, element: Element) -> None:
        """One more service port wants it."""
        self._wanted.setdefault((element.container, element.key), []).append(element)

    def discard(self, element: Element) -> None:
        """One service port less wants it."""
        key = element.container, element.key
        listed = self._wanted.get(key, [])
        if element in listed:
            listed.remove(element)
        if not listed:
            self._wanted.pop(key, None)

    def get(self, container: str, key: str) -> Element | None:
        """The element that is to stand in the kernel."""
        listed = self._wanted.get((container, key))
        return listed[0] if listed else None

    def __iter__(self) -> Iterator[Element]:
        return (listed[0] for listed in self._wanted.values())


@dataclass(slots=True)
class Difference:
    """A transaction, and the chains that it leaves empty: the next one may delete those."""

    text: str = ""
    emptied: list[str] = field(default_factory=list)


def table(family: Family) -> str:
    """What every command names: family and table."""
    return f"{family.nft} {names.TABLE}"


def removal(family: Family) -> str:
    """The transaction that takes the table away, whether it is there or not."""
    return f"add table {table(family)}\ndelete table {table(family)}\n"


def full(ports: Iterable[ServicePort], view: NodeView, elements: Elements, *, many: bool) -> str:
    """The transaction that replaces the whole table; fills `elements`."""
    family = view.family
    where = table(family)
    lines = [removal(family) + f'add table {where} {{ comment "rules for kube-proxy" ; }}']
    lines += (
        f'add {c.kind} {where} {c.name} {{ type {c.type} ; comment "{c.comment}" ; }}' for c in containers(family)
    )
    for chain in BASE_CHAINS:
        spec = f"type {chain.kind} hook {chain.hook} priority {chain.priority} ;"
        lines.append(f"add chain {where} {chain.name} {{ {spec} }}")
    common = base(view)
    helper = ' { comment "helper for @no-endpoint-services / @no-endpoint-nodeports" ; }'
    lines += [f"add chain {where} {name}{helper if name == names.REJECT else ''}" for name in common.chains]
    for chain in BASE_CHAINS:
        lines += _rules(family, chain.name, chain.rules)
    for name, rules in common.chains.items():
        lines += _rules(family, name, rules)
    for each in itertools.chain([common], (fragment(p, view, many=many) for p in ports)):
        if each is not common:
            lines += _chains(family, each)
        for element in each.elements:
            elements.add(element)
    lines += _added(family, elements)
    return "\n".join(lines) + "\n"


def difference(old: Iterable[Fragment], new: Iterable[Fragment], elements: Elements, family: Family) -> Difference:
    """The transaction from one state of some service ports to another; brings `elements` up to date."""
    where = table(family)
    before, after = merged(old), merged(new)
    touched = {(e.container, e.key) for e in (*before.elements, *after.elements)}
    had = {key: elements.get(*key) for key in touched}
    for element in before.elements:
        elements.discard(element)
    for element in after.elements:
        elements.add(element)
    gone = [e for key, e in had.items() if e is not None and elements.get(*key) != e]
    fresh = [e for key in touched if (e := elements.get(*key)) is not None and had[key] != e]
    changed = Fragment(
        {c: rules for c, rules in after.chains.items() if before.chains.get(c) != rules},
        affinity={s: t for s, t in after.affinity.items() if before.affinity.get(s) != t},
    )
    emptied = [c for c in before.chains if c not in after.chains]
    # What refers to a set goes first, and a set whose time-out changed is made anew.
    lines = [f"delete element {where} {e.container} {{ {e.key} }}" for e in gone]
    lines += [f"flush chain {where} {c}" for c in emptied]
    stale_sets = [s for s, t in before.affinity.items() if after.affinity.get(s) != t]
    if stale_sets:
        changed.chains = dict(after.chains)
        lines += [f"flush chain {where} {c}" for c in before.chains if c in after.chains]
        lines += [f"delete set {where} {s}" for s in stale_sets]
    lines += _chains(family, changed, anew=True)
    lines += _added(family, fresh)
    return Difference("\n".join([*lines, ""]) if lines else "", emptied)


def deletion(chains: Iterable[str], family: Family) -> str:
    """The transaction that deletes empty chains."""
    return "".join(f"delete chain {table(family)} {c}\n" for c in chains)


def _chains(family: Family, found: Fragment, *, anew: bool = False) -> Iterator[str]:
    """Chains come before all rules, for rules lead from one to another."""
    where = table(family)
    for name, timeout_s in found.affinity.items():
        yield f"add set {where} {name} {{ type {family.nft_address} ; flags dynamic,timeout ; timeout {timeout_s}s ; }}"
    for name in found.chains:
        yield f"add chain {where} {name}"
        if anew:
            yield f"flush chain {where} {name}"
    for name, rules in found.chains.items():
        yield from _rules(family, name, rules)


def _rules(family: Family, chain: str, rules: Iterable[str]) -> Iterator[str]:
    # `nft list` leaves `addr . port` out, but does not know without it that the map holds ports.
    brief, whole = f"dnat {family.nft} to numgen", f"dnat {family.nft} addr . port to numgen"
    return (f"add rule {table(family)} {chain} {rule.replace(brief, whole)}" for rule in rules)


def spelled(element: Element) -> str:
    """An element as nft reads and lists it."""
    comment = f' comment "{element.comment}"' if element.comment else ""
    return f"{element.key}{comment}" + (f" : {element.value}" if element.value else "")


def _added(family: Family, elements: Iterable[Element]) -> Iterator[str]:
    by_container: dict[str, list[str]] = {}
    for element in elements:
        by_container.setdefault(element.container, []).append(spelled(element))
    for container, listed in by_container.items():
        for start in range(0, len(listed), _PER_COMMAND):
            yield f"add element {table(family)} {container} {{ {', '.join(listed[start : start + _PER_COMMAND])} }}"


def merged(fragments: Iterable[Fragment]) -> Fragment:
    """Several service ports' parts in one."""
    found = Fragment()
    for each in fragments:
        found.chains |= each.chains
        found.elements += each.elements
        found.affinity |= each.affinity
    return found


def expected(ports: Iterable[ServicePort], view: NodeView, *, many: bool) -> Mapping[str, int]:
    """How many rules there are to be (under the empty name), and how many elements in each set and map."""
    fragments = [base(view), *(fragment(p, view, many=many) for p in ports)]
    rules = sum(len(rules) for f in fragments for rules in f.chains.values()) + sum(len(c.rules) for c in BASE_CHAINS)
    counts = {"": rules}
    for container, _ in {(e.container, e.key) for f in fragments for e in f.elements}:
        counts[container] = counts.get(container, 0) + 1
    return counts


_OPENS = re.compile(r"\t(set|map|chain) (\S+) {")


def counted(listed: str) -> Mapping[str, int]:
    """The same of a `nft list table` text; sets of clients are not counted."""
    counts = {"": 0}
    kind = name = ""
    for line in listed.splitlines():
        if opened := _OPENS.match(line):
            kind, name = opened.groups()
        elif (
            kind == "chain" and line.startswith("\t\t") and not line.startswith(("\t\ttype ", "\t\tcomment ", "\t\t "))
        ):
            counts[""] += 1
        elif kind != "chain" and not name.startswith("affinity-") and (" = {" in line or line.startswith("\t\t\t")):
            counts[name] = counts.get(name, 0) + line.removesuffix("}").rstrip().rstrip(",").count(",") + 1
    return counts
