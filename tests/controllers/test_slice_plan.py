"""Endpoints in slices of at most a hundred, and as few slices changed as can be."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from labctl.api.objects import Object
from labctl.controllers import slices
from labctl.controllers.slice_plan import MAX_ENDPOINTS, Plan, plan

NODES = {"node-1": ""}


def service(**spec: Any) -> Object:
    spec = {"selector": {"app": "web"}, "clusterIP": "10.96.0.7", "ports": [{"port": 80, "targetPort": 8080}], **spec}
    return {"metadata": {"name": "web", "namespace": "default", "uid": "service"}, "spec": spec}


def pod(number: int, *, ports: tuple[tuple[str, int], ...] = (), **spec: Any) -> Object:
    listed = [{"name": n, "containerPort": p, "protocol": "TCP"} for n, p in ports]
    return {
        "metadata": {"name": f"web-{number:04}", "namespace": "default", "uid": f"pod-{number}"},
        "spec": {"nodeName": "node-1", "containers": [{"name": "web", "ports": listed}], **spec},
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": f"10.244.{number // 250}.{number % 250}"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


class Stored:
    """Slices as an API server would keep them."""

    def __init__(self) -> None:
        self.slices: dict[str, Object] = {}
        self._made = 0

    def carry_out(self, owner: Object, wanted: Plan) -> tuple[int, int, int]:
        labels = slices.slice_labels(owner)
        for content in wanted.create:
            self._made += 1
            name = f"web-{self._made}"
            reference = {"kind": "Service", "uid": owner["metadata"]["uid"]}
            meta = {"name": name, "namespace": "default", "labels": labels, "ownerReferences": [reference]}
            body = {"metadata": meta, "addressType": content.family}
            self.slices[name] = {**body, "ports": content.ports, "endpoints": content.endpoints}
        for slice_, content in wanted.update:
            meta = {**slice_["metadata"], "labels": labels}
            changed = {**slice_, "metadata": meta, "ports": content.ports, "endpoints": content.endpoints}
            self.slices[slice_["metadata"]["name"]] = changed
        for slice_ in wanted.delete:
            del self.slices[slice_["metadata"]["name"]]
        return len(wanted.create), len(wanted.update), len(wanted.delete)

    def sync(self, owner: Object, pods: list[Object]) -> tuple[int, int, int]:
        return self.carry_out(owner, plan(owner, pods, list(self.slices.values()), NODES))

    def sizes(self) -> list[int]:
        return [len(s["endpoints"]) for s in self.slices.values()]

    def names(self) -> list[str]:
        return sorted(e["targetRef"]["name"] for s in self.slices.values() for e in s["endpoints"])


def test_a_hundred_endpoints_a_slice_and_one_change_for_one_pod() -> None:
    stored, web = Stored(), service()
    pods = [pod(n) for n in range(250)]
    assert stored.sync(web, pods) == (3, 0, 0)
    assert stored.sizes() == [100, 100, 50]
    assert stored.sync(web, pods) == (0, 0, 0)
    del pods[0]
    assert stored.sync(web, pods) == (0, 1, 0)
    assert stored.sizes() == [99, 100, 50]
    pods.append(pod(300))
    assert stored.sync(web, pods) == (0, 1, 0)
    assert stored.sizes() == [100, 100, 50]  # the fullest that has room
    pods = pods[199:]  # of the first slice the newest is left, of the second nothing
    assert stored.sync(web, pods) == (0, 1, 1)


def test_a_service_without_endpoints_has_one_empty_slice_which_is_used_again() -> None:
    stored, web = Stored(), service()
    assert stored.sync(web, []) == (1, 0, 0)
    assert stored.slices["web-1"]["ports"] == []
    assert stored.sync(web, []) == (0, 0, 0)
    assert stored.sync(web, [pod(1)]) == (0, 1, 0)
    assert stored.slices["web-1"]["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    assert stored.sync(web, []) == (0, 1, 0)
    assert stored.sizes() == [0]


def test_each_family_has_slices_of_its_own_even_when_no_pod_has_such_an_address() -> None:
    stored = Stored()
    stored.sync(service(ipFamilies=["IPv4", "IPv6"]), [pod(1)])
    assert {(s["addressType"], len(s["endpoints"])) for s in stored.slices.values()} == {("IPv4", 1), ("IPv6", 0)}
    assert stored.sync(service(), [pod(1)]) == (0, 0, 1)


def test_pods_whose_named_ports_differ_are_in_different_slices_and_a_pod_without_it_has_no_port() -> None:
    stored, web = Stored(), service(ports=[{"port": 80, "targetPort": "http"}])
    stored.sync(web, [pod(1, ports=(("http", 8080),)), pod(2, ports=(("http", 9090),)), pod(3)])
    found = {s["endpoints"][0]["targetRef"]["name"]: [p["port"] for p in s["ports"]] for s in stored.slices.values()}
    assert found == {"web-0001": [8080], "web-0002": [9090], "web-0003": []}


def test_slices_of_an_earlier_service_of_that_name_are_replaced() -> None:
    stored = Stored()
    stored.sync(service(), [pod(1)])
    again = service()
    again["metadata"]["uid"] = "another"
    assert stored.sync(again, [pod(1)]) == (1, 0, 1)


def test_a_pod_on_a_node_that_is_not_there_is_left_out_unless_all_are_published() -> None:
    lost = pod(1, nodeName="gone")
    assert plan(service(), [lost], [], NODES).create[0].endpoints == []
    published = plan(service(publishNotReadyAddresses=True), [lost], [], NODES)
    assert [e["nodeName"] for e in published.create[0].endpoints] == ["gone"]


def test_zones_and_hints_follow_the_nodes_and_the_traffic_distribution() -> None:
    zones = {"node-1": "a"}

    def hints(wish: str | None) -> Any:
        wanted = service(**({"trafficDistribution": wish} if wish else {}))
        return plan(wanted, [pod(1)], [], zones).create[0].endpoints[0].get("hints")

    assert plan(service(), [pod(1)], [], zones).create[0].endpoints[0]["zone"] == "a"
    assert hints(None) is None
    assert hints("PreferClose") == hints("PreferSameZone") == {"forZones": [{"name": "a"}]}
    assert hints("PreferSameNode") == {"forZones": [{"name": "a"}], "forNodes": [{"name": "node-1"}]}


@given(rounds=st.lists(st.sets(st.integers(0, 260), max_size=240), min_size=1, max_size=5))
def test_slices_always_hold_just_the_pods_and_settle_at_once(rounds: list[set[int]]) -> None:
    stored, web = Stored(), service()
    for numbers in rounds:
        pods = [pod(n) for n in sorted(numbers)]
        stored.sync(web, pods)
        assert stored.names() == [p["metadata"]["name"] for p in pods]
        assert all(size <= MAX_ENDPOINTS for size in stored.sizes())
        assert all(stored.sizes()) or stored.sizes() == [0]
        assert stored.sync(web, pods) == (0, 0, 0)
