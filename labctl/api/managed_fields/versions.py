"""The same object in the versions its managers speak: what Kubernetes' version converter does.

Most kinds have one version and most calls end at once; HorizontalPodAutoscalers have two.
"""

from __future__ import annotations

from labctl.api import conversion, kinds, schema
from labctl.api.kinds import Kind
from labctl.api.managed_fields import sets, types, walk
from labctl.api.managed_fields.sets import FieldSet
from labctl.api.managed_fields.types import Type
from labctl.api.objects import Object, split_api_version

# Never part of a manager's fields, whoever wrote them: k8s.io/apimachinery, stripmeta.go.
SERVER_METADATA = frozenset(
    {
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    }
)
SERVER_FIELDS: FieldSet = {
    "f:apiVersion": sets.LEAF,
    "f:kind": sets.LEAF,
    "f:metadata": {".": sets.LEAF, **{f"f:{name}": sets.LEAF for name in sorted(SERVER_METADATA)}},
}


def kind_in(kind: Kind, api_version: str) -> Kind | None:
    """The kind that serves the same objects in another version of its group; None when there is none (any more).

    Versions of another group do not count, in Kubernetes neither: who wrote a core Event owns nothing any more after
    the next write through events.k8s.io.
    """
    if api_version == kind.api_version:
        return kind
    other = kinds.by_gvk(*split_api_version(api_version), kind.kind)
    return other if other is not None and other.group == kind.group else None


def convert(kind: Kind, other: Kind, obj: Object) -> Object:
    """An object of `kind` in the version of `other`."""
    if other is kind:
        return obj
    decoded = schema.decode(kind, obj).object
    return conversion.from_storage(other, conversion.to_storage(kind, decoded))


class Changes:
    """In which fields two states of an object differ, in each version that is asked for.

    Fields in `ignored` (and all inside them) count as equal: what a write to this resource or subresource resets.
    """

    def __init__(self, kind: Kind, old: Object, new: Object, ignored: FieldSet) -> None:
        self._kind = kind
        self._old = old
        self._new = new
        self._ignored = ignored
        self._found: dict[str, walk.Comparison | None] = {}

    def of(self, api_version: str) -> walk.Comparison | None:
        """The difference in a version; None when there is no such version."""
        if api_version not in self._found:
            other = kind_in(self._kind, api_version)
            self._found[api_version] = None if other is None else self._compare(other)
        return self._found[api_version]

    def _compare(self, other: Kind) -> walk.Comparison:
        old, new = convert(self._kind, other, self._old), convert(self._kind, other, self._new)
        skip = frozenset(e[2:] for e, node in self._ignored.items() if sets.is_member(node)) | {"apiVersion", "kind"}
        found = walk.compare(type_of(other), bare(old), bare(new), skip=skip)
        return walk.Comparison(*(sets.without(part, self._ignored) for part in found))


def type_of(kind: Kind) -> Type:
    """The type of a kind's objects."""
    return types.of_kind(kind)


def bare(obj: Object) -> Object:
    """An object without the metadata only the server writes."""
    metadata = obj.get("metadata") or {}
    return {**obj, "metadata": {name: value for name, value in metadata.items() if name not in SERVER_METADATA}}
