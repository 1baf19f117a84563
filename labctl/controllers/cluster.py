"""What the scheduler sees of a cluster when it places one pod. Pure values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from labctl.api.objects import Object


@dataclass(frozen=True, slots=True)
class Cluster:
    """Nodes, the pods that hold something of each, and the namespaces' labels."""

    nodes: Sequence[Object]
    placed: Mapping[str, Sequence[Object]] = field(default_factory=dict)
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def pods_on(self, node: Object) -> Sequence[Object]:
        """The pods on a node."""
        return self.placed.get(node["metadata"]["name"], ())

    def with_pods(self) -> Iterator[tuple[Object, Object]]:
        """Every placed pod with its node."""
        for node in self.nodes:
            for pod in self.pods_on(node):
                yield node, pod


def topology(node: Object, key: str) -> str | None:
    """The domain that a node belongs to under a topology key; None when it has no such label."""
    value: str | None = (node["metadata"].get("labels") or {}).get(key)
    return value
