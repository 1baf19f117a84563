"""Texts for iptables-restore, and reading back what is there. Pure.

A restore with --noflush replaces the chains it names (`:CHAIN - [0:0]` empties one) and leaves all others alone; the whole of a
table is committed at once, so packets never see a half-written rule set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from labctl.proxy.iptables.rules import FILTER, NAT, Ruleset

Tables = dict[str, dict[str, list[str]]]


def tables_of(ruleset: Ruleset) -> Tables:
    """The ruleset as plain tables of chains."""
    return {NAT: ruleset.nat, FILTER: ruleset.filter}


def full(tables: Tables, stale: Mapping[str, Iterable[str]]) -> str:
    """A restore that writes every chain and deletes stale ones."""
    return "".join(_table(name, chains, stale.get(name, ())) for name, chains in tables.items())


def difference(old: Tables, new: Tables) -> str:
    """A restore that writes only chains that differ; empty when nothing does."""
    texts = []
    for name, chains in new.items():
        before = old.get(name, {})
        changed = {c: rules for c, rules in chains.items() if before.get(c) != rules}
        gone = [c for c in before if c not in chains]
        if changed or gone:
            texts.append(_table(name, changed, gone))
    return "".join(texts)


def _table(name: str, chains: Mapping[str, list[str]], stale: Iterable[str]) -> str:
    stale = list(stale)
    lines = [f"*{name}"]
    lines += [f":{chain} - [0:0]" for chain in (*chains, *stale)]
    lines += [f"-A {chain} {rule}" for chain, rules in chains.items() for rule in rules]
    lines += [f"-X {chain}" for chain in stale]
    return "\n".join([*lines, "COMMIT\n"])


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
