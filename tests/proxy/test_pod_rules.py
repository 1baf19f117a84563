"""Policies and hostPorts of one node, written when they differ."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import pytest

from labctl.api.objects import Object
from labctl.proxy import hostports
from labctl.proxy.family import IPV4
from labctl.proxy.iptables.backend import IptablesBackend
from labctl.proxy.pod_rules import PodRules
from labctl.proxy.pods import HostPort, Pod
from labctl.proxy.policies import Cluster, removal
from labctl.proxy.runner import CommandFailed
from labctl.proxy.sync import Syncer
from labctl.proxy.tracker import Tracker
from tests.proxy.kernel import IptablesKernel
from tests.proxy.objects import ADDRESSES, VIEW

WEB = Pod("shop", "web", "10.244.1.7", "node-1", {"app": "web"}, (), (HostPort("tcp", 8080, 80),))
CLIENT = Pod("shop", "client", "10.244.1.8", "node-1", {"app": "client"})
POLICY = {
    "metadata": {"namespace": "shop", "name": "closed"},
    "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]},
}


@dataclass
class Node:
    """Pods and policies, and what was written for them; `broken` makes nft fail."""

    pods: list[Pod] = field(default_factory=list)
    policies: list[Object] = field(default_factory=list)
    kernel: IptablesKernel = field(default_factory=lambda: IptablesKernel(ADDRESSES))
    tables: list[str] = field(default_factory=list)
    broken: bool = False
    generation: int = 0
    guarded: int = 0

    def __post_init__(self) -> None:
        self.syncer = Syncer(
            Tracker(VIEW), IptablesBackend(self.run), self.run, current_generation=lambda: self.generation
        )
        self.rules = self.rules_with(self.syncer)

    def rules_with(self, syncer: Syncer) -> PodRules:
        return PodRules(
            self.run, self.wanted, syncer, node="node-1", pod_cidrs={IPV4: "10.244.1.0/24"}, guard=self.write_guard
        )

    async def write_guard(self) -> None:
        self.guarded += 1

    def wanted(self) -> tuple[Cluster, list[Object]]:
        return Cluster(self.pods, {"shop": {}}), self.policies

    async def run(self, *argv: str, stdin: str = "") -> str:
        if argv[0] != "nft":
            return await self.kernel(*argv, stdin=stdin)
        if self.broken:
            raise CommandFailed(argv, 1, "Error: Could not process rule")
        self.tables.append(stdin)
        self.generation += 1
        return ""

    async def written(self) -> tuple[list[str], list[str]]:
        """What one sync writes: tables of nft, texts of iptables-restore."""
        self.tables.clear()
        self.kernel.restores.clear()
        await self.rules.sync()
        return list(self.tables), list(self.kernel.restores)


async def test_a_node_without_either_only_forgets_what_an_agent_before_it_may_have_left() -> None:
    node = Node([CLIENT])
    assert await node.written() == ([removal(IPV4)], [])
    assert await node.written() == ([], [])


async def test_a_policy_is_written_once_and_removed_with_its_last_pod() -> None:
    node = Node([WEB, CLIENT], [POLICY])
    (table,), _ = await node.written()
    assert "egress" not in table.split("chain ip labctl-policy ingress")[0] and "shop/closed" in table
    assert (await node.written())[0] == []
    node.pods.remove(WEB)
    assert (await node.written())[0] == [removal(IPV4)]


async def test_host_ports_come_with_their_jumps_and_go_with_their_pods() -> None:
    node = Node([WEB])
    assert len((await node.written())[1]) == 1
    assert hostports.chain_of(WEB) in node.kernel.tables["nat"]
    jumps = [rule for chain in ("PREROUTING", "OUTPUT", "POSTROUTING") for rule in node.kernel.tables["nat"][chain]]
    assert len(jumps) == len(hostports.JUMPS)
    node.pods = []
    await node.written()
    assert hostports.chain_of(WEB) not in node.kernel.tables["nat"]
    assert hostports.DNAT not in node.kernel.tables["nat"]
    assert node.kernel.tables["nat"]["POSTROUTING"] == []


async def test_what_an_agent_before_it_left_goes() -> None:
    node = Node([WEB])
    await node.written()
    node.pods = []
    node.rules = node.rules_with(node.syncer)
    await node.written()
    assert hostports.DNAT not in node.kernel.tables["nat"]


async def test_everything_is_written_anew_when_somebody_flushed_it() -> None:
    node = Node([WEB], [POLICY])
    (table,), _ = await node.written()
    before = copy.deepcopy(node.kernel.tables["nat"])
    for chain in (hostports.DNAT, "PREROUTING", "POSTROUTING"):
        node.kernel.tables["nat"][chain].clear()
    node.rules.rewrite()
    assert (await node.written())[0] == [table]
    assert node.kernel.tables["nat"] == before
    assert node.guarded == 1
    assert await node.written() == ([], [])
    assert node.guarded == 1


async def test_what_could_not_be_written_is_not_taken_for_written() -> None:
    node = Node([WEB], [POLICY], broken=True)
    with pytest.raises(CommandFailed):
        await node.written()
    node.broken = False
    assert len((await node.written())[0]) == 1


async def test_it_is_no_strangers_change_to_the_syncer() -> None:
    told: list[str] = []
    node = Node([WEB], [POLICY])
    node.syncer = Syncer(
        Tracker(VIEW),
        IptablesBackend(node.run),
        node.run,
        current_generation=lambda: node.generation,
        on_foreign_change=lambda: told.append("changed"),
    )
    node.rules = node.rules_with(node.syncer)
    await node.syncer.sync()
    await node.written()
    await node.syncer.check()
    assert told == []
    node.generation += 1
    await node.syncer.check()
    assert told == ["changed"]
