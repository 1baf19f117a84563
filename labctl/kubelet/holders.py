"""Who holds a port of the host: a container, or a process that a short-lived helper looks up in the host's /proc."""

from __future__ import annotations

import asyncio

from labctl.config import LABEL_LAB, LABEL_ROLE, LabConfig
from labctl.engine.errors import EngineError
from labctl.engine.protocol import ContainerSpec, Engine
from labctl.kubelet.forwarding import PublishedPort

_TIMEOUT_S = 10.0

# In the host's network and process namespaces: the inode of the listening socket, then the process that has it open.
# The tables' columns are described in https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html
_SCRIPT = """
import glob, os, sys
port, protocol = int(sys.argv[1]), sys.argv[2]
inodes = set()
for name in (protocol, protocol + "6"):
    try:
        lines = open(f"/proc/net/{name}").read().splitlines()[1:]
    except OSError:
        continue
    for fields in map(str.split, lines):
        if int(fields[1].rpartition(":")[2], 16) == port and (protocol == "udp" or fields[3] == "0A"):
            inodes.add(f"socket:[{fields[9]}]")
for link in glob.glob("/proc/[0-9]*/fd/*"):
    try:
        if os.readlink(link) in inodes:
            pid = link.split("/")[2]
            words = open(f"/proc/{pid}/cmdline").read().split("\\0")
            print(f"process {pid} ({' '.join(w for w in words if w)[:80]})")
            break
    except OSError:
        pass
"""


async def holder_of(engine: Engine, config: LabConfig, port: PublishedPort) -> str:
    """`container NAME`, `process 123 (python3 …)`, or `another program` when it cannot be found out."""
    if (name := await engine.port_holder(port.port, port.protocol)) is not None:
        return f"container {name}"
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await _process(engine, config, port) or "another program"
    except (EngineError, TimeoutError):
        return "another program"


async def _process(engine: Engine, config: LabConfig, port: PublishedPort) -> str:
    helper = ContainerSpec(
        name=f"labctl-{config.name}-holder-{port.port}",
        image=config.lab_image,
        command=("python3", "-I", "-S", "-c", _SCRIPT, str(port.port), port.protocol),
        labels={LABEL_LAB: config.name, LABEL_ROLE: "probe"},
        network="host",
        pid_host=True,
        cap_add=("SYS_PTRACE", "DAC_READ_SEARCH"),  # to see which files other users' processes have open
        security_opt=("apparmor=unconfined",),
    )
    container_id = await engine.create(helper)
    try:
        await engine.start(container_id)
        said = b"".join([data async for tag, data in engine.logs(container_id, follow=True) if tag == "stdout"])
    finally:
        await asyncio.shield(engine.remove(container_id))
    return said.decode(errors="replace").strip()
