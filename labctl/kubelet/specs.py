"""A pod's containers as the engine is asked for them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.api import quantities
from labctl.api.objects import Object
from labctl.config import LabConfig, NodeConfig
from labctl.engine.protocol import ContainerSpec, ImageInfo, Mount
from labctl.kubelet import admission, naming
from labctl.kubelet.environment import ConfigError
from labctl.kubelet.expansion import expand
from labctl.kubelet.pod_status import qos_class

# The sandbox sends every packet, also to a neighbour on the same bridge, to its node, and then only waits. A shell as
# process 1 reaps whatever the pod leaves behind when it shares its process namespace.
_SANDBOX_SCRIPT = """
ip route replace "$GATEWAY" dev eth0 scope link && ip route replace default via "$GATEWAY" && ip route del "$RANGE"
if [ -n "$GATEWAY6" ]; then
  ip -6 route replace "$GATEWAY6" dev eth0 && ip -6 route replace default via "$GATEWAY6" && ip -6 route del "$RANGE6"
fi
"""
_WAIT_SCRIPT = "trap 'exit 0' TERM INT; while :; do sleep 86400 & wait $!; done"


@dataclass(frozen=True, slots=True)
class Addresses:
    """A pod's addresses; both empty for a pod on its node's network."""

    ipv4: str = ""
    ipv6: str = ""

    @property
    def all(self) -> tuple[str, ...]:
        """Those that exist, IPv4 first."""
        return tuple(a for a in (self.ipv4, self.ipv6) if a)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pod runs; `node_container` is the engine's id of the node, needed for host namespaces only."""

    config: LabConfig
    node: NodeConfig
    node_container: str = ""
    memory_bytes: int = 0  # of the machine


def sandbox_spec(
    pod: Object, attempt: int, addresses: Addresses, place: Place, etc: Sequence[Mount], memory: Sequence[Mount]
) -> ContainerSpec:
    """The container that owns the pod's addresses; `memory` are volumes it keeps mounted for the others."""
    spec, config = pod["spec"], place.config
    common: dict[str, Any] = {
        "name": naming.container_name(pod, naming.SANDBOX, attempt),
        "image": config.lab_image,
        "labels": naming.labels(config.name, pod, naming.SANDBOX, attempt),
        "mounts": (*etc, *memory),
        "ipc_shareable": True,
    }
    if spec.get("hostNetwork"):
        return ContainerSpec(command=("sh", "-c", _WAIT_SCRIPT), network_of=place.node_container, **common)
    node = place.node
    return ContainerSpec(
        command=("sh", "-c", _SANDBOX_SCRIPT + _WAIT_SCRIPT),
        env={
            "GATEWAY": node.pod_address,
            "RANGE": config.pod_cidr,
            "GATEWAY6": node.pod_address6 if addresses.ipv6 else "",
            "RANGE6": config.pod_cidr6,
        },
        network=config.pods_network,
        address=addresses.ipv4,
        address6=addresses.ipv6,
        hostname=naming.kernel_hostname(pod, config.cluster_domain),
        cap_add=("NET_ADMIN",),
        sysctls=admission.sysctls(pod),
        **common,
    )


def container_spec(
    pod: Object,
    container: Object,
    attempt: int,
    *,
    sandbox: str,
    image: ImageInfo,
    image_name: str,
    env: Mapping[str, str],
    mounts: Sequence[Mount],
    place: Place,
    pid_of: str = "",
) -> ContainerSpec:
    """An init, app or ephemeral container of the pod. Raises ConfigError."""
    context = _security_context(pod, container)
    _check_not_root(context, image)
    limits = (container.get("resources") or {}).get("limits") or {}
    requests = (container.get("resources") or {}).get("requests") or {}
    capabilities = context.get("capabilities") or {}
    own_name = naming.kernel_hostname(pod, place.config.cluster_domain)
    hostname = {} if pod["spec"].get("hostNetwork") else {"HOSTNAME": own_name}
    shares_processes = pod["spec"].get("shareProcessNamespace")
    return ContainerSpec(
        name=naming.container_name(pod, container["name"], attempt),
        image=image_name,
        command=[expand(word, env) for word in container.get("command") or ()],
        args=[expand(word, env) for word in container.get("args") or ()],
        env=hostname | dict(env),
        labels=naming.labels(place.config.name, pod, container["name"], attempt),
        working_dir=container.get("workingDir") or "",
        user=_user(context),
        groups=_groups(pod),
        tty=bool(container.get("tty")),
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        network_of=sandbox,
        ipc_of=sandbox,
        pid_of=place.node_container if pod["spec"].get("hostPID") else (sandbox if shares_processes else pid_of),
        mounts=mounts,
        cap_add=capabilities.get("add") or (),
        cap_drop=capabilities.get("drop") or (),
        privileged=bool(context.get("privileged")),
        read_only_rootfs=bool(context.get("readOnlyRootFilesystem")),
        security_opt=_security_opt(context),
        memory_bytes=_whole(limits.get("memory")),
        nano_cpus=_milli(limits.get("cpu")) * 1_000_000,
        cpu_shares=max(2, _milli(requests.get("cpu") or limits.get("cpu")) * 1024 // 1000),
        oom_score_adj=_oom_score(pod, requests, place),
    )


def mounts_of(
    container: Object, env: Mapping[str, str], volume_mount: Callable[[Mapping[str, Any], str], Mount]
) -> list[Mount]:
    """The container's volumeMounts; `volume_mount` turns one and its expanded sub-path into an engine mount."""
    found = []
    for mount in container.get("volumeMounts") or ():
        subpath = mount.get("subPath") or expand(mount.get("subPathExpr") or "", env)
        found.append(volume_mount(mount, subpath))
    return found


def _security_context(pod: Object, container: Object) -> Mapping[str, Any]:
    inherited = pod["spec"].get("securityContext") or {}
    shared = ("runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile")
    own = container.get("securityContext") or {}
    return {key: inherited[key] for key in shared if key in inherited} | dict(own)


def _check_not_root(context: Mapping[str, Any], image: ImageInfo) -> None:
    if not context.get("runAsNonRoot"):
        return
    if "runAsUser" in context:
        if context["runAsUser"] == 0:
            raise ConfigError("container's runAsUser breaks non-root policy")
        return
    user = image.user.partition(":")[0]
    if user in ("", "0", "root"):
        raise ConfigError("container has runAsNonRoot and image will run as root")
    if not user.isdigit():
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root"
        )


def _user(context: Mapping[str, Any]) -> str:
    user, group = context.get("runAsUser"), context.get("runAsGroup")
    if group is None:
        return "" if user is None else str(user)
    return f"{0 if user is None else user}:{group}"


def _groups(pod: Object) -> tuple[str, ...]:
    context = pod["spec"].get("securityContext") or {}
    groups = [*(context.get("supplementalGroups") or ()), *([context["fsGroup"]] if "fsGroup" in context else [])]
    return tuple(str(g) for g in groups)


def _security_opt(context: Mapping[str, Any]) -> tuple[str, ...]:
    options = []
    if context.get("allowPrivilegeEscalation") is False:
        options.append("no-new-privileges")
    if (context.get("seccompProfile") or {}).get("type") == "Unconfined":
        options.append("seccomp=unconfined")
    return tuple(options)


def _whole(text: Any) -> int:
    return quantities.parse(str(text)).value() if text is not None else 0


def _milli(text: Any) -> int:
    return quantities.parse(str(text)).milli_value() if text is not None else 0


def _oom_score(pod: Object, requests: Mapping[str, Any], place: Place) -> int:
    """How early the kernel kills the container when memory runs out, by quality of service as the kubelet has it."""
    match qos_class(pod):
        case "Guaranteed":
            return -997
        case "BestEffort":
            return 1000
    share = 1000 * _whole(requests.get("memory")) // max(1, place.memory_bytes)
    return min(max(1000 - share, 3), 999)
