"""Two address families on one node: each Service port goes to the tables of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest

from labctl.api.objects import Object, key_of
from labctl.proxy import hostports, policies
from labctl.proxy.dual import DualStack
from labctl.proxy.family import IPV4, IPV6
from labctl.proxy.model import NodeView, ServicePort
from labctl.proxy.pods import HostPort, parse_pod
from labctl.proxy.runner import CommandFailed
from labctl.proxy.tracker import Tracker, compact_service, compact_slice
from tests.proxy.objects import VIEW, endpoint, endpoint_slice, service

FAMILIES = ("IPv4", "IPv6")
VIEW6 = NodeView(VIEW.name, "fd00:192:168:123::b", "fd00:10:244::/64", "fd00:10:96::/108")

pytestmark = pytest.mark.asyncio


@dataclass
class Recording:
    """A backend that only notes what it is asked."""

    name: str = "iptables"
    said: list[tuple[str, list[str], NodeView]] = field(default_factory=list)
    broken: bool = False

    async def full(self, ports: Iterable[ServicePort], view: NodeView) -> None:
        self._note("full", ports, view)

    async def update(self, old: Iterable[ServicePort], new: Iterable[ServicePort], view: NodeView) -> bool:
        self._note("update", new, view)
        return True

    async def intact(self, ports: Iterable[ServicePort], view: NodeView) -> bool:
        self._note("intact", ports, view)
        return not self.broken

    async def tidy(self) -> None:
        self.said.append(("tidy", [], VIEW))

    async def remove(self) -> None:
        self.said.append(("remove", [], VIEW))

    def _note(self, what: str, ports: Iterable[ServicePort], view: NodeView) -> None:
        if self.broken and what != "intact":
            raise CommandFailed(("ip6tables-restore",), 1, "no")
        self.said.append((what, [f"{p.cluster_ip}: {', '.join(map(str, p.endpoints))}" for p in ports], view))


def both() -> Object:
    return service(clusterIPs=["10.96.1.1", "fd00:10:96::1"], externalIPs=["203.0.113.77", "2001:db8::77"])


def tracked(*objects: Object) -> Tracker:
    tracker = Tracker(VIEW)
    for obj in objects:
        versioned = {**obj, "metadata": {"resourceVersion": "1", **obj["metadata"]}}
        if "addressType" in obj:
            tracker.set_slice(None, compact_slice(versioned, node=VIEW.name, ip_families=FAMILIES))
        else:
            kept = compact_service(versioned, ip_families=FAMILIES)
            tracker.set_service(key_of(obj), kept)
    return tracker


FOUR = endpoint_slice(endpoint("10.244.1.7"), name="web-4")
SIX = endpoint_slice(endpoint("fd00:10:244:0:1::7", node="node-1"), name="web-6", addressType="IPv6")


def ports(tracker: Tracker) -> list[ServicePort]:
    return [p for _, listed in tracker.all() for p in listed]


async def test_each_family_has_its_own_ports_endpoints_and_view() -> None:
    four, six = Recording(), Recording()
    await DualStack(four, six, VIEW6).full(ports(tracked(both(), FOUR, SIX)), replace(VIEW, zone="west"))
    ((_, listed, view),), ((_, listed6, view6),) = four.said, six.said
    assert listed == ["10.96.1.1: 10.244.1.7:8080"] and listed6 == ["fd00:10:96::1: [fd00:10:244:0:1::7]:8080"]
    assert (view.address, view6.address) == (VIEW.address, VIEW6.address)
    assert view.zone == view6.zone == "west", "the zone is the node's, whatever the family"


async def test_a_change_in_one_family_leaves_the_other_alone() -> None:
    four, six = Recording(), Recording()
    before, after = ports(tracked(both(), FOUR)), ports(tracked(both(), FOUR, SIX))
    assert await DualStack(four, six, VIEW6).update(before, after, VIEW)
    assert not four.said and [what for what, _, _ in six.said] == ["update"]


async def test_what_is_wrong_with_ipv6_is_told_after_ipv4_was_written() -> None:
    four, six = Recording(), Recording(broken=True)
    dual = DualStack(four, six, VIEW6)
    with pytest.raises(CommandFailed):
        await dual.full(ports(tracked(both(), FOUR, SIX)), VIEW)
    assert [what for what, _, _ in four.said] == ["full"]
    assert not await dual.intact([], VIEW)


async def test_both_are_tidied_and_removed() -> None:
    four, six = Recording(), Recording()
    dual = DualStack(four, six, VIEW6)
    await dual.tidy()
    await dual.remove()
    assert four.said == six.said and dual.name == "iptables"


POD = {
    "metadata": {"namespace": "default", "name": "web", "labels": {"app": "web"}, "resourceVersion": "1"},
    "spec": {
        "nodeName": "node-1",
        "containers": [
            {
                "ports": [
                    {"containerPort": 80, "hostPort": 8080},
                    {"containerPort": 81, "hostPort": 8081, "hostIP": "192.168.123.11"},
                ]
            }
        ],
    },
    "status": {"podIP": "10.244.1.7", "podIPs": [{"ip": "10.244.1.7"}, {"ip": "fd00:10:244:0:1::7"}]},
}


async def test_policies_and_host_ports_are_made_of_the_pods_address_in_the_family() -> None:
    pod = parse_pod(POD)
    assert pod is not None
    cluster = policies.Cluster([pod], {"default": {}})
    blocks = [
        {"ipBlock": {"cidr": "10.0.0.0/8"}},
        {"ipBlock": {"cidr": "2001:db8::/32", "except": ["2001:db8:1::/48"]}},
    ]
    policy = {
        "metadata": {"namespace": "default", "name": "p"},
        "spec": {"podSelector": {}, "ingress": [{"from": blocks}]},
    }
    four, six = (policies.table([policy], cluster.of(f), node="node-1", family=f) for f in (IPV4, IPV6))
    assert "ip saddr 10.0.0.0/8 return" in four and ":" not in four.replace(" : ", " ")
    assert "ip6 saddr 2001:db8::/32 ip6 saddr != { 2001:db8:1::/48 } return" in six and "10." not in six
    chains = hostports.chains(cluster.of(IPV6).pods, node="node-1", pod_cidr="fd00:10:244:0:1::/80", family=IPV6)
    assert chains[hostports.chain_of(pod)] == [
        "-s fd00:10:244:0:1::/80 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK",
        "-p tcp -m tcp --dport 8080 -j DNAT --to-destination [fd00:10:244:0:1::7]:80",
    ], "8081 is for an address of IPv4"
    assert HostPort("tcp", 8081, 81, "192.168.123.11") in pod.host_ports


async def test_a_pod_of_one_family_is_none_of_the_other() -> None:
    pod = parse_pod({**POD, "status": {"podIP": "10.244.1.7", "podIPs": [{"ip": "10.244.1.7"}]}})
    assert pod is not None and pod.of(IPV6) is None and pod.of(IPV4) is not None
