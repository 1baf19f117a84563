"""ContainerSpec -> the JSON body of Docker's `POST /containers/create`, API 1.41 vocabulary. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labctl.config import LABEL_LAB
from labctl.engine.protocol import ContainerSpec, Mount

# As the kubelet: container logs are kept in a few files of bounded size.
_LOGS = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}}


def create_body(spec: ContainerSpec, volume_path: Callable[[str], str]) -> dict[str, Any]:
    """The request body; `volume_path` gives the folder in which the engine keeps a volume (needed for subpaths)."""
    body: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "Labels": dict(spec.labels),
        "Tty": spec.tty,
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin_once,
        "AttachStdin": spec.stdin,
        "HostConfig": _host_config(spec, volume_path),
    }
    if spec.command:
        body["Entrypoint"] = list(spec.command)
    if spec.args:
        body["Cmd"] = list(spec.args)
    optional = {
        "WorkingDir": spec.working_dir,
        "User": spec.user,
        "Hostname": spec.hostname,
    }
    body |= {key: value for key, value in optional.items() if value}
    if spec.ports:
        body["ExposedPorts"] = {f"{p.container_port}/{p.protocol}": {} for p in spec.ports}
    if spec.network and not spec.network_of:
        body["NetworkingConfig"] = {"EndpointsConfig": {spec.network: {"IPAMConfig": _ipam(spec)}}}
    return body


def _ipam(spec: ContainerSpec) -> dict[str, str]:
    ipam = {"IPv4Address": spec.address, "IPv6Address": spec.address6}
    return {key: value for key, value in ipam.items() if value}


def _host_config(spec: ContainerSpec, volume_path: Callable[[str], str]) -> dict[str, Any]:
    optional: dict[str, Any] = {
        "NetworkMode": f"container:{spec.network_of}" if spec.network_of else spec.network,
        "PidMode": f"container:{spec.pid_of}" if spec.pid_of else "",
        "IpcMode": f"container:{spec.ipc_of}" if spec.ipc_of else "",
        "CapAdd": list(spec.cap_add),
        "CapDrop": list(spec.cap_drop),
        "Privileged": spec.privileged,
        "ReadonlyRootfs": spec.read_only_rootfs,
        "GroupAdd": list(spec.groups),
        "ShmSize": spec.shm_bytes,
        "Sysctls": dict(spec.sysctls),
        "SecurityOpt": list(spec.security_opt),
        "Memory": spec.memory_bytes,
        "NanoCpus": spec.nano_cpus,
        "CpuShares": spec.cpu_shares,
        "OomScoreAdj": spec.oom_score_adj,
        "Dns": list(spec.dns),
        "DnsSearch": list(spec.dns_search),
        "DnsOptions": list(spec.dns_options),
        "ExtraHosts": [f"{name}:{address}" for name, address in spec.extra_hosts.items()],
        "PortBindings": _port_bindings(spec),
        "Mounts": [_mount(m, spec, volume_path) for m in spec.mounts],
    }
    config = {key: value for key, value in optional.items() if value}
    if config.get("Memory"):
        config["MemorySwap"] = config["Memory"]  # a limit is a limit: no swap beyond it, as in Kubernetes
    if spec.ipc_shareable:
        config["IpcMode"] = "shareable"
    if spec.pid_host:
        config["PidMode"] = "host"
    config["LogConfig"] = _LOGS
    return config


def _port_bindings(spec: ContainerSpec) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in spec.ports:
        key = f"{port.container_port}/{port.protocol}"
        bindings.setdefault(key, []).append({"HostIp": port.host_ip, "HostPort": str(port.host_port)})
    return bindings


def _mount(mount: Mount, spec: ContainerSpec, volume_path: Callable[[str], str]) -> dict[str, Any]:
    if not mount.volume:
        tmpfs: dict[str, Any] = {"Type": "tmpfs", "Target": mount.target}
        if mount.size_bytes:
            tmpfs["TmpfsOptions"] = {"SizeBytes": mount.size_bytes}
        return tmpfs
    if mount.subpath:
        # VolumeOptions.Subpath needs API 1.45; a bind of the volume's folder means the same on every engine.
        source = f"{volume_path(mount.volume)}/{mount.subpath}"
        return {"Type": "bind", "Source": source, "Target": mount.target, "ReadOnly": mount.read_only}
    options: dict[str, Any] = {"NoCopy": True}
    if lab := spec.labels.get(LABEL_LAB):
        options["Labels"] = {LABEL_LAB: lab}  # so that `down` finds the volume
    if mount.in_memory:
        size = f"size={mount.size_bytes}," if mount.size_bytes else ""
        driver = {"type": "tmpfs", "device": "tmpfs", "o": f"{size}mode=1777"}
        options["DriverConfig"] = {"Name": "local", "Options": driver}
    return {
        "Type": "volume",
        "Source": mount.volume,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "VolumeOptions": options,
    }
