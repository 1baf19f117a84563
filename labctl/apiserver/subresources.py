"""Subresources with bodies of their own: scale and binding (eviction and token are modules of their own).

Each is a pure conversion around an update of the parent object.
"""

from __future__ import annotations

from collections.abc import Callable

from labctl.api import kinds, managed_fields, schema, selectors, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object, copy
from labctl.api.times import format_time
from labctl.apiserver import eviction, identity, ownership, tokens
from labctl.apiserver.authentication import Authenticator
from labctl.apiserver.options import WriteOptions
from labctl.apiserver.registry import Registry

Creator = Callable[[Registry, Authenticator, str, str, Object], Object]
_IDENTITY = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(parent: Object) -> Object:
    """The autoscaling/v1 Scale of a Deployment, ReplicaSet or ReplicationController."""
    spec, observed = parent["spec"], parent.get("status") or {}
    state: Object = {"replicas": observed.get("replicas", 0)}
    is_plain = parent["kind"] == kinds.REPLICATION_CONTROLLER.kind
    selector = (selectors.from_labels if is_plain else selectors.from_object)(spec.get("selector"))
    if text := str(selector):
        state["selector"] = text
    scale: Object = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {k: parent["metadata"][k] for k in _IDENTITY if k in parent["metadata"]},
        "spec": {},
        "status": state,
    }
    if spec.get("replicas"):
        scale["spec"] = {"replicas": spec["replicas"]}
    return scale


def rescale(
    registry: Registry, kind: Kind, namespace: str, name: str, change: Callable[[Object], Object], options: WriteOptions
) -> Object:
    """Update the scale of an object; the answer is the new Scale. Raises ApiError 404, 409, 422."""

    def record(scale: Object) -> Object:
        wanted = change(scale)
        now = format_time(registry.clock())
        owners = ownership.recorded(kinds.SCALE, scale, wanted, None, options, now=now, subresource="scale")
        return {**wanted, "metadata": {**(wanted.get("metadata") or {}), "managedFields": owners}}

    return _rescale(registry, kind, namespace, name, record, options)


def apply_scale(
    registry: Registry, kind: Kind, namespace: str, name: str, configuration: object, options: WriteOptions
) -> Object:
    """Server-side apply of a Scale; the answer is the new Scale. Raises ApiError 400, 404, 409, 422."""
    now = format_time(registry.clock())

    def merge(scale: Object) -> Object:
        return ownership.applied(kinds.SCALE, scale, configuration, options, now=now, subresource="scale")

    return _rescale(registry, kind, namespace, name, merge, options)


def _rescale(
    registry: Registry, kind: Kind, namespace: str, name: str, change: Callable[[Object], Object], options: WriteOptions
) -> Object:
    """Change the scale by a function that also says who owns it."""

    def apply(parent: Object) -> Object:
        scale = scale_of(parent)
        present = ownership.given(parent) or []
        scale["metadata"]["managedFields"] = managed_fields.to_scale(present)  # not shown in answers
        wanted = _decoded_scale(change(scale), options)
        identity.check_name(wanted, name)
        replicas = (wanted.get("spec") or {}).get("replicas", 0)
        if replicas < 0:
            cause = status.Cause(
                "FieldValueInvalid", f"Invalid value: {replicas}: must be greater than or equal to 0", "spec.replicas"
            )
            raise status.invalid(_SCALE, name, [cause])
        version = wanted.get("metadata", {}).get("resourceVersion")
        if version and version != parent["metadata"]["resourceVersion"]:
            raise status.conflict(kind, name, status.MODIFIED)
        result = copy(parent)
        result["spec"]["replicas"] = replicas
        result["metadata"]["managedFields"] = managed_fields.to_parent(kind, present, ownership.given(wanted) or [])
        return result

    return scale_of(registry.update(kind, namespace, name, apply, options, applied=True))


def _decoded_scale(data: Object, options: WriteOptions) -> Object:
    decoded = schema.decode(kinds.SCALE, data)
    options.check_fields(kinds.SCALE, decoded.strict_errors)
    return decoded.object


def bind(registry: Registry, _: Authenticator, namespace: str, name: str, binding: Object) -> Object:
    """POST pods/NAME/binding: give a pod its node."""
    target = (binding.get("target") or {}).get("name", "")

    def apply(pod: Object) -> Object:
        if pod["spec"].get("nodeName"):
            why = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
            raise status.conflict(kinds.POD, name, why)
        result = copy(pod)
        result["spec"]["nodeName"] = target
        now = format_time(registry.clock())
        condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
        others = [c for c in result["status"].get("conditions") or () if c["type"] != "PodScheduled"]
        result["status"]["conditions"] = [*others, condition]
        return result

    old = registry.get(kinds.POD, namespace, name)
    new = apply(old)
    new["metadata"]["generation"] = old["metadata"].get("generation", 0)
    registry.write(kinds.POD, new, old, WriteOptions())
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


CREATORS: dict[str, Creator] = {"binding": bind, "eviction": eviction.evict, "token": tokens.issue}
_SCALE = Kind("autoscaling", "v1", "Scale", "scales", "scale")
