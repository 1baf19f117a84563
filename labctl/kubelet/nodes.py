"""Node objects and their leases."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path

from labctl.api import kinds, times
from labctl.api.objects import Object, copy
from labctl.api.status import ApiError
from labctl.config import NodeConfig
from labctl.errors import LabctlError
from labctl.kubelet.kit import Kit

log = logging.getLogger(__name__)

KUBELET_VERSION = "v1.36.3"
KUBELET_PORT = 10250
MAX_PODS = 110
LEASE_DURATION_S = 40
LEASE_NAMESPACE = "kube-node-lease"
RENEW_S = 10.0
STATUS_S = 300.0
_RESERVED_MEMORY = 100 * 2**20  # the kubelet's default eviction threshold, not allocatable
_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def node_labels(name: str, architecture: str) -> dict[str, str]:
    """The labels every kubelet gives its node."""
    return {
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
    }


def new_node(kit: Kit, node: NodeConfig) -> Object:
    """The Node object as it is first created."""
    cidrs = [c for c in (node.pod_cidr, node.pod_cidr6) if c]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name,
            "labels": node_labels(node.name, kit.info.architecture),
            "annotations": {
                "node.alpha.kubernetes.io/ttl": "0",
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            },
        },
        "spec": {"podCIDR": node.pod_cidr, "podCIDRs": cidrs},
    }


def node_status(kit: Kit, node: NodeConfig, old: Object) -> Object:
    """The node's status; conditions that do not change keep the time of their last transition."""
    info, now = kit.info, times.format_time(kit.clock())
    addresses = [{"type": "InternalIP", "address": a} for a in (node.address, node.address6) if a]
    capacity = {
        "cpu": str(info.cpus),
        "ephemeral-storage": f"{_disk_ki(kit.root)}Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": f"{info.memory_bytes // 1024}Ki",
        "pods": str(MAX_PODS),
    }
    known = {c["type"]: c for c in old.get("conditions") or ()}
    return {
        "addresses": [*addresses, {"type": "Hostname", "address": node.name}],
        "allocatable": capacity | {"memory": f"{max(0, info.memory_bytes - _RESERVED_MEMORY) // 1024}Ki"},
        "capacity": capacity,
        "conditions": [_condition(*words, known.get(words[0]), now) for words in _CONDITIONS],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
        "nodeInfo": _node_info(kit, node),
    }


def _condition(kind: str, value: str, reason: str, message: str, old: Object | None, now: str) -> Object:
    changed = old["lastTransitionTime"] if old is not None and old.get("status") == value else now
    return {
        "type": kind,
        "status": value,
        "lastHeartbeatTime": now,
        "lastTransitionTime": changed,
        "reason": reason,
        "message": message,
    }


def _node_info(kit: Kit, node: NodeConfig) -> Object:
    info = kit.info
    machine = hashlib.sha256(f"{kit.config.name}/{node.name}".encode()).hexdigest()[:32]
    return {
        "architecture": info.architecture,
        "bootID": _boot_id(),
        "containerRuntimeVersion": f"docker://{info.version}",
        "kernelVersion": info.kernel,
        "kubeProxyVersion": "",
        "kubeletVersion": KUBELET_VERSION,
        "machineID": machine,
        "operatingSystem": "linux",
        "osImage": info.operating_system,
        "systemUUID": machine,
    }


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _disk_ki(path: Path) -> int:
    try:
        return shutil.disk_usage(path).total // 1024
    except OSError:
        return 0


async def register(kit: Kit, node: NodeConfig) -> None:
    """Make sure that the Node exists and says how things are."""
    try:
        obj = await kit.api.create(kinds.NODE, new_node(kit, node))
    except ApiError as error:
        if error.code != 409:
            raise
        obj = await kit.api.get(kinds.NODE, "", node.name)
    await write_status(kit, node, obj)
    reference = {"kind": "Node", "metadata": {"name": node.name, "uid": node.name}}
    kit.recorder.event(reference, "Normal", "Starting", "Starting kubelet.", host=node.name)
    for kind, value, reason, _ in _CONDITIONS:
        reason = "NodeReady" if kind == "Ready" else reason.replace("Kubelet", "Node")
        known = {c["type"]: c["status"] for c in (obj.get("status") or {}).get("conditions") or ()}
        if known.get(kind) != value:
            kit.recorder.event(reference, "Normal", reason, f"Node {node.name} status is now: {reason}", host=node.name)


async def write_status(kit: Kit, node: NodeConfig, obj: Object) -> None:
    """Write the node's status over what `obj` has."""
    fresh = copy(obj)
    fresh["metadata"].pop("resourceVersion", None)
    old = fresh.get("status") or {}
    fresh["status"] = old | node_status(kit, node, old)
    await kit.api.update(kinds.NODE, fresh, subresource="status")


async def renew_lease(kit: Kit, node: NodeConfig) -> None:
    """Say that the node is alive."""
    now = times.format_micro_time(kit.clock())
    try:
        await kit.api.patch(
            kinds.LEASE, LEASE_NAMESPACE, node.name, {"spec": {"holderIdentity": node.name, "renewTime": now}}
        )
    except ApiError as error:
        if error.code != 404:
            raise
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": node.name, "namespace": LEASE_NAMESPACE},
            "spec": {"holderIdentity": node.name, "leaseDurationSeconds": LEASE_DURATION_S, "renewTime": now},
        }
        await kit.api.create(kinds.LEASE, lease, namespace=LEASE_NAMESPACE)


async def heartbeat(kit: Kit) -> None:
    """Renew leases every ten seconds and statuses every five minutes; a Node that was deleted comes back."""
    due = 0.0
    while True:
        is_due, known = kit.clock() >= due, due > 0
        due = kit.clock() + STATUS_S if is_due else due
        for node in kit.config.nodes:
            if node.name in kit.lost_nodes:
                continue
            try:
                await renew_lease(kit, node)
                obj = kit.objects.get(kinds.NODE, "", node.name)
                if obj is None or not known:
                    await register(kit, node)
                elif is_due:
                    await write_status(kit, node, obj)
            except LabctlError as error:
                log.warning("node %s: %s", node.name, error)
        await kit.sleep(RENEW_S)
