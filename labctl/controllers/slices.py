"""From a Service and its pods to endpoints: the rules of k8s.io/endpointslice, as pure functions."""

from __future__ import annotations

from labctl.api.objects import Object

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
CONTROLLER = "endpointslice-controller.k8s.io"


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
    """The ports of a Service as a pod has them; a named port that the pod lacks is left out."""
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


def endpoint_of(service: Object, pod: Object, family: str, zone: str = "") -> Object | None:
    """The endpoint of a pod in one address family, or None when it has no such address. `zone` is its node's."""
    wanted = 6 if family == "IPv6" else 4
    addresses = [i["ip"] for i in pod["status"]["podIPs"] if (6 if ":" in i["ip"] else 4) == wanted]
    if not addresses:
        return None
    serving = is_ready(pod)
    terminating = bool(pod["metadata"].get("deletionTimestamp"))
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    meta, node = pod["metadata"], pod["spec"].get("nodeName")
    endpoint: Object = {
        "addresses": addresses,
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]},
    }
    hints = _hints(service, node, zone) if ready else {}
    given = {"nodeName": node, "zone": zone, "hostname": hostname_of(service, pod), "hints": hints}
    return endpoint | {name: value for name, value in given.items() if value}


def hostname_of(service: Object, pod: Object) -> str:
    """The name of a pod within a headless Service, if it has one there."""
    spec = pod["spec"]
    return str(spec.get("hostname") or "") if spec.get("subdomain") == service["metadata"]["name"] else ""


def _hints(service: Object, node: str | None, zone: str) -> Object:
    """Where an endpoint is preferred, after spec.trafficDistribution (KEP-4444, KEP-3015)."""
    wish = service["spec"].get("trafficDistribution")
    hints: Object = {}
    if wish in ("PreferClose", "PreferSameZone", "PreferSameNode") and zone:
        hints["forZones"] = [{"name": zone}]
    if wish == "PreferSameNode" and node:
        hints["forNodes"] = [{"name": node}]
    return hints


def families_of(service: Object) -> list[str]:
    """The address families a Service wants endpoints in."""
    return list(service["spec"].get("ipFamilies") or ["IPv4"])


def slice_labels(service: Object) -> dict[str, str]:
    """Labels of a Service's slices: the Service's own, and those that lead back to it."""
    labels = {k: v for k, v in (service["metadata"].get("labels") or {}).items() if k != HEADLESS}
    if is_headless(service):
        labels[HEADLESS] = ""
    return labels | {MANAGED_BY: CONTROLLER, SERVICE_NAME: service["metadata"]["name"]}


def is_headless(service: Object) -> bool:
    """Whether a Service has no address of its own."""
    return service["spec"].get("clusterIP") in (None, "", "None")


def same_content(slice_: Object, ports: list[Object], endpoints: list[Object], labels: dict[str, str]) -> bool:
    """Whether a stored slice says just this."""
    return (
        (slice_.get("ports") or []) == ports
        and (slice_.get("endpoints") or []) == endpoints
        and (slice_["metadata"].get("labels") or {}) == labels
    )
