from __future__ import annotations

from typing import Any

import pytest

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.engine.fake import FakeContainer, Output, Program
from tests.kubelet.conftest import CONFIG, World, settle

pytestmark = [pytest.mark.looptime, pytest.mark.asyncio]


def service(name: str, *, port: int = 8080, kind: str = "LoadBalancer", node_port: int = 31000, **spec: Any) -> Object:
    return {
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "type": kind,
            "clusterIP": "10.96.0.99",
            "ports": [{"port": port, "nodePort": node_port, "protocol": "TCP"}],
            **spec,
        },
    }


def balancer(world: World, name: str) -> FakeContainer:
    return world.engine.named(f"labctl-t-lb-default-{name}")


def ingress(world: World, name: str) -> list[Object]:
    status = world.api.peek(kinds.SERVICE, name).get("status") or {}
    found: list[Object] = (status.get("loadBalancer") or {}).get("ingress") or []
    return found


def rules(world: World, name: str) -> str:
    return balancer(world, name).spec.env["RULES"]


def recorder_into(sent: list[bytes]) -> Program:
    def record(data: bytes) -> tuple[Output, int]:
        sent.append(data)
        return [], 0

    return record


@pytest.fixture
async def world(world: World) -> World:
    world.engine.programs[("iptables-restore",)] = lambda _: ([], 0)
    started = world.engine.start

    async def start(container_id: str) -> None:
        """The helper that looks for a port's holder says what `world.holder` has, and ends."""
        await started(container_id)
        name = world.engine.containers[container_id].state.name
        if "holder" in name:
            world.engine.say(name, world.holder)
            world.engine.crash(name, exit_code=0)

    world.engine.start = start  # type: ignore[method-assign]  # a helper that speaks as on a real host
    return world


async def test_a_load_balancer_is_localhost_as_soon_as_its_container_runs(world: World) -> None:
    await world.start()
    world.api.put(kinds.SERVICE, service("web"))
    await settle()
    assert ingress(world, "web") == [{"hostname": "localhost"}]
    spec = balancer(world, "web").spec
    assert [(p.host_ip, p.host_port, p.container_port, p.protocol) for p in spec.ports] == [
        ("127.0.0.1", 8080, 8080, "tcp")
    ]
    assert spec.network == "t-lan" and spec.labels["labctl.role"] == "load-balancer"
    assert world.events.events == [e for e in world.events.events if e[0] != "web"], "no news is good news"


async def test_traffic_is_spread_over_the_nodes_by_chance(world: World) -> None:
    await world.start()
    world.api.put(kinds.SERVICE, service("web"))
    await settle()
    assert rules(world, "web") == (
        "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"
        "-A PREROUTING -p tcp -m tcp --dport 8080 -m statistic --mode random --probability 0.5000000000"
        " -j DNAT --to-destination 192.168.123.11:31000\n"
        "-A PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.168.123.12:31000\n"
        "-A POSTROUTING -j MASQUERADE\nCOMMIT\n"
    )


async def test_a_node_port_is_published_without_touching_the_status(world: World) -> None:
    await world.start()
    world.api.put(kinds.SERVICE, service("np", kind="NodePort", node_port=31234))
    await settle()
    assert [p.host_port for p in balancer(world, "np").spec.ports] == [31234]
    assert ingress(world, "np") == []


@pytest.mark.parametrize("kind", ["ClusterIP", "ExternalName"])
async def test_other_services_publish_nothing(world: World, kind: str) -> None:
    await world.start()
    world.api.put(kinds.SERVICE, service("web", kind=kind))
    await settle()
    assert not world.engine.containers


async def test_a_service_with_a_class_is_left_to_others(world: World) -> None:
    await world.start()
    world.api.put(kinds.SERVICE, service("web", loadBalancerClass="example.com/lb"))
    await settle()
    assert not world.engine.containers


async def test_a_taken_port_leaves_the_service_pending_names_the_holder_and_heals(world: World) -> None:
    await world.start()
    world.engine.hold_port(8080)
    world.api.put(kinds.SERVICE, service("web"))
    await settle(5)
    assert ingress(world, "web") == []
    assert world.engine.calls["create"] == 2, "one look for the holder, not one at every try"
    warnings = world.events.messages("web", "SyncLoadBalancerFailed")
    assert len(warnings) == 1, "said once, not at every try"
    assert "port 8080/TCP of 127.0.0.1 is held by another program" in warnings[0]
    world.engine.held_ports.clear()
    await settle(11)
    assert ingress(world, "web") == [{"hostname": "localhost"}]


async def test_a_process_that_holds_the_port_is_named(world: World) -> None:
    await world.start()
    world.engine.hold_port(8080)
    world.holder = "process 123 (python3 -m http.server)\n"
    world.api.put(kinds.SERVICE, service("web"))
    await settle()
    assert "held by process 123 (python3 -m http.server)" in world.events.messages("web", "SyncLoadBalancerFailed")[0]
    assert not [c for c in world.engine.containers.values() if "holder" in c.state.name]


async def test_a_service_of_ipv6_only_waits_and_says_why(world: World) -> None:
    await world.start()
    six = "fd00:10:96::9"
    world.api.put(kinds.SERVICE, service("web", clusterIP=six, clusterIPs=[six]))
    await settle()
    assert ingress(world, "web") == [] and not world.engine.containers
    assert "no IPv4 address" in world.events.messages("web", "SyncLoadBalancerFailed")[0]
    world.api.put(kinds.SERVICE, service("web", clusterIP=six, clusterIPs=[six, "10.96.0.99"]))
    await settle()
    assert ingress(world, "web") == [{"hostname": "localhost"}]


async def test_of_two_services_with_one_port_the_second_waits_and_gets_it_at_once(world: World) -> None:
    await world.start()
    world.api.put(kinds.SERVICE, service("first"))
    await settle()
    world.api.put(kinds.SERVICE, service("second"))
    await settle()
    assert ingress(world, "second") == []
    assert "is held by service default/first" in world.events.messages("second", "SyncLoadBalancerFailed")[0]
    await world.api.delete(kinds.SERVICE, "default", "first")
    await settle(0.5)
    assert ingress(world, "second") == [{"hostname": "localhost"}]


async def test_a_changed_port_moves_the_container_and_a_changed_type_removes_it(world: World) -> None:
    await world.start()
    world.api.put(kinds.SERVICE, service("web"))
    await settle()
    moved = service("web", port=9090) | {"status": world.api.peek(kinds.SERVICE, "web")["status"]}
    world.api.put(kinds.SERVICE, moved)
    await settle()
    assert [p.host_port for p in balancer(world, "web").spec.ports] == [9090]
    plain = service("web", kind="ClusterIP") | {"status": world.api.peek(kinds.SERVICE, "web")["status"]}
    world.api.put(kinds.SERVICE, plain)
    await settle()
    assert not world.engine.containers and ingress(world, "web") == []


async def test_a_deleted_service_leaves_no_container(world: World) -> None:
    await world.start()
    world.api.put(kinds.SERVICE, service("web"))
    await settle()
    await world.api.delete(kinds.SERVICE, "default", "web")
    await settle()
    assert not world.engine.containers


async def test_a_killed_load_balancer_comes_back(world: World) -> None:
    await world.start()
    world.api.put(kinds.SERVICE, service("web"))
    await settle()
    first = balancer(world, "web").id
    world.engine.crash("labctl-t-lb-default-web", exit_code=137)
    await settle(3)
    assert balancer(world, "web").state.status == "running" and balancer(world, "web").id != first


async def test_with_policy_local_only_nodes_with_endpoints_are_sent_traffic(world: World) -> None:
    sent: list[bytes] = []
    world.engine.programs[("iptables-restore",)] = recorder_into(sent)
    await world.start()
    world.api.put(kinds.SERVICE, service("web", externalTrafficPolicy="Local"))
    await settle()
    assert "DNAT" not in rules(world, "web")
    endpoint_slice = {
        "metadata": {"name": "web-x", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["10.244.2.9"], "nodeName": "node-2", "conditions": {"ready": True}}],
    }
    world.api.put(kinds.ENDPOINT_SLICE, endpoint_slice)
    await settle()
    assert b"192.168.123.12:31000" in sent[-1] and b"192.168.123.11" not in sent[-1]


async def test_a_node_that_goes_down_gets_no_more_traffic(world: World) -> None:
    sent: list[bytes] = []
    world.engine.programs[("iptables-restore",)] = recorder_into(sent)
    await world.start()
    await world.add_node_container("node-1", "192.168.123.11")
    await world.add_node_container("node-2", "192.168.123.12")
    world.api.put(kinds.SERVICE, service("web"))
    await settle()
    world.engine.crash("labctl-t-node-1", exit_code=137)
    await settle()
    assert b"192.168.123.11" not in sent[-1] and b"192.168.123.12:31000" in sent[-1]


async def test_a_restarted_kubelet_adopts_load_balancers_and_removes_those_of_lost_services(world: World) -> None:
    await world.start()
    world.api.put(kinds.SERVICE, service("kept"))
    world.api.put(kinds.SERVICE, service("lost", port=8081))
    await settle()
    kept = balancer(world, "kept").id
    await world.stop()
    await world.api.delete(kinds.SERVICE, "default", "lost")
    await world.start(CONFIG)
    await settle()
    assert balancer(world, "kept").id == kept and len(world.engine.containers) == 1


async def test_a_service_without_node_ports_is_reached_by_its_cluster_address(world: World) -> None:
    await world.start()
    obj = service("web")
    del obj["spec"]["ports"][0]["nodePort"]
    world.api.put(kinds.SERVICE, obj)
    await settle()
    assert "--to-destination 10.96.0.99:8080" in rules(world, "web")
    assert balancer(world, "web").spec.env["VIA"] == "192.168.123.11"
