"""Ports of a pod's containers that get into each other's way: part of pkg/api/pod/warnings.go."""

from __future__ import annotations

from labctl.api.objects import Object


def clashes(containers: list[tuple[str, Object]]) -> list[str]:
    """Ports that are named twice, or that nobody publishes."""
    found: list[str] = []
    known: dict[tuple[int, str], list[tuple[str, Object]]] = {}
    for path, container in containers:
        for index, port in enumerate(container.get("ports") or ()):
            here = f"{path}.ports[{index}]"
            if port.get("hostIP") and not port.get("hostPort"):
                found.append(f"{here}: hostIP set without hostPort: {_shown(port)}")
            others = known.setdefault((port.get("containerPort", 0), port.get("protocol", "")), [])
            found += [
                f"{here}: {what} port definition with {w}" for w, other in others if (what := _clash(port, other))
            ]
            others.append((here, port))
    return found


def _clash(port: Object, other: Object) -> str:
    """How two ports of the same number and protocol get into each other's way."""
    mine, theirs = ((p.get("hostIP", ""), p.get("hostPort", 0)) for p in (port, other))
    if mine == theirs:
        return "duplicate"
    if not mine[1] or not theirs[1]:
        return "overlapping"
    return "dangerously ambiguous" if mine[1] == theirs[1] and bool(mine[0]) != bool(theirs[0]) else ""


def names(containers: list[tuple[str, Object]]) -> list[str]:
    """Names that several ports of a pod have."""
    known: dict[str, str] = {}
    found = []
    for path, container in containers:
        for index, port in enumerate(container.get("ports") or ()):
            name, here = port.get("name"), f"{path}.ports[{index}]"
            if name and (first := known.setdefault(name, here)) != here:
                text = f"services and probes that select ports by name will use {first}"
                found.append(f'{here}: duplicate port name "{name}" with {first}, {text}')
    return found


def _shown(port: Object) -> str:
    """A port as Go prints a struct."""
    fields = {"Name": "name", "HostPort": "hostPort", "ContainerPort": "containerPort", "Protocol": "protocol"}
    texts = [f"{name}:{port.get(field, 0 if name.endswith('Port') else '')}" for name, field in fields.items()]
    return "{" + " ".join([*texts, f"HostIP:{port['hostIP']}"]) + "}"
