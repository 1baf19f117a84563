"""The packet filter rules of a lab's nodes as they are at this moment, read in the node containers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.errors import LabctlError, UsageError
from labctl.lab import engine, leftovers, readiness, record
from labctl.lab.paths import checked_name, command
from labctl.lab.record import Record
from labctl.proxy import policies
from labctl.proxy.explain import Index, Rule, iptables_rules, nftables_rules
from labctl.proxy.family import IPV4, IPV6

if TYPE_CHECKING:
    import docker

# Lists both packet filters; a table is missing where nothing needs it. nft would list iptables' own tables, too.
_TABLES = "; ".join(
    f"nft list table {family.nft} {table} 2>/dev/null"
    for family in (IPV4, IPV6)
    for table in ("kube-proxy", policies.TABLE)
)
_LIST = f"iptables-save; echo =====; ip6tables-save; echo =====; {_TABLES}; true"
_PAUSE_S = 0.1

Rules = dict[str, list[Rule]]
"""Node -> its rules."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of a running lab to read from: name -> container."""

    client: docker.DockerClient
    lab: Record
    containers: dict[str, str]

    def read(self) -> Rules:
        """All rules of these nodes."""
        return {node: _read(self.client, container) for node, container in self.containers.items()}

    def index(self) -> Index:
        """The objects that rules come from. Raises LabctlError when the API server does not answer."""
        return Index(_items(self.lab, "/api/v1/services"), _items(self.lab, "/apis/discovery.k8s.io/v1/endpointslices"))


def nodes(name: str, wanted: str = "") -> Nodes:
    """The lab's nodes, or one of them. Raises LabctlError."""
    lab = record.load(checked_name(name))
    if lab is None:
        raise LabctlError(f'lab "{name}" does not exist', hint=f"'{command('up', name)}' starts it")
    client = engine.connect(timeout_s=30)
    running = {
        c.name.removeprefix(f"labctl-{name}-"): c.id
        for c in leftovers.find(client, name).with_role("node")
        if c.state == "running"
    }
    if wanted and wanted not in running:
        raise UsageError(f'no node "{wanted}" runs', hint=f"there are {', '.join(running) or 'none'}")
    if not running:
        raise LabctlError(f'no node of lab "{name}" runs', hint=f"'{command('up', name)}' repairs it")
    return Nodes(client, lab, {wanted: running[wanted]} if wanted else running)


def settled(
    read: Callable[[], Rules],
    *,
    quiet_s: float,
    longest_s: float = 30,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Rules:
    """The rules after they did not change for a while."""
    start = since = clock()
    seen = read()
    while clock() - since < quiet_s and clock() - start < longest_s:
        sleep(_PAUSE_S)
        now = read()
        if now != seen:
            seen, since = now, clock()
    return seen


def _read(client: docker.DockerClient, container: str) -> list[Rule]:
    with engine.translated("reading a node's rules"):
        execution = client.api.exec_create(container, ["sh", "-c", _LIST], stderr=False)
        answer = client.api.exec_start(execution["Id"]).decode(errors="replace")
    saved, saved6, listed = answer.split("=====\n")
    return iptables_rules(saved) + iptables_rules(saved6, IPV6) + nftables_rules(listed)


def _items(lab: Record, path: str) -> Sequence[dict[str, object]]:
    answer = readiness.ask(lab, path)
    if answer.code != 200:
        raise LabctlError(
            f"the API server does not list {path}: {answer.text[:200]}", hint="'labctl status' tells more"
        )
    return answer.body.get("items") or ()
