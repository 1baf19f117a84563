"""Bringing a packet filter up to date: only what changed, in full after failures, anew after foreign changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.api.objects import Object, ObjectKey, key_of
from labctl.proxy import sync
from labctl.proxy.iptables.backend import IptablesBackend
from labctl.proxy.sync import Syncer
from labctl.proxy.tracker import Tracker
from tests.proxy.kernel import IptablesKernel
from tests.proxy.objects import ADDRESSES, TERMINATING, VIEW, endpoint, endpoint_slice, reachable_everywhere, service


class Node:
    """A node with a packet filter in memory."""

    def __init__(self) -> None:
        self.kernel = IptablesKernel(ADDRESSES)
        self.tracker = Tracker(VIEW)
        self.syncer = Syncer(
            self.tracker, IptablesBackend(self.kernel), self.kernel, current_generation=lambda: self.kernel.generation
        )
        self._slices: dict[ObjectKey, Object] = {}

    def put(self, *objects: Object) -> None:
        for obj in objects:
            if "addressType" in obj:
                self.tracker.set_slice(self._slices.get(key_of(obj)), obj)
                self._slices[key_of(obj)] = obj
            else:
                self.tracker.set_service(key_of(obj), obj)
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
        await self.syncer.sync()
        return "".join(self.kernel.restores)

    def chains(self) -> dict[str, dict[str, list[str]]]:
        """The rules without order where order means nothing."""
        return {
            table: {
                c: rules if c.startswith(("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-POST")) else sorted(rules)
                for c, rules in chains.items()
            }
            for table, chains in self.kernel.tables.items()
        }


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


NAMES = ("a", "b", "c")
CHANGES = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(["", "Local"]),
    st.one_of(
        st.none(), st.lists(st.tuples(st.integers(1, 2), st.integers(5, 7), st.booleans()), max_size=3, unique=True)
    ),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CHANGES, min_size=1, max_size=6))
def test_any_sequence_of_changes_ends_like_a_full_sync(
    changes: list[tuple[str, str, list[tuple[int, int, bool]] | None]],
) -> None:
    async def play() -> None:
        stepwise, at_once = Node(), Node()
        await stepwise.synced()
        objects: dict[str, tuple[Object, ...]] = {}
        for name, policy, endpoints in changes:
            number = NAMES.index(name)
            if endpoints is None:
                stepwise.remove(*objects.pop(name, ()))
            else:
                spec = {"externalTrafficPolicy": policy} if policy else {}
                made = reachable_everywhere(**spec)
                made["metadata"]["name"] = name
                made["spec"] |= {
                    "clusterIPs": [f"10.96.1.{number}"],
                    "ports": [{"port": 80, "nodePort": 30000 + number}],
                    "externalIPs": [f"203.0.113.{number}"],
                }
                listed = [endpoint(f"10.244.{n}.{e}", None if ready else TERMINATING) for n, e, ready in endpoints]
                objects[name] = made, endpoint_slice(*listed, of=name)
                stepwise.put(*objects[name])
            await stepwise.synced()
        await at_once.synced(*(o for listed in objects.values() for o in listed))
        assert stepwise.chains() == at_once.chains()

    asyncio.run(play())
