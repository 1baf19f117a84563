"""What rules keep of a pod."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.proxy.pods import HostPort, compact_pod, parse_pod


def pod(*ports: dict[str, Any], ip: str = "10.244.1.7", phase: str = "Running", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": "web", "labels": {"app": "web"}, "resourceVersion": "7", "uid": "u"},
        "spec": {"nodeName": "node-1", "containers": [{"name": "a", "ports": list(ports)}, {"name": "b"}], **spec},
        "status": {"podIP": ip, "phase": phase},
    }


def test_names_and_ports() -> None:
    found = parse_pod(
        pod(
            {"name": "http", "containerPort": 80, "hostPort": 8080, "protocol": "TCP"},
            {"containerPort": 53, "hostPort": 53, "protocol": "UDP", "hostIP": "127.0.0.1"},
            {"containerPort": 90, "hostPort": 90, "protocol": "TCP", "hostIP": "0.0.0.0"},  # what a manifest says
        )
    )
    assert found is not None
    assert (found.namespace, found.name, found.address, found.node) == ("shop", "web", "10.244.1.7", "node-1")
    assert found.ports == (("http", "tcp", 80),)
    assert found.host_ports == (
        HostPort("tcp", 8080, 80),
        HostPort("udp", 53, 53, "127.0.0.1"),
        HostPort("tcp", 90, 90),
    )


@pytest.mark.parametrize("without", [pod(ip=""), pod(hostNetwork=True), pod(phase="Succeeded"), pod(phase="Failed")])
def test_no_packets_are_of_a_pod_that_has_ended_or_has_no_address_of_its_own(without: dict[str, Any]) -> None:
    assert parse_pod(without) is None
    assert compact_pod(without)["pod"] is None


def test_what_an_informer_keeps() -> None:
    kept = compact_pod(pod())
    assert kept["metadata"] == {"namespace": "shop", "name": "web", "resourceVersion": "7"}
    assert kept.keys() == {"metadata", "pod"}
