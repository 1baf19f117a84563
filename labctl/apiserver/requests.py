"""From a URL to what is asked: the path grammar and the query options of the Kubernetes API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from labctl.api import kinds, selectors, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.apiserver import option_errors
from labctl.apiserver.listing import ListOptions
from labctl.apiserver.options import DeleteOptions, FieldValidation, Propagation, User, WriteOptions
from labctl.apiserver.watching import WatchOptions

_INT64_DIGITS = 20  # with a sign; leading zeros beyond that are nobody's wish


@dataclass(frozen=True, slots=True)
class ResourcePath:
    """A parsed path: `rest` is what follows a proxy subresource."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""


def parse_path(path: str) -> ResourcePath | None:
    """The resource a path names, or None when no such resource is served."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, parts = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, parts = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in ("status", "finalize"):
        namespace, parts = parts[1], parts[2:]
    kind = kinds.by_gvr(group, version, parts[0])
    name = parts[1] if len(parts) > 1 else ""
    if kind is None or (namespace and not kind.namespaced) or (name and not namespace and kind.namespaced):
        return None
    subresource = parts[2] if len(parts) > 2 else ""
    if subresource and subresource not in kind.subresources:
        return None
    if len(parts) > 3 and subresource != "proxy":
        return None
    return ResourcePath(kind, namespace, name, subresource, "/".join(parts[3:]))


def list_options(query: Mapping[str, str]) -> ListOptions:
    """Selectors and paging. Raises ApiError 400, 422."""
    option_errors.check_list(query, watch=flag(query, "watch"))
    number(query, "timeoutSeconds")
    return ListOptions(
        selectors.parse_label_selector(query.get("labelSelector", "")),
        selectors.parse_field_selector(query.get("fieldSelector", "")),
        limit=max(number(query, "limit") or 0, 0),
        continue_token=query.get("continue", ""),
        resource_version=query.get("resourceVersion", ""),
        resource_version_match=query.get("resourceVersionMatch", ""),
    )


def watch_options(query: Mapping[str, str]) -> WatchOptions:
    """Options of a watch. Raises ApiError 400, 422."""
    timeout_s = number(query, "timeoutSeconds")
    initial = flag(query, "sendInitialEvents") if "sendInitialEvents" in query else None
    return WatchOptions(
        list_options(query),
        bookmarks=flag(query, "allowWatchBookmarks"),
        send_initial_events=initial,
        timeout_s=timeout_s,
    )


def write_options(
    query: Mapping[str, str], user: User, user_agent: str, *, verb: str = "create", is_apply: bool = False
) -> WriteOptions:
    """Options of create, update and patch. Raises ApiError 400, 422."""
    option_errors.check_write(query, verb, is_apply=is_apply)
    return WriteOptions(
        dry_run=query.get("dryRun") == "All",
        field_manager=query.get("fieldManager") or _manager_of(user_agent),
        field_validation=cast(FieldValidation, query.get("fieldValidation") or "Warn"),
        force=flag(query, "force"),
        user=user,
    )


def _manager_of(user_agent: str) -> str:
    """Who a client is that does not say so: the first word of its User-Agent, cut at 128 bytes."""
    name = "".join(c for c in user_agent.partition("/")[0] if c.isprintable())
    return name.encode()[: option_errors.MAX_MANAGER_BYTES].decode(errors="ignore") or "unknown"


def delete_options(query: Mapping[str, str], body: Object) -> DeleteOptions:
    """Options of a delete: the body's, or without a body the query's. Raises ApiError 400, 422."""
    options = body or _delete_query(query)
    option_errors.check_delete(options)
    propagation: Any = options.get("propagationPolicy")
    if propagation is None and options.get("orphanDependents") is not None:
        propagation = "Orphan" if options["orphanDependents"] else "Background"
    wanted = options.get("preconditions") or {}
    return DeleteOptions(
        options.get("gracePeriodSeconds"),
        cast(Propagation | None, propagation),
        wanted.get("uid") or "",
        wanted.get("resourceVersion") or "",
        dry_run=bool(options.get("dryRun")),
    )


def _delete_query(query: Mapping[str, str]) -> Object:
    options: Object = {"gracePeriodSeconds": number(query, "gracePeriodSeconds")}
    if "orphanDependents" in query:
        options["orphanDependents"] = flag(query, "orphanDependents")
    if query.get("propagationPolicy"):
        options["propagationPolicy"] = query["propagationPolicy"]
    if query.get("dryRun"):
        options["dryRun"] = [query["dryRun"]]
    return options


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean of the query: whatever is present and not false or 0, as runtime.Convert_Slice_string_To_bool has it."""
    return name in query and query[name].lower() not in ("false", "0")


def number(query: Mapping[str, str], name: str) -> int | None:
    """An integer of the query. Raises ApiError 400."""
    text = query.get(name)
    if not text:
        return None
    if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
        raise status.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if len(text) > _INT64_DIGITS or abs(int(text)) >= 1 << 63:
        raise status.bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


Form = Literal["object", "table", "metadata"]


@dataclass(frozen=True, slots=True)
class Accept:
    """What form of answer a client takes; `version` is that of meta.k8s.io for Tables."""

    form: Form = "object"
    yaml: bool = False
    version: str = "v1"


_FORM_VERSIONS = ("v1", "v1beta1")
_MEDIA_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")


def parse_accept(header: str, *, has_forms: bool = True) -> Accept:
    """The form a client likes best of those we have; `has_forms` is false for what no Table can show.

    Protobuf is answered with JSON, which every client that speaks it reads. Raises ApiError 406.
    """
    if not header:
        return Accept()
    for media, values in sorted(_clauses(header), key=_dislike):
        if media not in (*_MEDIA_TYPES, "application/*", "*/*", ""):
            continue
        asked, version = values.get("as", ""), values.get("v", "")
        is_yaml = media == "application/yaml"
        if not asked:
            return Accept(yaml=is_yaml)
        if not has_forms or version not in _FORM_VERSIONS:
            continue
        if asked == "Table":
            return Accept("table", is_yaml, version)
        if asked in ("PartialObjectMetadata", "PartialObjectMetadataList"):
            return Accept("metadata", is_yaml)
    text = f"only the following media types are accepted: {', '.join(_MEDIA_TYPES)}"
    raise status.ApiError(406, "NotAcceptable", text, {})


def _clauses(header: str) -> list[tuple[str, dict[str, str]]]:
    clauses = []
    for part in header.split(","):
        media, *parameters = (p.strip() for p in part.split(";"))
        clauses.append((media, dict(p.partition("=")[::2] for p in parameters)))
    return clauses


def _dislike(clause: tuple[str, dict[str, str]]) -> float:
    try:
        return -float(clause[1].get("q", "1"))
    except ValueError:
        return 0.0
