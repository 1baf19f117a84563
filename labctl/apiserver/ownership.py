"""Who owns which fields of an object: the API server's side of `labctl.api.managed_fields`.

Which fields a write resets is said here, as Kubernetes' strategies do in GetResetFields: nobody becomes their owner
through that (sub)resource. Ownership is recorded after defaulting and before anything is allocated or kept, so what the server
sets by itself (addresses, node ports, the status of a new object) has no owner.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from labctl.api import kinds, managed_fields, schema, status
from labctl.api.kinds import Kind
from labctl.api.managed_fields import Apply, Entries, sets
from labctl.api.managed_fields.sets import FieldSet
from labctl.api.objects import Object
from labctl.apiserver.options import WriteOptions

_SPEC: FieldSet = sets.of(("f:spec",))
_STATUS: FieldSet = sets.of(("f:status",))
_BY_STATUS: dict[Kind, FieldSet] = {
    kinds.POD: sets.of(("f:spec",), ("f:metadata", "f:deletionTimestamp"), ("f:metadata", "f:ownerReferences")),
    kinds.DEPLOYMENT: sets.of(("f:spec",), ("f:metadata", "f:labels")),
    kinds.SERVICE_CIDR: sets.of(("f:spec",), ("f:metadata",)),
}


def reset_fields(kind: Kind, subresource: str) -> FieldSet:
    """The fields that a write to a kind or its subresource leaves as they are."""
    if subresource == "status":
        return _BY_STATUS.get(kind, _SPEC)
    return _STATUS if "status" in kind.subresources and subresource != "scale" else sets.LEAF


@cache
def empty(kind: Kind) -> Object:
    """The object of a kind before anybody said anything about it: what a creation starts from."""
    return schema.decode(kind, {"metadata": {}}).object


def given(data: Object) -> Any:
    """The managed fields a client sent along; None when it left them out."""
    metadata = data.get("metadata")
    return metadata.get("managedFields") if isinstance(metadata, dict) else None


def without_entries(data: Object, known: Any) -> Object:
    """The object without its managed fields if they are the known ones, which then need no decoding."""
    entries = given(data)
    if not entries or (entries is not known and entries != known):
        return data
    metadata = {name: value for name, value in data["metadata"].items() if name != "managedFields"}
    return {**data, "metadata": metadata}


def recorded(
    kind: Kind, old: Object, new: Object, sent: Any, options: WriteOptions, *, now: str, subresource: str = ""
) -> Entries:
    """The managed fields after a create, update or patch; `sent` are those in the request."""
    return managed_fields.record(
        kind,
        old,
        new,
        manager=options.field_manager or "unknown",
        time=now,
        given=sent,
        subresource=subresource,
        ignored=reset_fields(kind, subresource),
    )


def decoded(kind: Kind, merged: Object) -> schema.Decoded:
    """An object that an apply made, decoded: what cannot be read there has other words than in a body."""
    try:
        return schema.decode(kind, merged)
    except status.ApiError as error:
        cause = error.message.partition(f" cannot be handled as a {kind.kind}: ")[2]
        cause = re.sub(r"Go struct field \S+ of type", "Go value of type", cause)
        if cause.startswith("illegal base64"):
            cause = f"error decoding from json: {cause}"
        raise managed_fields.conversion_error(kind, merged, cause) from None


def applied(
    kind: Kind, live: Object, configuration: Any, options: WriteOptions, *, now: str, subresource: str = ""
) -> Object:
    """The live object with a configuration applied, managed fields included. Raises ApiError 400, 409."""
    if not isinstance(configuration, dict):
        text = (
            f"json: cannot unmarshal {schema.json_kind(configuration)} into Go value of type map[string]interface {{}}"
        )
        raise status.bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {text}")
    how = Apply(
        options.field_manager,
        now,
        force=options.force,
        subresource=subresource,
        ignored=reset_fields(kind, subresource),
    )
    return managed_fields.apply(kind, live, configuration, how, empty=empty(kind))
