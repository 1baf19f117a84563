"""What a story is made of: origin, lookups, connections, and the passages through nodes. Pure values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from labctl.api.objects import Object, key_of
from labctl.trace.lines import Handles, Journey, Packet

DNS = 53


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that one node's taps saw; or a load balancer's, which is then `title`."""

    node: str
    packets: Sequence[Packet]
    journeys: Sequence[Journey]
    handles: Handles
    title: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the packets come from: a pod, or this machine. `nodes` are where they are met first, `search` its resolver's."""

    title: str  # "Pod default/web-5d4f on node-1"
    address: str
    nodes: tuple[str, ...]
    search: tuple[str, ...] = ()
    gateway: str = ""
    address6: str = ""  # in a dual-stack lab

    @property
    def addresses(self) -> tuple[str, ...]:
        """All that packets may come from."""
        return tuple(filter(None, (self.address, self.address6)))


@dataclass(frozen=True, slots=True)
class Lookup:
    """One DNS question and its answer. Times are milliseconds; `took_ms` is None when nobody answered."""

    at_ms: float
    question: str
    server: str
    answered_by: str = ""
    answer: str = ""
    took_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that the packet met, as iptables-save or nft print it, and the objects behind it."""

    stage: str  # prerouting, input, forward, output, postrouting: where in the kernel
    table: str
    chain: str
    rule: str
    verdict: str
    objects: str = ""
    choice: str = ""  # among how many endpoints this rule chose
    effect: str = ""  # what the rule did to the packet


@dataclass(frozen=True, slots=True)
class Passage:
    """The first packet's way through one node: as it came, every rule, and as it left."""

    node: str
    came: str
    after_ms: float
    steps: tuple[Step, ...] = ()
    dnat: str = ""  # address and port that the target became, empty when it was not changed
    destination: str = ""  # the object that it was for when it left
    snat: str = ""  # address and port that the source became, empty when it was not changed
    left: str = ""  # the headers on leaving, empty when it did not leave
    left_by: str = ""  # the interface
    left_after_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection attempt: its first packet's way, and what came back."""

    at_ms: float
    protocol: str
    flow: str
    target: str
    passages: tuple[Passage, ...] = ()
    result: str = ""  # connected, answered, refused, dropped, silent
    took_ms: float | None = None
    outcome: str = ""  # the result in words
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """What happened, in order of time."""

    origin: Origin
    events: tuple[Lookup | Connection, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For programs: events carry their kind. The form is described in this folder's README.md."""
        kinds = {Lookup: "lookup", Connection: "connection"}
        return {"origin": asdict(self.origin), "events": [{"kind": kinds[type(e)], **asdict(e)} for e in self.events]}


@dataclass(frozen=True, slots=True)
class Names:
    """Who has which address."""

    by_address: Mapping[str, str] = field(default_factory=dict)

    def of(self, address: str) -> str:
        """`Pod default/web-5d4f on node-1`, or the address."""
        return self.by_address.get(address, "")


def names(services: Sequence[Object], pods: Sequence[Object], nodes: Sequence[Object]) -> Names:
    """Names for every address that an object has."""
    found: dict[str, str] = {}
    for node in nodes:
        for address in (node.get("status") or {}).get("addresses") or ():
            found[address["address"]] = f"Node {node['metadata']['name']}"
    for pod in pods:
        if not pod["spec"].get("hostNetwork"):
            for ip in (pod.get("status") or {}).get("podIPs") or ():
                found[ip["ip"]] = f"Pod {key_of(pod)} on {pod['spec'].get('nodeName')}"
    for service in services:
        spec = service["spec"]
        for ip in [*(spec.get("clusterIPs") or ()), *(spec.get("externalIPs") or ())]:
            if ip != "None":
                found[ip] = f"Service {key_of(service)}"
    return Names(found)
