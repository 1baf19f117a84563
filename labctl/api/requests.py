"""What the containers of a pod ask for together (AggregateContainerRequests of k8s.io/component-helpers)."""

from __future__ import annotations

from decimal import Decimal

from labctl.api import quantities
from labctl.api.objects import Object

_NONE = Decimal()


def together(spec: Object, side: str) -> dict[str, Decimal]:
    """`requests` or `limits` of all containers of a PodSpec, at the moment when they need the most."""
    total, sidecars, before = dict[str, Decimal](), dict[str, Decimal](), dict[str, Decimal]()
    for each in spec.get("containers") or ():
        total = _plus(total, each, side)
    for each in spec.get("initContainers") or ():
        if each.get("restartPolicy") == "Always":
            total, sidecars = _plus(total, each, side), _plus(sidecars, each, side)
            before = _most(before, sidecars)
        else:
            before = _most(before, _plus(sidecars, each, side))
    return _most(total, before)


def of_pod(spec: Object) -> dict[str, Decimal]:
    """What a pod takes of its node: what its containers ask for, or what it asks for itself."""
    own = (spec.get("resources") or {}).get("requests") or {}
    return together(spec, "requests") | {name: quantities.parse(str(value)).amount for name, value in own.items()}


def _plus(amounts: dict[str, Decimal], container: Object, side: str) -> dict[str, Decimal]:
    result = dict(amounts)
    for name, value in ((container.get("resources") or {}).get(side) or {}).items():
        result[name] = result.get(name, _NONE) + quantities.parse(str(value)).amount
    return result


def _most(one: dict[str, Decimal], other: dict[str, Decimal]) -> dict[str, Decimal]:
    return {name: max(one.get(name, _NONE), other.get(name, _NONE)) for name in {*one, *other}}
