"""What is known of one pod while its worker lives."""

from __future__ import annotations

from dataclasses import dataclass, field

from labctl.api import times
from labctl.api.objects import Object
from labctl.config import NodeConfig
from labctl.kubelet import fields, pod_status
from labctl.kubelet.instances import KILLED, Instance, PodInstances
from labctl.kubelet.kit import Kit
from labctl.kubelet.pod_directory import PodDirectory
from labctl.kubelet.pod_status import Facts, Waiting
from labctl.kubelet.recorder import PodEvents
from labctl.kubelet.specs import Addresses


@dataclass(slots=True)
class PodState:
    """The pod, its containers and what its probes last said."""

    kit: Kit
    pod: Object
    instances: PodInstances = field(default_factory=PodInstances)
    addresses: Addresses = field(default_factory=Addresses)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)
    ready: set[str] = field(default_factory=set)
    must_die: dict[str, str] = field(default_factory=dict)  # container -> probe that says so
    oom_killed: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)  # ids of runs whose log was asked for their last words
    failure: tuple[str, str] | None = None
    is_terminal: bool = False
    volumes_fresh_until: float = 0.0

    @property
    def uid(self) -> str:
        """The pod's uid."""
        return str(self.pod["metadata"]["uid"])

    @property
    def node(self) -> NodeConfig:
        """The node it is bound to."""
        return self.kit.node(self.pod["spec"]["nodeName"])

    @property
    def directory(self) -> PodDirectory:
        """Its files."""
        return PodDirectory(self.kit.root, self.uid, prefix=self.kit.prefix)

    @property
    def events(self) -> PodEvents:
        """Records Events about it."""
        return PodEvents(self.kit.recorder, self.pod, self.node.name)

    @property
    def full_name(self) -> str:
        """`NAME_NAMESPACE(UID)`, as the kubelet writes pods in messages."""
        meta = self.pod["metadata"]
        return f"{meta['name']}_{meta['namespace']}({meta['uid']})"

    @property
    def host_ips(self) -> tuple[str, ...]:
        """The node's addresses."""
        return tuple(a for a in (self.node.address, self.node.address6) if a)

    @property
    def pod_ips(self) -> tuple[str, ...]:
        """The pod's addresses: its own, its node's, or those it had before it ended."""
        if self.pod["spec"].get("hostNetwork"):
            return self.host_ips
        if self.addresses.all:
            return self.addresses.all
        return tuple(i["ip"] for i in (self.pod.get("status") or {}).get("podIPs") or ())

    @property
    def identity(self) -> fields.Identity:
        """What the downward API can tell beyond the Pod object."""
        info = self.kit.info
        return fields.Identity(self.pod_ips, self.host_ips, info.cpus, info.memory_bytes)

    @property
    def is_deleted(self) -> bool:
        """Whether the pod has to go."""
        return "deletionTimestamp" in self.pod["metadata"]

    @property
    def has_sandbox(self) -> bool:
        """Whether its sandbox runs."""
        return self.instances.sandbox is not None and self.instances.sandbox.is_running

    def facts(self) -> Facts:
        """The input of the status computation."""
        return Facts(
            instances=self.instances,
            waiting=dict(self.waiting),
            started=frozenset(self.started),
            ready=frozenset(self.ready),
            pod_ips=self.pod_ips,
            host_ips=self.host_ips,
            has_sandbox=self.has_sandbox,
            is_node_lost=self.node.name in self.kit.lost_nodes,
            is_terminal=self.is_terminal,
            failure=self.failure,
        )

    def status(self) -> Object:
        """The pod's status now."""
        return pod_status.build(self.pod, self.facts(), self.kit.clock())

    def next_attempt(self, name: str) -> int:
        """The restart count of the next start of a container."""
        current = self.instances.current(name)
        if current is None:
            return 0
        return current.attempt if current.state == "created" else current.attempt + 1

    def container(self, name: str) -> Object | None:
        """A container of the pod's spec."""
        return fields.container_named(self.pod, name)

    def remember_lost(self) -> None:
        """After a restart of the kubelet: containers that the status knows but the engine has lost count as killed."""
        status = self.pod.get("status") or {}
        for known in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
            if self.instances.current(known["name"]) is None and known.get("containerID"):
                self.instances.put(_lost(known))

    def adopt_probe_results(self) -> None:
        """After a restart of the kubelet: containers that were ready stay so until a probe says otherwise."""
        status = self.pod.get("status") or {}
        for known in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
            current = self.instances.current(known["name"])
            if current is not None and current.is_running and known.get("containerID") == f"docker://{current.id}":
                if known.get("started"):
                    self.started.add(known["name"])
                if known.get("ready"):
                    self.ready.add(known["name"])


def _lost(known: Object) -> Instance:
    ended = known["state"].get("terminated")
    common = {
        "id": known["containerID"].removeprefix("docker://"),
        "name": known["name"],
        "attempt": known.get("restartCount", 0),
        "image": known.get("image", ""),
        "image_id": known.get("imageID", ""),
    }
    if ended is not None:
        return Instance(
            state="exited",
            started_at=_unix(ended.get("startedAt")),
            finished_at=_unix(ended.get("finishedAt")),
            exit_code=ended["exitCode"],
            reason=ended.get("reason", ""),
            message=ended.get("message", ""),
            **common,
        )
    message = "The container could not be located when the pod was deleted.  The container used to be Running"
    return Instance(state="exited", exit_code=KILLED, reason="ContainerStatusUnknown", message=message, **common)


def _unix(text: str | None) -> float:
    return times.to_unix(text) if text else 0.0
