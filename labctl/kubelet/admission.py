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
    for name in sysctls(pod):
        if name not in SAFE_SYSCTLS:
            return "SysctlForbidden", f'forbidden sysctl: "{name}" not allowlisted'
    return None


def sysctls(pod: Object) -> dict[str, str]:
    """The pod's sysctls by their dotted names."""
    given = (pod["spec"].get("securityContext") or {}).get("sysctls") or ()
    return {_dotted(s["name"]): s["value"] for s in given}


def _dotted(name: str) -> str:
    """`net/ipv4/conf/eth0.1/x` -> `net.ipv4.conf.eth0/1.x`: a slash first means that slashes separate (sysctl(8))."""
    first = next((c for c in name if c in "./"), ".")
    return name.translate(str.maketrans("./", "/.")) if first == "/" else name
