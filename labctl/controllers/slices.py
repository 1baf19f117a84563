"""From a Service and its pods to endpoints: the rules of k8s.io/endpointslice, as pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from labctl.api.objects import Object, key_of

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
CONTROLLER = "endpointslice-controller.k8s.io"
MAX_ENDPOINTS = 100


def selects(service: Object, pod: Object) -> bool:
    """Whether a Service's selector matches a pod; an empty one matches nothing."""
    selector = service["spec"].get("selector")
    labels = pod["metadata"].get("labels") or {}
    return bool(selector) and all(labels.get(k) == v for k, v in selector.items())


def is_ready(pod: Object) -> bool:
    """The Ready condition."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def should_be_in(pod: Object, *, include_terminating: bool = True) -> bool:
    """Whether a pod has an endpoint at all: not when it has ended or has no address yet."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed") or not status.get("podIPs"):
        return False
    return include_terminating or not pod["metadata"].get("deletionTimestamp")


def target_port(service_port: Object, pod: Object) -> int | None:
    """The number of a Service port inside a pod; None when the pod has no port of that name."""
    target = service_port.get("targetPort", service_port["port"])
    if isinstance(target, int):
        return target
    sidecars = [c for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in [*(pod["spec"].get("containers") or ()), *sidecars]:
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == service_port.get("protocol", "TCP"):
                return int(port["containerPort"])
    return None


def endpoint_ports(service: Object, pod: Object) -> list[Object]:
    """The ports of a Service as a pod has them, in the Service's order."""
    found = []
    for port in service["spec"].get("ports") or ():
        number = target_port(port, pod)
        if number is None:
            continue
        entry = {"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")}
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        found.append(entry)
    return found


def endpoint_of(service: Object, pod: Object, family: str) -> Object | None:
    """The endpoint of a pod in one address family, or None when it has no such address."""
    wanted = 6 if family == "IPv6" else 4
    addresses = [i["ip"] for i in pod["status"]["podIPs"] if (6 if ":" in i["ip"] else 4) == wanted]
    if not addresses:
        return None
    serving = is_ready(pod)
    terminating = bool(pod["metadata"].get("deletionTimestamp"))
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    meta = pod["metadata"]
    endpoint: Object = {
        "addresses": addresses,
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]},
        "nodeName": pod["spec"].get("nodeName"),
    }
    spec = pod["spec"]
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        endpoint["hostname"] = spec["hostname"]
    return endpoint


def families_of(service: Object) -> list[str]:
    """The address families a Service wants endpoints in."""
    return list(service["spec"].get("ipFamilies") or ["IPv4"])


def wanted_groups(service: Object, pods: Iterable[Object]) -> dict[tuple[str, str], tuple[list[Object], list[Object]]]:
    """(family, ports as text) -> (ports, endpoints): pods whose named ports differ go into different slices."""
    groups: dict[tuple[str, str], tuple[list[Object], list[Object]]] = {}
    headless = service["spec"].get("clusterIP") == "None"
    for pod in sorted(pods, key=lambda p: p["metadata"]["name"]):
        if not should_be_in(pod):
            continue
        ports = endpoint_ports(service, pod)
        if not ports and service["spec"].get("ports") and not headless:
            continue
        for family in families_of(service):
            endpoint = endpoint_of(service, pod, family)
            if endpoint is not None:
                groups.setdefault((family, _text(ports)), (ports, []))[1].append(endpoint)
    if not groups:
        # A Service without endpoints has one empty slice per family, so that watchers know it was looked at.
        groups = {(family, "[]"): ([], []) for family in families_of(service)}
    return groups


def slice_labels(service: Object) -> dict[str, str]:
    """Labels of a Service's slices: the Service's own, and those that lead back to it."""
    labels = {k: v for k, v in (service["metadata"].get("labels") or {}).items() if k != HEADLESS}
    if service["spec"].get("clusterIP") == "None":
        labels[HEADLESS] = ""
    return labels | {MANAGED_BY: CONTROLLER, SERVICE_NAME: service["metadata"]["name"]}


def chunks(endpoints: Sequence[Object]) -> list[list[Object]]:
    """Endpoints in slices of at most 100; at least one slice."""
    return [list(endpoints[i : i + MAX_ENDPOINTS]) for i in range(0, len(endpoints), MAX_ENDPOINTS)] or [[]]


def same_content(slice_: Object, ports: list[Object], endpoints: list[Object], labels: dict[str, str]) -> bool:
    """Whether a stored slice says just this."""
    return (
        (slice_.get("ports") or []) == ports
        and (slice_.get("endpoints") or []) == endpoints
        and (slice_["metadata"].get("labels") or {}) == labels
    )


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def owner_key(slice_: Object) -> str:
    """`namespace/service` of a slice."""
    return f"{key_of(slice_).namespace}/{(slice_['metadata'].get('labels') or {}).get(SERVICE_NAME, '')}"
