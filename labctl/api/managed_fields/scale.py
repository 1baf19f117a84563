"""Managed fields of an object as its scale subresource shows them, and back.

Of a Deployment's fields a Scale has one, spec.replicas: its owners there are those of `.spec.replicas` here. Follows
k8s.io/apimachinery/pkg/util/managedfields/scalehandler.go.
"""

from __future__ import annotations

from labctl.api import kinds
from labctl.api.kinds import Kind
from labctl.api.managed_fields import managers, sets
from labctl.api.managed_fields.managers import Owner, Owners
from labctl.api.managed_fields.sets import FieldSet
from labctl.api.managed_fields.updates import Entries

REPLICAS = ("f:spec", "f:replicas")
_ONLY_REPLICAS: FieldSet = sets.of(REPLICAS)


def to_scale(entries: Entries) -> Entries:
    """The entries of a parent's Scale."""
    return managers.write(
        {
            who: Owner(_ONLY_REPLICAS, kinds.SCALE.api_version, owner.time)
            for who, owner in managers.read(entries).items()
            if sets.has(owner.fields, REPLICAS)
        }
    )


def to_parent(kind: Kind, entries: Entries, scale: Entries) -> Entries:
    """The parent's entries after its Scale changed: who lost the replicas there loses them here.

    New owners have no time, as in Kubernetes.
    """
    owners = {managers.identity(w.manager, w.operation, kind.api_version, w.subresource) for w in managers.read(scale)}
    result: Owners = {}
    for who, owner in managers.read(entries).items():
        if who in owners or not sets.has(owner.fields, REPLICAS):
            result[who] = owner
        elif left := sets.difference(owner.fields, _ONLY_REPLICAS):
            result[who] = Owner(left, owner.api_version, owner.time)
    for who in owners - result.keys():
        result[who] = Owner(_ONLY_REPLICAS, kind.api_version)
    return managers.write(result)
