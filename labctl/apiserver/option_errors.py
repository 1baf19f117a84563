"""What is wrong with the options of a request, in the words of apimachinery's ValidateListOptions and its siblings."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.api import status
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import forbidden, invalid, required, show

_KINDS = {verb: Kind("meta.k8s.io", "v1", f"{verb.title()}Options", "", "") for verb in ("create", "update", "patch")}
_DELETE = Kind("meta.k8s.io", "v1", "DeleteOptions", "", "")
_LIST = Kind("meta.k8s.io", "v1", "ListOptions", "", "")
MAX_MANAGER_BYTES = 128
_MATCH = "resourceVersionMatch"


def check_list(query: Mapping[str, str], *, watch: bool) -> None:
    """Options of a list or a watch. Raises ApiError 422."""
    _raise(_LIST, _of_watch(query) if watch else _of_list(query))


def check_write(query: Mapping[str, str], verb: str, *, is_apply: bool) -> None:
    """Options of a create, update or patch. Raises ApiError 422."""
    causes = []
    if is_apply and not query.get("fieldManager"):
        causes.append(required("fieldManager", "is required for apply patch"))
    if verb == "patch" and not is_apply and "force" in query:
        causes.append(forbidden("force", "may not be specified for non-apply patch"))
    causes += _manager(query.get("fieldManager", ""))
    causes += _dry_run([query["dryRun"]] if "dryRun" in query else [])
    validation = query.get("fieldValidation", "")
    if validation not in ("", "Ignore", "Strict", "Warn"):
        causes.append(_unsupported("fieldValidation", validation, '"", "Ignore", "Strict", "Warn"'))
    _raise(_KINDS.get(verb, _KINDS["update"]), causes)


def check_delete(options: Object) -> None:
    """DeleteOptions, from the body or the query. Raises ApiError 422."""
    causes = []
    propagation = options.get("propagationPolicy")
    if propagation is not None and options.get("orphanDependents") is not None:
        detail = "orphanDependents and deletionPropagation cannot be both set"
        causes.append(invalid("propagationPolicy", propagation, detail))
    if propagation not in (None, "Background", "Foreground", "Orphan"):
        values = '"Foreground", "Background", "Orphan", "nil"'
        causes.append(_unsupported("propagationPolicy", propagation, values))
    _raise(_DELETE, causes + _dry_run(options.get("dryRun") or []))


def _of_list(query: Mapping[str, str]) -> list[Cause]:
    causes = []
    match, version = query.get(_MATCH, ""), query.get("resourceVersion", "")
    if match:
        if not version:
            causes.append(forbidden(_MATCH, f"{_MATCH} is forbidden unless resourceVersion is provided"))
        if query.get("continue"):
            causes.append(forbidden(_MATCH, f"{_MATCH} is forbidden when continue is provided"))
        if match not in ("Exact", "NotOlderThan"):
            causes.append(_unsupported(_MATCH, match, '"Exact", "NotOlderThan", ""'))
        if match == "Exact" and version == "0":
            causes.append(forbidden(_MATCH, f'{_MATCH} "exact" is forbidden for resourceVersion "0"'))
    if "sendInitialEvents" in query:
        causes.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return causes


def _of_watch(query: Mapping[str, str]) -> list[Cause]:
    causes = []
    match, initial = query.get(_MATCH, ""), "sendInitialEvents" in query
    if initial and match != "NotOlderThan":
        causes.append(forbidden(_MATCH, f"sendInitialEvents requires setting {_MATCH} to NotOlderThan"))
    if match:
        if not initial:
            causes.append(forbidden(_MATCH, f"{_MATCH} is forbidden for watch unless sendInitialEvents is provided"))
        if match != "NotOlderThan":
            causes.append(_unsupported(_MATCH, match, '"NotOlderThan"'))
        if query.get("continue"):
            causes.append(forbidden(_MATCH, f"{_MATCH} is forbidden when continue is provided"))
    return causes


def _manager(manager: str) -> list[Cause]:
    if len(manager.encode()) > MAX_MANAGER_BYTES:
        text = f"Too long: may not be more than {MAX_MANAGER_BYTES} bytes"
        return [Cause("FieldValueTooLong", text, "fieldManager")]
    return [
        invalid("fieldManager", manager, f"invalid character U+{ord(c):04X} (at position {i})")
        for i, c in enumerate(manager)
        if not c.isprintable()
    ]


def _dry_run(values: list[str]) -> list[Cause]:
    if all(v == "All" for v in values):
        return []
    return [Cause("FieldValueNotSupported", f'Unsupported value: {show(values)}: supported values: "All"', "dryRun")]


def _unsupported(field: str, value: str, supported: str) -> Cause:
    text = f"Unsupported value: {show(value)}: supported values: {supported}"
    return Cause("FieldValueNotSupported", text, field)


def _raise(kind: Kind, causes: list[Cause]) -> None:
    if causes:
        raise status.invalid(kind, "", causes)
