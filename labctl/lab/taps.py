"""Taps in the nodes' network namespaces: the kernel's packet tracing and a capture, for as long as a command runs.

Tracing is turned on by a table of our own (`meta nftrace set 1`) for the packets of one address. Everything ends by
itself after a while, should this process die before it ends it.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from labctl.lab import engine
from labctl.lab.rules import Nodes
from labctl.proxy.explain import iptables_rules
from labctl.trace.lines import TABLE, Handles, handles, journeys, packets
from labctl.trace.story import Seen

_LONGEST_S = 900
_FOLDER = "/tmp/labctl-trace"  # noqa: S108  # in the node's container, which only labctl uses
_SETTLE_S = 0.3  # the last packets of a command are still on their way through the kernel's queues
_LIST = "iptables-save; echo =====; nft -j -a list ruleset"

# Runs detached, as the parent of what it starts: the node's first process does not collect other people's children.
_TAP = f"""
rm -rf {_FOLDER}; mkdir -p {_FOLDER}; cd {_FOLDER}
nft delete table inet {TABLE} 2>/dev/null
nft -f - <<'END'
table inet {TABLE} {{
  chain prerouting {{
    type filter hook prerouting priority -350
    ip saddr {{ ADDRESSES }} meta nftrace set 1
  }}
}}
END
timeout {_LONGEST_S} nft -n -a monitor trace >trace 2>trace.err & echo $! >pids
timeout {_LONGEST_S} tcpdump -n -l -tt -i any 'FILTER' >packets 2>packets.err & echo $! >>pids
wait
nft delete table inet {TABLE}
touch ended
"""
_READY = f"""
n=0
until grep -q 'listening on' {_FOLDER}/packets.err && awk '$2 == 12' /proc/net/netlink | grep -q ' 00000100 '; do
  n=$((n + 1)); [ $n -lt 200 ] || break; sleep 0.01
done 2>/dev/null
"""
_STOP = f"""
cd {_FOLDER} || exit 0
kill $(cat pids) 2>/dev/null
n=0; until [ -e ended ]; do n=$((n + 1)); [ $n -lt 200 ] || break; sleep 0.01; done
cat trace; echo =====; cat packets; rm -rf {_FOLDER}
"""


@dataclass(slots=True)
class Taps:
    """Taps of all nodes of a lab; `stop()` takes them away and tells what they saw."""

    nodes: Nodes
    address: str
    _handles: dict[str, Handles]

    def stop(self) -> list[Seen]:
        """End tracing on every node. The pod's own node comes first in `nodes.containers`."""
        time.sleep(_SETTLE_S)
        with ThreadPoolExecutor() as each:
            return list(each.map(self._seen, self.nodes.containers))

    def _seen(self, node: str) -> Seen:
        traced, _, captured = _run(self.nodes, node, _STOP).partition("=====\n")
        known = {**self._handles.get(node, {}), **_list(self.nodes, node)}
        return Seen(node, packets(captured, node), journeys(traced), known)


def start(nodes: Nodes, address: str, others: Sequence[str] = ()) -> Taps:
    """Trace what the pod with this address sends, and what nodes (`others`) send on in its place. Raises LabctlError."""
    wanted = "port 53 or icmp or (tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0) or (udp and not port 53)"
    capture = f"(host {address} or icmp) and ({wanted})"
    if others:
        capture += "".join(f" or (host {o} and tcp[tcpflags] & (tcp-syn|tcp-rst) != 0)" for o in others)
    script = _TAP.replace("ADDRESSES", ", ".join([address, *others])).replace("FILTER", capture)
    with ThreadPoolExecutor() as each:
        before = dict(zip(nodes.containers, each.map(lambda n: _list(nodes, n), nodes.containers), strict=True))
        list(each.map(lambda n: _tap(nodes, n, script), nodes.containers))
    return Taps(nodes, address, before)


def _tap(nodes: Nodes, node: str, script: str) -> None:
    with engine.translated(f"tracing on {node}"):
        execution = nodes.client.api.exec_create(nodes.containers[node], ["sh", "-c", script])
        nodes.client.api.exec_start(execution["Id"], detach=True)
    _run(nodes, node, _READY)


def _list(nodes: Nodes, node: str) -> Handles:
    saved, _, ruleset = _run(nodes, node, _LIST).partition("=====\n")
    return handles(ruleset, iptables_rules(saved))


def _run(nodes: Nodes, node: str, script: str) -> str:
    with engine.translated(f"tracing on {node}"):
        execution = nodes.client.api.exec_create(nodes.containers[node], ["sh", "-c", script], stderr=False)
        answer: bytes = nodes.client.api.exec_start(execution["Id"])
    return answer.decode(errors="replace")


def probe(nodes: Nodes, sandbox: str, host: str, port: int, protocol: str) -> str:
    """Connect from a pod's network namespace without any help of its image; what came of it in words."""
    program = (
        "import socket, sys\n"
        "h, p, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]\n"
        "try:\n"
        "    if kind == 'udp':\n"
        "        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.connect((h, p)); s.send(b'\\n')\n"
        "        s.recv(512); print('answered')\n"
        "    else:\n"
        "        socket.create_connection((h, p), 3); print('connected')\n"
        "except OSError as e:\n"
        "    print(e)\n"
    )
    command = ["sh", "-c", f"python3 -c {shlex.quote(program)} {shlex.quote(host)} {port} {protocol}"]
    with engine.translated("probing from the pod"):
        execution = nodes.client.api.exec_create(sandbox, command)
        answer: bytes = nodes.client.api.exec_start(execution["Id"])
    return answer.decode(errors="replace").strip()
