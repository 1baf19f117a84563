"""Name, uid and resourceVersion: whose object a write is for, and which state of it the client had seen."""

from __future__ import annotations

from collections.abc import Callable

from labctl.api import kinds, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object

CREATED_BY_UPDATE = frozenset(
    {
        kinds.SERVICE,
        kinds.ENDPOINTS,
        kinds.EVENT,
        kinds.EVENTS_EVENT,
        kinds.LIMIT_RANGE,
        kinds.LEASE,
        kinds.ROLE,
        kinds.ROLE_BINDING,
        kinds.CLUSTER_ROLE,
        kinds.CLUSTER_ROLE_BINDING,
    }
)
"""Kinds that a PUT creates when there is no such object (AllowCreateOnUpdate)."""

_NEVER_UNCONDITIONAL = (kinds.POD_DISRUPTION_BUDGET, kinds.LEASE)


def check_create(obj: Object) -> None:
    """Refuse a resourceVersion of something that does not exist yet. Raises ApiError 400 (Kubernetes: 500)."""
    version = obj["metadata"].pop("resourceVersion", "")
    if version.isascii() and version.isdigit() and int(version):  # what is no number, Kubernetes does not see
        raise status.bad_request("resourceVersion should not be set on objects to be created")


_TWICE = (
    ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject "
    "such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
)


def merge_owners(metadata: Object, warnings: list[str]) -> None:
    """Keep one of several equal owner references, in place, and warn of the others."""
    kept, dropped = list[Object](), list[str]()
    for owner in metadata.get("ownerReferences") or ():
        if owner in kept:
            dropped.append(owner.get("uid", ""))
        else:
            kept.append(owner)
    if dropped:
        metadata["ownerReferences"] = kept
        warnings.append(_TWICE + ", ".join(dropped))


def check_update(kind: Kind, new: Object, old: Object) -> None:
    """Name and resourceVersion must be those of the object, where they are given. Raises ApiError 400, 409, 422."""
    metadata, name = new["metadata"], old["metadata"]["name"]
    check_name(new, name)
    version = metadata.get("resourceVersion")
    if version and not (version.isascii() and version.isdigit()):
        raise status.bad_request(f'strconv.ParseUint: parsing "{version}": invalid syntax')
    if version in (None, "", "0") and kind in _NEVER_UNCONDITIONAL:
        raise _needs_version(kind, name)
    if version not in (None, "", "0", old["metadata"]["resourceVersion"]):
        raise status.conflict(kind, name, status.MODIFIED)
    metadata["resourceVersion"] = old["metadata"]["resourceVersion"]


def check_name(obj: Object, name: str) -> None:
    """The object's name must be that of the URL. Raises ApiError 400."""
    given = (obj.get("metadata") or {}).get("name")
    if not given:
        why = f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        raise status.bad_request(why)
    if given != name:
        raise status.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")


def replacing(kind: Kind, wanted: Object) -> Callable[[Object], Object]:
    """The change that a PUT is. The uid in its body is a precondition: raises ApiError 409."""

    def change(old: Object) -> Object:
        metadata = old["metadata"]
        uid = (wanted.get("metadata") or {}).get("uid")
        if uid and uid != metadata["uid"]:
            raise status.conflict(kind, metadata["name"], storage_error(kind, metadata, "UID", uid, metadata["uid"]))
        return wanted

    return change


def storage_error(kind: Kind, metadata: Object, what: str, wanted: str, actual: str) -> str:
    """A precondition that does not hold, as Kubernetes' storage tells it."""
    key = "/".join(p for p in ("/registry", _folder(kind), metadata.get("namespace", ""), metadata["name"]) if p)
    return (
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {actual}"
    )


def _folder(kind: Kind) -> str:
    special = {kinds.SERVICE: "services/specs", kinds.ENDPOINTS: "services/endpoints", kinds.NODE: "minions"}
    return special.get(kind, kind.resource)


def _needs_version(kind: Kind, name: str) -> status.ApiError:
    text = "Invalid value: 0: must be specified for an update"
    error = status.invalid(kind, name, [status.Cause("FieldValueInvalid", text, "metadata.resourceVersion")])
    full = f'{kind.kind}.{kind.group} "' if kind.group else f'{kind.kind} "'
    error.message = f'{kind.group_resource} "' + str(error).removeprefix(full)
    error.details = {**(error.details or {}), "kind": kind.resource}
    return error
