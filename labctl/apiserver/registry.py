"""The verbs on objects: every write of a lab passes here, from HTTP and from the controllers alike.

A write is decode -> prepare -> admit -> default -> validate -> allocate -> store, without an await in between, so that
no other write can come in the middle and a patch never has to be retried.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from labctl.api import conversion, defaults, kinds, managed_fields, schema, status, validation, warnings
from labctl.api.kinds import Kind
from labctl.api.objects import Object, ObjectKey, copy, key_of
from labctl.api.times import format_time
from labctl.apiserver import admission, identity, ownership, priorities, strategies
from labctl.apiserver.options import WriteOptions
from labctl.apiserver.service_allocations import ServiceAllocations, Taken
from labctl.config import LabConfig
from labctl.store.errors import Conflict, WriteFailed
from labctl.store.store import Store

Change = Callable[[Object], Object]
"""From the present object (shared: not to be changed) to the wanted one (a new value)."""


_GIVEN_BY_SERVER = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
)


class Registry:
    """The objects of a lab behind Kubernetes' rules."""

    def __init__(self, store: Store, config: LabConfig, *, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.config = config
        self.clock = clock
        self.services = ServiceAllocations(
            {"IPv4": config.service_cidr, "IPv6": config.service_cidr6}, config.node_port_range
        )
        self.services.load(store.items(kinds.SERVICE.group_resource))

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """One object. Raises ApiError 404."""
        found = self.store.get(_resource(kind), ObjectKey(namespace, name))
        if found is None:
            raise status.not_found(kind, name)
        return found

    def exists(self, kind: Kind, namespace: str, name: str) -> bool:
        """Whether there is such an object."""
        return self.store.get(_resource(kind), ObjectKey(namespace, name)) is not None

    def create(
        self, kind: Kind, namespace: str, data: Object, options: WriteOptions, *, applied: bool = False
    ) -> Object:
        """Create an object. Raises ApiError 400, 403, 404, 409, 422.

        An `applied` object brings its managed fields; for others they are recorded.
        """
        sent = ownership.given(data)
        obj = self._decoded(kind, ownership.without_entries(data, sent if applied else None), options, applied=applied)
        self.place(kind, namespace, obj)
        identity.check_create(obj)
        for name in _GIVEN_BY_SERVER:
            obj["metadata"].pop(name, None)
        defaults.apply_defaults(kind, obj)  # before preparing: they belong to whoever creates the object
        now = format_time(self.clock())
        owners = sent if applied else ownership.recorded(kind, ownership.empty(kind), obj, sent, options, now=now)
        strategies.prepare_for_create(kind, obj, now=now)
        if kind.namespaced:
            admission.check_namespace(self.store, kind, namespace, obj["metadata"].get("name", ""))
        self._name(kind, obj)
        defaults.apply_defaults(kind, obj)
        if kind is kinds.POD:
            admission.admit_pod(self.store, obj)
        if kind is kinds.SERVICE:
            self.services.initialise(obj, None)
        _raise_invalid(kind, obj, validation.validate_create(kind, obj))
        if kind is kinds.POD:
            admission.check_pod(obj)
        if kind is kinds.PRIORITY_CLASS:
            priorities.check_class(self.store, obj)
        options.warnings += warnings.of_new(kind, obj)
        # Kubernetes allocates before it finds the name taken: a nodePort of one's own double is "already allocated".
        taken = self.services.allocate(obj, None) if kind is kinds.SERVICE else Taken()
        if self.store.get(_resource(kind), key_of(obj)) is not None:
            taken.give_back()
            raise status.already_exists(kind, obj["metadata"]["name"])
        obj["metadata"]["uid"] = str(uuid.uuid4())
        obj["metadata"]["creationTimestamp"] = now
        _set_owners(obj, owners)
        _forget_empty_lists(obj)
        _warn_inert(kind, options)
        return self.write(kind, conversion.to_storage(kind, obj), None, options, taken)

    def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Change,
        options: WriteOptions,
        *,
        subresource: str = "",
        applied: bool = False,
    ) -> Object:
        """Change an object by a function; without a difference nothing is written. ApiError 400, 404, 409, 422.

        An `applied` object brings its managed fields; for others they are recorded.
        """
        stored = self.get(kind, namespace, name)
        old = conversion.from_storage(kind, stored)
        wanted = change(old)
        sent = ownership.given(wanted)
        known = sent if applied else ownership.given(old)
        new = self._decoded(kind, ownership.without_entries(wanted, known), options, applied=applied)
        self.place(kind, namespace, new)
        identity.check_update(kind, new, old)
        if not subresource:
            defaults.apply_defaults(kind, new)  # before preparing: what is kept depends on the type
        owners = sent
        if not applied:
            now = format_time(self.clock())
            owners = ownership.recorded(kind, old, new, sent, options, now=now, subresource=subresource)
        strategies.PREPARE[subresource](kind, new, old)
        defaults.apply_defaults(kind, new)
        if kind is kinds.SERVICE and not subresource:
            self.services.initialise(new, old)
        if kind is kinds.POD and not subresource:
            admission.admit_pod_update(new, old)
        _raise_invalid(kind, new, validation.validate_update(kind, new, old, subresource))
        if kind is kinds.PRIORITY_CLASS:
            priorities.check_class(self.store, new)
        if not subresource:
            options.warnings += warnings.of_changed(kind, new, old)
        taken = self.services.allocate(new, old) if kind is kinds.SERVICE and not subresource else Taken()
        _set_owners(new, owners)
        _forget_empty_lists(new)
        if _same(new, old):
            taken.give_back()
            return stored
        _warn_inert(kind, options)
        return self.write(kind, conversion.to_storage(kind, new), stored, options, taken)

    def apply(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        configuration: object,
        options: WriteOptions,
        *,
        subresource: str = "",
    ) -> tuple[Object, bool]:
        """Server-side apply; also whether it created the object. Raises ApiError 400, 403, 404, 409, 422."""
        now = format_time(self.clock())
        if subresource or self.exists(kind, namespace, name):

            def merged(live: Object) -> Object:
                return ownership.applied(kind, live, configuration, options, now=now, subresource=subresource)

            return self.update(kind, namespace, name, merged, options, subresource=subresource, applied=True), False
        wanted = ownership.applied(kind, ownership.empty(kind), configuration, options, now=now)
        _check_new_name(kind, wanted, name)
        return self.create(kind, namespace, wanted, options, applied=True), True

    def remove(self, kind: Kind, namespace: str, name: str, *, dry_run: bool = False) -> Object:
        """Take an object out of the store, whatever it holds on to."""
        found = self.get(kind, namespace, name)
        if dry_run:
            return found
        try:
            last = self.store.delete(_resource(kind), ObjectKey(namespace, name))
        except WriteFailed as error:
            raise status.internal(str(error)) from error
        if kind is kinds.SERVICE:
            self.services.forget(found, None)
        return last

    def write(
        self, kind: Kind, new: Object, old: Object | None, options: WriteOptions, taken: Taken | None = None
    ) -> Object:
        """Store an object that is ready to be stored; completes its deletion when nothing holds it any more."""
        taken = taken or Taken()
        if options.dry_run:
            taken.give_back()
            new["metadata"].setdefault("resourceVersion", "")
            if not new["metadata"]["resourceVersion"]:
                del new["metadata"]["resourceVersion"]
            return new
        if old is not None and _is_over(kind, new):
            return self._finish_deletion(kind, new)
        try:
            written = self.put(kind, new)
        except status.ApiError:
            taken.give_back()
            raise
        if kind is kinds.SERVICE and old is not None:
            self.services.forget(old, new)
        return written

    def put(self, kind: Kind, obj: Object) -> Object:
        """Store an object as it is. Raises ApiError 500."""
        try:
            return self.store.put(_resource(kind), obj)
        except (Conflict, WriteFailed) as error:
            raise status.internal(str(error)) from error

    def _finish_deletion(self, kind: Kind, new: Object) -> Object:
        """The last finalizer of a deleted object is gone: so is the object."""
        key = key_of(new)
        self.remove(kind, key.namespace, key.name)
        return new

    def _decoded(self, kind: Kind, data: Object, options: WriteOptions, *, applied: bool) -> Object:
        decoded = ownership.decoded(kind, data) if applied else schema.decode(kind, data)
        options.check_fields(kind, decoded.strict_errors)
        identity.merge_owners(decoded.object.setdefault("metadata", {}), options.warnings)
        return decoded.object

    def place(self, kind: Kind, namespace: str, obj: Object) -> None:
        """Set the namespace of the request, and refuse another one in the object. Raises ApiError 400."""
        metadata = obj["metadata"]
        if not kind.namespaced:
            metadata.pop("namespace", None)
        elif metadata.setdefault("namespace", namespace) != namespace:
            raise status.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )

    def _name(self, kind: Kind, obj: Object) -> None:
        metadata = obj["metadata"]
        if not metadata.get("name") and metadata.get("generateName"):
            base = metadata["generateName"][:58]
            metadata["name"] = base + admission.random_suffix()
            while self.store.get(_resource(kind), key_of(obj)) is not None:
                metadata["name"] = base + admission.random_suffix()


def _resource(kind: Kind) -> str:
    return kinds.storage_kind(kind).group_resource


def _raise_invalid(kind: Kind, obj: Object, causes: list[status.Cause]) -> None:
    if causes:
        kind = kinds.storage_kind(kind) if kind is kinds.EVENTS_EVENT else kind  # Kubernetes names it so
        raise status.invalid(kind, obj["metadata"].get("name") or obj["metadata"].get("generateName", ""), causes)


def _check_new_name(kind: Kind, obj: Object, name: str) -> None:
    """An object that an apply creates must be the one its URL names, and cannot have a uid yet."""
    if obj["metadata"].get("uid"):
        why = f"uid mismatch: the provided object specified uid {obj['metadata']['uid']}, and no existing object was found"
        raise status.conflict(kind, name, why)
    found = obj["metadata"].get("name")
    if not found:
        raise status.bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    if found != name:
        raise status.bad_request(f"the name of the object ({found}) does not match the name on the URL ({name})")


def _same(new: Object, old: Object) -> bool:
    """Whether an update changes nothing but bookkeeping: then it is not written, as in Kubernetes."""
    before, after = (ownership.given(obj) or [] for obj in (old, new))
    return _without_bookkeeping(new) == _without_bookkeeping(old) and managed_fields.same_but_times(before, after)


def _set_owners(obj: Object, entries: managed_fields.Entries | None) -> None:
    if entries:
        obj["metadata"]["managedFields"] = entries
    else:
        obj["metadata"].pop("managedFields", None)


def _without_bookkeeping(obj: Object) -> Object:
    metadata = {k: v for k, v in obj["metadata"].items() if k not in ("managedFields", "resourceVersion", "generation")}
    return {**obj, "metadata": metadata}


def _forget_empty_lists(value: object) -> None:
    """Empty lists that are written though empty become null, in place: Kubernetes' store, in protobuf, has no such."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if isinstance(item, dict):
            _forget_empty_lists(item)
        elif isinstance(item, list):
            if item:
                _forget_empty_lists(item)
            elif isinstance(value, dict):
                value[key] = None


def _is_over(kind: Kind, obj: Object) -> bool:
    """Whether a deleted object waits for nothing any more."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if kind is kinds.NAMESPACE:
        return not (obj.get("spec") or {}).get("finalizers")
    if strategies.is_graceful(kind):
        return bool(metadata.get("deletionGracePeriodSeconds") == 0)
    return True


def _warn_inert(kind: Kind, options: WriteOptions) -> None:
    if kind.inert and kind.inert not in options.warnings:
        options.warnings.append(kind.inert)


def as_new(obj: Object) -> Object:
    """A copy that may be changed."""
    return copy(obj)
