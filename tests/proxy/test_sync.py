"""Bringing a packet filter up to date: only what changed, in full after failures, anew after foreign changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.api.objects import Object, ObjectKey, key_of
from labctl.proxy import sync
from labctl.proxy.iptables.backend import IptablesBackend
from labctl.proxy.nftables.backend import NftablesBackend
from labctl.proxy.runner import CommandFailed
from labctl.proxy.sync import Syncer
from labctl.proxy.tracker import Tracker
from tests.proxy.kernel import IptablesKernel
from tests.proxy.nft_kernel import NftKernel
from tests.proxy.objects import (
    ADDRESSES,
    TERMINATING,
    VIEW,
    compact,
    endpoint,
    endpoint_slice,
    reachable_everywhere,
    service,
)


class Node:
    """A node with a packet filter in memory; `nft` holds the nftables backend's part of it."""

    def __init__(self, mode: str = "iptables") -> None:
        self.kernel = IptablesKernel(ADDRESSES)
        self.nft = NftKernel(ADDRESSES, self.kernel)
        self.tracker = Tracker(VIEW)
        self.syncer = Syncer(
            self.tracker,
            self.backend(mode),
            self.nft,
            current_generation=lambda: self.kernel.generation + self.nft.generation,
        )
        self._slices: dict[ObjectKey, Object] = {}

    def backend(self, mode: str) -> IptablesBackend | NftablesBackend:
        return IptablesBackend(self.nft) if mode == "iptables" else NftablesBackend(self.nft)

    def put(self, *objects: Object) -> None:
        for obj in objects:
            kept = compact(obj)
            if "addressType" in obj:
                self.tracker.set_slice(self._slices.get(key_of(obj)), kept)
                self._slices[key_of(obj)] = kept
            else:
                self.tracker.set_service(key_of(obj), kept)
        self.syncer.notify()

    def remove(self, *objects: Object) -> None:
        for obj in objects:
            if "addressType" in obj:
                self.tracker.set_slice(self._slices.pop(key_of(obj), None), None)
            else:
                self.tracker.set_service(key_of(obj), None)
        self.syncer.notify()

    async def synced(self, *objects: Object) -> str:
        """Sync; returns the text of what was written."""
        self.put(*objects)
        self.kernel.restores.clear()
        self.nft.texts.clear()
        await self.syncer.sync()
        return "".join([*self.kernel.restores, *self.nft.texts])

    def chains(self) -> dict[str, dict[str, list[str]]]:
        """The rules without order where order means nothing."""
        return {
            table: {
                c: rules if c.startswith(("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-POST")) else sorted(rules)
                for c, rules in chains.items()
            }
            for table, chains in self.kernel.tables.items()
        }

    def table(self) -> tuple[dict[str, list[str]], dict[str, dict[str, str]]]:
        """Table kube-proxy: chains that are not empty, and all sets and maps."""
        assert self.nft.table is not None
        return {c: rules for c, rules in self.nft.table.chains.items() if rules}, self.nft.table.containers


@pytest.fixture
def node() -> Node:
    return Node()


@asynccontextmanager
async def looping(node: Node) -> AsyncIterator[None]:
    """The syncer's loop beside the test, in virtual time."""
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(node.syncer.run())
        yield
        loop.cancel()


WEB = service(), endpoint_slice(endpoint("10.244.1.7"), endpoint("10.244.2.8"))
OTHER = service("other", address="10.96.1.2"), endpoint_slice(endpoint("10.244.1.9"), of="other")


async def test_the_first_sync_is_full_and_removes_what_an_earlier_agent_left(node: Node) -> None:
    node.kernel.restore("*nat\n:KUBE-SVC-OLD - [0:0]\n:KUBE-HOSTPORTS - [0:0]\n:MINE - [0:0]\nCOMMIT\n")
    await node.synced(*WEB)
    assert len(node.kernel.restores) == 1, "one atomic restore"
    assert "KUBE-SVC-OLD" not in node.kernel.tables["nat"]
    assert {"MINE", "KUBE-HOSTPORTS"} <= set(node.kernel.tables["nat"]), "chains of others stay"


async def test_a_change_writes_only_the_chains_of_its_service(node: Node) -> None:
    await node.synced(*WEB, *OTHER)
    text = await node.synced(endpoint_slice(endpoint("10.244.1.7"), endpoint("10.244.2.9")))
    assert "default/web" in text and "default/other" not in text
    assert ":KUBE-SERVICES" not in text and "*filter" not in text
    assert text.count("-X KUBE-SEP-") == 1


async def test_nothing_is_run_when_nothing_changed(node: Node) -> None:
    await node.synced(*WEB)
    node.kernel.commands.clear()
    await node.synced(*WEB)
    assert node.kernel.commands == []


async def test_a_new_service_is_inserted_and_a_deleted_one_is_taken_out(node: Node) -> None:
    await node.synced(*WEB)
    before = node.chains()
    text = await node.synced(*OTHER)
    assert "-I KUBE-SERVICES" in text and ":KUBE-SERVICES" not in text
    assert node.kernel.tables["nat"]["KUBE-SERVICES"][-1].endswith("-j KUBE-NODEPORTS"), "this one has to stay last"
    node.remove(*OTHER)
    await node.synced()
    assert node.chains() == before


async def test_losing_the_last_endpoint_moves_a_service_to_filter(node: Node) -> None:
    await node.synced(*WEB)
    await node.synced(endpoint_slice())
    assert "REJECT" in node.kernel.tables["filter"]["KUBE-SERVICES"][0]
    assert not [rule for rule in node.kernel.tables["nat"]["KUBE-SERVICES"] if "default/web" in rule]
    assert not [chain for chain in node.kernel.tables["nat"] if chain.startswith(("KUBE-SVC", "KUBE-SEP"))]


async def test_a_large_rule_set_is_written_in_pieces_that_end_with_what_leads_to_them(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labctl.proxy.iptables.restore.PIECE", 2)
    for n in range(5):
        node.put(service(f"s{n}", address=f"10.96.2.{n}"), endpoint_slice(endpoint(f"10.244.1.{n + 10}"), of=f"s{n}"))
    await node.synced()
    assert len(node.kernel.restores) == 3
    assert all("KUBE-SERVICES" not in text for text in node.kernel.restores[:-1])
    assert len(node.kernel.tables["nat"]["KUBE-SERVICES"]) == 6


async def test_very_many_changes_are_written_by_a_full_sync(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    await node.synced(*WEB)
    monkeypatch.setattr(sync, "MANY_CHANGES", 1)
    third = service("third", address="10.96.1.3")
    assert ":KUBE-SERVICES" in await node.synced(*OTHER, third)


async def test_another_zone_is_a_full_sync(node: Node) -> None:
    await node.synced(*WEB)
    assert node.tracker.set_zone("b") and not node.tracker.set_zone("b")
    assert ":KUBE-SERVICES" in await node.synced()


@pytest.mark.looptime
async def test_after_a_failure_the_next_sync_is_full(node: Node) -> None:
    await node.synced(*WEB)
    node.kernel.fail = "line 4 failed"
    node.put(*OTHER)
    node.kernel.restores.clear()
    async with looping(node):
        await asyncio.sleep(0.5)
        assert "line 4 failed" in node.syncer.last_error and node.kernel.restores == []
        await asyncio.sleep(1)
        assert node.syncer.last_error == ""
    assert [":KUBE-SERVICES" in text for text in node.kernel.restores] == [True]
    assert any("default/other" in rule for rule in node.kernel.tables["nat"]["KUBE-SERVICES"])


@pytest.mark.looptime
@pytest.mark.parametrize(
    "damage",
    [
        "*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n",
        "*nat\n:PREROUTING - [0:0]\nCOMMIT\n",
        "*filter\n:FORWARD - [0:0]\nCOMMIT\n",
        "*filter\n:KUBE-FORWARD - [0:0]\nCOMMIT\n",
        "*nat\n-I PREROUTING -j ACCEPT\n"
        '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES\nCOMMIT\n',
    ],
    ids=["services flushed", "jump gone", "filter flushed", "forwarding flushed", "jump replaced"],
)
async def test_rules_that_somebody_flushed_are_written_anew(node: Node, damage: str) -> None:
    await node.synced(*WEB)
    whole = node.chains()
    node.kernel.restore(damage)
    async with looping(node):
        await asyncio.sleep(3)
    for table, chains in whole.items():
        for chain, rules in chains.items():
            assert [r for r in node.chains()[table][chain] if "KUBE" in r or chain.startswith("KUBE")] == rules


@pytest.mark.looptime
async def test_rules_of_others_are_looked_at_once_and_left_alone(node: Node) -> None:
    await node.synced(*WEB)
    node.kernel.restore("*mangle\n-A FORWARD -j ACCEPT\nCOMMIT\n")
    node.kernel.commands.clear()
    async with looping(node):
        await asyncio.sleep(10)
    assert node.kernel.commands == [("iptables-save",)]


async def test_our_jumps_come_before_what_others_had_there(node: Node) -> None:
    node.kernel.restore("*filter\n-A FORWARD -j DROP\nCOMMIT\n")
    await node.synced(*WEB)
    rules = node.kernel.tables["filter"]["FORWARD"]
    assert [r.rsplit(" ", 1)[1] for r in rules] == [
        "KUBE-PROXY-FIREWALL", "KUBE-FORWARD", "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "DROP"
    ]  # fmt: skip


async def test_stale_udp_flows_are_deleted_when_endpoints_change(node: Node) -> None:
    dns = service("dns", ports=[{"name": "dns", "port": 53, "protocol": "UDP"}])
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}]
    await node.synced(dns, endpoint_slice(endpoint("10.244.1.7"), of="dns", ports=ports))
    node.kernel.conntrack = (
        "udp      17 29 src=10.244.1.20 dst=10.96.1.1 sport=4000 dport=53 src=10.244.1.7 dst=10.244.1.20 sport=53 "
        "dport=4000 mark=0 use=1\n"
    )
    node.kernel.commands.clear()
    await node.synced(endpoint_slice(endpoint("10.244.2.8"), of="dns", ports=ports))
    deleted = [c for c in node.kernel.commands if c[:2] == ("conntrack", "-D")]
    wanted = "-p udp --orig-dst 10.96.1.1 --orig-port-dst 53 --reply-src 10.244.1.7 --reply-port-src 53"
    assert deleted == [("conntrack", "-D", *wanted.split())]


async def test_tcp_services_never_ask_conntrack(node: Node) -> None:
    await node.synced(*WEB)
    await node.synced(endpoint_slice(endpoint("10.244.2.8")))
    assert not [c for c in node.kernel.commands if c[0] == "conntrack"]


@pytest.fixture
def nft() -> Node:
    """A node in nftables mode."""
    return Node("nftables")


async def test_nftables_writes_only_what_belongs_to_the_service(nft: Node) -> None:
    await nft.synced(*WEB, *OTHER)
    text = await nft.synced(endpoint_slice(endpoint("10.244.1.7"), endpoint("10.244.2.9")))
    assert "default/web" in text and "default/other" not in text and "delete table" not in text
    assert "element" not in text, "addresses, and the endpoint on this node, stayed"


async def test_an_element_stays_as_long_as_one_service_needs_it(nft: Node) -> None:
    """Two Services of one endpoint share its hairpin element; two ports share the ClusterIP."""
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    slices = [endpoint_slice(endpoint("10.244.1.7"), of=of, name=of) for of in ("web", "other")]
    await nft.synced(WEB[0], OTHER[0], *slices)
    nft.remove(OTHER[0])
    await nft.synced()
    assert list(nft.table()[1]["hairpin-connections"]) == ["10.244.1.7 . 10.244.1.7 . tcp . 8080"]
    await nft.synced(service(ports=ports))
    await nft.synced(service(ports=ports[:1]))
    assert list(nft.table()[1]["cluster-ips"]) == ["10.96.1.1"]


async def test_an_address_that_two_services_claim_passes_to_the_other(nft: Node) -> None:
    claims: dict[str, Any] = {"externalIPs": ["203.0.113.77"]}
    first, second = service(**claims), service("other", address="10.96.1.2", **claims)
    await nft.synced(first, second, WEB[1], OTHER[1])
    nft.remove(first)
    await nft.synced()
    assert "default/other" in nft.table()[1]["service-ips"]["203.0.113.77 . tcp . 80"]


@pytest.mark.looptime
async def test_emptied_chains_are_deleted_a_moment_later(nft: Node) -> None:
    await nft.synced(*WEB, *OTHER)
    nft.remove(*OTHER)
    await nft.synced()
    assert nft.nft.table and any("default/other" in c for c in nft.nft.table.chains)
    async with looping(nft):
        await asyncio.sleep(3)
    assert not any("default/other" in c for c in nft.nft.table.chains)


@pytest.mark.looptime
async def test_a_table_that_somebody_deleted_is_made_anew(nft: Node) -> None:
    await nft.synced(*WEB)
    whole = nft.table()
    for damage in ("delete table ip kube-proxy", "flush chain ip kube-proxy services"):
        nft.nft.apply(damage)
        async with looping(nft):
            await asyncio.sleep(3)
        assert nft.table() == whole


async def test_the_layout_changes_with_the_number_of_service_ports(nft: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.proxy.nftables.backend.MANY", 1)
    monkeypatch.setattr("labctl.proxy.nftables.backend._FEWER", 1)
    assert " map {" in await nft.synced(*WEB)
    assert " map {" not in await nft.synced(*OTHER)
    nft.remove(*OTHER)
    assert " map {" in await nft.synced()


@pytest.mark.parametrize(("old", "new"), [("iptables", "nftables"), ("nftables", "iptables")])
async def test_switching_removes_the_other_backends_rules_only_after_its_own_stand(old: str, new: str) -> None:
    node = Node(old)
    await node.synced(*WEB)
    node.nft.fail = node.kernel.fail = "out of memory"
    node.syncer.use(node.backend(new))
    with pytest.raises(CommandFailed):
        await node.syncer.sync()
    assert node.nft.table if old == "nftables" else node.kernel.tables["nat"]["KUBE-SERVICES"]
    node.nft.fail = node.kernel.fail = ""
    await node.syncer.sync()
    assert node.syncer.mode == new
    ours = [c for chains in node.kernel.tables.values() for c in chains if c.startswith("KUBE")]
    jumps = [r for chains in node.kernel.tables.values() for rules in chains.values() for r in rules if "KUBE" in r]
    if new == "nftables":
        assert node.nft.table and not ours and not jumps
    else:
        assert node.nft.table is None and ours and jumps


async def test_switching_to_the_present_backend_does_nothing(node: Node) -> None:
    await node.synced(*WEB)
    node.syncer.use(node.backend("iptables"))
    assert await node.synced() == ""


NAMES = ("a", "b", "c")
CHANGES = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(["", "Local"]),
    st.sampled_from([0, 0, 60, 600]),
    st.one_of(
        st.none(), st.lists(st.tuples(st.integers(1, 2), st.integers(5, 7), st.booleans()), max_size=3, unique=True)
    ),
)


def objects_of(name: str, policy: str, affinity: int, endpoints: list[tuple[int, int, bool]]) -> tuple[Object, Object]:
    number = NAMES.index(name)
    made = reachable_everywhere(**({"externalTrafficPolicy": policy} if policy else {}))
    made["metadata"]["name"] = name
    made["spec"] |= {
        "clusterIPs": [f"10.96.1.{number}"],
        "ports": [{"port": 80, "nodePort": 30000 + number}],
        "externalIPs": [f"203.0.113.{number}"],
    }
    made["status"] = {"loadBalancer": {"ingress": [{"ip": f"203.0.113.{number + 100}"}]}}
    if affinity:
        made["spec"] |= {
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": affinity}},
        }
    listed = [endpoint(f"10.244.{n}.{e}", None if ready else TERMINATING) for n, e, ready in endpoints]
    return made, endpoint_slice(*listed, of=name)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["iptables", "nftables"]), st.lists(CHANGES, min_size=1, max_size=6))
def test_any_sequence_of_changes_ends_like_a_full_sync(
    mode: str, changes: list[tuple[str, str, int, list[tuple[int, int, bool]] | None]]
) -> None:
    async def play() -> None:
        stepwise, at_once = Node(mode), Node(mode)
        await stepwise.synced()
        objects: dict[str, tuple[Object, ...]] = {}
        for name, policy, affinity, endpoints in changes:
            if endpoints is None:
                stepwise.remove(*objects.pop(name, ()))
            else:
                objects[name] = objects_of(name, policy, affinity, endpoints)
                stepwise.put(*objects[name])
            await stepwise.synced()
        await at_once.synced(*(o for listed in objects.values() for o in listed))
        if mode == "iptables":
            assert stepwise.chains() == at_once.chains()
        else:
            assert stepwise.table() == at_once.table()

    asyncio.run(play())
