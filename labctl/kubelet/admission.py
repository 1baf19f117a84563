"""Pods that a kubelet refuses to run at all: they fail, with a reason, and nothing of them is started. Pure."""

from __future__ import annotations

from labctl.api.objects import Object

# pkg/kubelet/sysctl/safe_sysctls.go: what concerns nobody but the pod.
SAFE_SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    )
)


def refusal(pod: Object) -> tuple[str, str] | None:
    """Reason and message for a pod that its kubelet does not admit."""
    if ((pod["spec"].get("os") or {}).get("name") or "linux") != "linux":
        return "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
    for name in sysctls(pod):
        if name not in SAFE_SYSCTLS:
            return "SysctlForbidden", f'forbidden sysctl: "{name}" not allowlisted'
    return None


def lacking(pod: Object) -> str:
    """What the pod asks for that a lab's nodes cannot give; empty when there is nothing."""
    spec = pod["spec"]
    shared = spec.get("securityContext") or {}
    wants = {
        "hostIPC pods: nodes are containers with an IPC namespace of their own": spec.get("hostIPC"),
        "user namespaces for pods (hostUsers: false)": spec.get("hostUsers") is False,
        "devices for resourceClaims": spec.get("resourceClaims"),
        "supplementalGroupsPolicy Strict: groups of the image's user are always added": (
            shared.get("supplementalGroupsPolicy") == "Strict"
        ),
    }
    containers = [*(spec.get("initContainers") or ()), *spec["containers"], *(spec.get("ephemeralContainers") or ())]
    for container in containers:
        wants |= _lacking_for(container, (shared, container.get("securityContext") or {}))
    return next((text for text, is_wanted in wants.items() if is_wanted), "")


def _lacking_for(container: Object, contexts: tuple[Object, ...]) -> dict[str, object]:
    name = container["name"]
    found: dict[str, object] = {
        f"block devices (volumeDevices of container {name})": container.get("volumeDevices"),
        f"restarts of all containers by a rule (restartPolicyRules of container {name})": any(
            rule.get("action") == "RestartAllContainers" for rule in container.get("restartPolicyRules") or ()
        ),
        f"unmasked /proc (procMount of container {name})": contexts[-1].get("procMount") == "Unmasked",
    }
    for field in ("seccompProfile", "appArmorProfile"):
        text = f"{field} files of a node's own (type Localhost, container {name})"
        found[text] = any((context.get(field) or {}).get("type") == "Localhost" for context in contexts)
    return found


def sysctls(pod: Object) -> dict[str, str]:
    """The pod's sysctls by their dotted names."""
    given = (pod["spec"].get("securityContext") or {}).get("sysctls") or ()
    return {_dotted(s["name"]): s["value"] for s in given}


def _dotted(name: str) -> str:
    """`net/ipv4/conf/eth0.1/x` -> `net.ipv4.conf.eth0/1.x`: a slash first means that slashes separate (sysctl(8))."""
    first = next((c for c in name if c in "./"), ".")
    return name.translate(str.maketrans("./", "/.")) if first == "/" else name
