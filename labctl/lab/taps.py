"""Taps in the nodes' network namespaces: the kernel's packet tracing and a capture, for as long as a command runs.

Tracing is turned on by a table of our own (`meta nftrace set 1`) for the packets of one address. Everything ends by
itself after a while, should this process die before it ends it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from labctl.errors import LabctlError
from labctl.lab import engine, leftovers
from labctl.lab.rules import Nodes
from labctl.proxy.explain import iptables_rules
from labctl.proxy.family import IPV4, IPV6, of
from labctl.trace.lines import TABLE, Handles, handles, journeys, packets
from labctl.trace.model import Seen

_LONGEST_S = 900
_FOLDER = "/tmp/labctl-trace"  # noqa: S108  # in the node's container, which only labctl uses
_SETTLE_S = 0.3  # the last packets of a command are still on their way through the kernel's queues
_LIST = "iptables-save; echo =====; ip6tables-save 2>/dev/null; echo =====; nft -j -a list ruleset"

# Runs detached, as the parent of what it starts: the node's first process does not collect other people's children.
_TAP = f"""
rm -rf {_FOLDER}; mkdir -p {_FOLDER}; cd {_FOLDER}
nft delete table inet {TABLE} 2>/dev/null
nft -f - 2>failed <<'END' && rm -f failed
table inet {TABLE} {{
  chain prerouting {{
    type filter hook prerouting priority -350
    TRACED
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
cd {_FOLDER} 2>/dev/null || sleep 0.1; cd {_FOLDER} || exit 0
until grep -q 'listening on' packets.err && awk '$2 == 12' /proc/net/netlink | grep -q ' 00000100 '; do
  [ ! -s failed ] || break
  n=$((n + 1)); [ $n -lt 200 ] || {{ echo 'its taps did not start' >>failed; break; }}
  sleep 0.01
done 2>/dev/null
[ -e failed ] && cat failed trace.err packets.err | grep -v -e '^listening on' -e '^tcpdump: ' -e '^dropped privs'
true
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
    titles: Mapping[str, str]
    _handles: dict[str, Handles]

    def stop(self) -> list[Seen]:
        """End tracing on every node. The origin's own node comes first in `nodes.containers`."""
        time.sleep(_SETTLE_S)
        with ThreadPoolExecutor() as each:
            return list(each.map(self._seen, self.nodes.containers))

    def _seen(self, node: str) -> Seen:
        traced, _, captured = _run(self.nodes, node, _STOP).partition("=====\n")
        known = {**self._handles.get(node, {}), **_list(self.nodes, node)}
        return Seen(node, packets(captured, node), journeys(traced), known, self.titles.get(node, ""))


def start(
    nodes: Nodes, addresses: Sequence[str], others: Sequence[str] = (), titles: Mapping[str, str] | None = None
) -> Taps:
    """Trace what comes from these addresses, and what nodes and load balancers (`others`) send on in their place.

    `titles` says what those of `nodes` are that are no nodes. Raises LabctlError.
    """
    script = _TAP.replace("TRACED", traced([*addresses, *others])).replace("FILTER", captured(addresses, others))
    with ThreadPoolExecutor() as each:
        before = dict(zip(nodes.containers, each.map(lambda n: _list(nodes, n), nodes.containers), strict=True))
        failures = [f for f in each.map(lambda n: _tap(nodes, n, script), nodes.containers) if f]
    taps = Taps(nodes, titles or {}, before)
    if failures:
        taps.stop()
        raise LabctlError(failures[0], hint="'labctl up' makes nodes anew that lack something")
    return taps


def traced(addresses: Sequence[str]) -> str:
    """The rules of nft that turn tracing on for packets from these addresses."""
    by_family = {family: list(dict.fromkeys(filter(family.owns, addresses))) for family in (IPV4, IPV6)}
    rules = (f"{family.nft} saddr {{ {', '.join(mine)} }}" for family, mine in by_family.items() if mine)
    return "; ".join(f"{rule} meta nftrace set 1" for rule in rules)


def captured(addresses: Sequence[str], others: Sequence[str]) -> str:
    """The filter of tcpdump: lookups, first and last packets of connections, and refusals."""
    return " or ".join(
        [f"((host {a} or {_ICMP[of(a)]}) and ({_OF_ORIGIN[of(a)]}))" for a in addresses]
        + [f"(host {a} and ({_OF_OTHERS[of(a)]}))" for a in others]
    )


# `tcp[…]` means IPv4 only (pcap-filter(7)): of IPv6 it is the header's own bytes, next header and flags, FIN 1, SYN 2, RST 4.
_DATAGRAM = "(udp and not port 53)"
_ICMP = {IPV4: "icmp", IPV6: "(icmp6 and ip6[40] < 5)"}  # of IPv6 errors only, neighbours ask each other all the time
_OF_ORIGIN = {
    IPV4: f"port 53 or {_ICMP[IPV4]} or tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0 or {_DATAGRAM}",
    IPV6: f"port 53 or {_ICMP[IPV6]} or (ip6[6] == 6 and ip6[53] & 7 != 0) or {_DATAGRAM}",
}
_OF_OTHERS = {
    IPV4: f"tcp[tcpflags] & (tcp-syn|tcp-rst) != 0 or {_DATAGRAM}",
    IPV6: f"(ip6[6] == 6 and ip6[53] & 6 != 0) or {_DATAGRAM}",
}


def _tap(nodes: Nodes, node: str, script: str) -> str:
    """Start a node's taps; what went wrong in words, empty when they run."""
    with engine.translated(f"tracing on {node}"):
        execution = nodes.client.api.exec_create(nodes.containers[node], ["sh", "-c", script])
        nodes.client.api.exec_start(execution["Id"], detach=True)
    said = _run(nodes, node, _READY).strip().splitlines()
    return f"{node} cannot trace packets: {said[0]}" if said else ""


def balancers(nodes: Nodes) -> tuple[dict[str, str], dict[str, str]]:
    """Containers of the lab's load balancers and what each is: name -> id, name -> title."""
    found = leftovers.find(nodes.client, nodes.lab.config.name).with_role("load-balancer")
    running = [c for c in found if c.state == "running"]
    prefix = f"labctl-{nodes.lab.config.name}-"
    names = {c.id: c.name.removeprefix(prefix) for c in running}
    titles = {}
    for container in running:
        with engine.translated("reading a load balancer"):
            labels = nodes.client.api.inspect_container(container.id)["Config"]["Labels"]
        titles[names[container.id]] = f"load balancer of Service {labels.get('labctl.service', '')}"
    return {name: ident for ident, name in names.items()}, titles


def addresses(nodes: Nodes) -> dict[str, list[str]]:
    """The addresses of each container on the lab's networks."""
    found = {}
    for name, ident in nodes.containers.items():
        with engine.translated(f"reading addresses of {name}"):
            networks = nodes.client.api.inspect_container(ident)["NetworkSettings"]["Networks"]
        keys = ("IPAddress", "GlobalIPv6Address")
        found[name] = [n[key] for n in networks.values() for key in keys if n.get(key)]
    return found


def lan_gateway(nodes: Nodes) -> str:
    """This machine's address on the lab's LAN: whom load balancers see when somebody connects to a published port."""
    with engine.translated("reading the lab's LAN"):
        network = nodes.client.api.inspect_network(f"labctl-{nodes.lab.config.name}-lan")
    return next(str(c["Gateway"]) for c in network["IPAM"]["Config"] if IPV4.owns(c["Gateway"]))


def _list(nodes: Nodes, node: str) -> Handles:
    saved, saved6, ruleset = _run(nodes, node, _LIST).split("=====\n")
    return handles(ruleset, iptables_rules(saved) + iptables_rules(saved6, IPV6))


def _run(nodes: Nodes, node: str, script: str) -> str:
    with engine.translated(f"tracing on {node}"):
        execution = nodes.client.api.exec_create(nodes.containers[node], ["sh", "-c", script], stderr=False)
        answer: bytes = nodes.client.api.exec_start(execution["Id"])
    return answer.decode(errors="replace")


_PROBE = """
import socket, sys
h, p, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
try:
    if kind == "udp":
        family, sort, _, _, at = socket.getaddrinfo(h, p, type=socket.SOCK_DGRAM)[0]
        s = socket.socket(family, sort); s.settimeout(3); s.connect(at); s.send(b"hostname\\n")
        s.recv(512); print("answered")
    else:
        socket.create_connection((h, p), 3).close(); print("connected")
except socket.gaierror:
    print("no such name")
except TimeoutError:
    print("no answer in 3 s")
except OSError as e:
    print((e.strerror or str(e)).lower())
"""


def probe(nodes: Nodes, sandbox: str, host: str, port: int, protocol: str) -> str:
    """Connect from a pod's network namespace without any help of its image; what came of it in words."""
    with engine.translated("probing from the pod"):
        execution = nodes.client.api.exec_create(sandbox, ["python3", "-c", _PROBE, host, str(port), protocol])
        answer: bytes = nodes.client.api.exec_start(execution["Id"])
    return answer.decode(errors="replace").strip()


def probe_here(host: str, port: int, protocol: str) -> str:
    """Connect from this machine; what came of it in words."""
    command = [sys.executable, "-c", _PROBE, host, str(port), protocol]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
