"""From a URL to what is asked: the path grammar and the query options of the Kubernetes API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from labctl.api import kinds, selectors, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.apiserver.listing import ListOptions
from labctl.apiserver.options import DeleteOptions, FieldValidation, Propagation, User, WriteOptions
from labctl.apiserver.watching import WatchOptions

_TRUE = ("true", "1", "t", "T", "TRUE", "True")
_MAX_MANAGER = 128


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
    if kind is None or (namespace and not kind.namespaced):
        return None
    name = parts[1] if len(parts) > 1 else ""
    subresource = parts[2] if len(parts) > 2 else ""
    if subresource and subresource not in kind.subresources:
        return None
    if len(parts) > 3 and subresource != "proxy":
        return None
    return ResourcePath(kind, namespace, name, subresource, "/".join(parts[3:]))


def list_options(query: Mapping[str, str]) -> ListOptions:
    """Selectors and paging. Raises ApiError 400."""
    return ListOptions(
        selectors.parse_label_selector(query.get("labelSelector", "")),
        selectors.parse_field_selector(query.get("fieldSelector", "")),
        limit=number(query, "limit") or 0,
        continue_token=query.get("continue", ""),
        resource_version=query.get("resourceVersion", ""),
        resource_version_match=query.get("resourceVersionMatch", ""),
    )


def watch_options(query: Mapping[str, str]) -> WatchOptions:
    """Options of a watch. Raises ApiError 400."""
    initial = flag(query, "sendInitialEvents") if "sendInitialEvents" in query else None
    return WatchOptions(
        list_options(query),
        bookmarks=flag(query, "allowWatchBookmarks"),
        send_initial_events=initial,
        timeout_s=number(query, "timeoutSeconds"),
    )


def write_options(
    query: Mapping[str, str], user: User, user_agent: str, *, verb: str = "create", is_apply: bool = False
) -> WriteOptions:
    """Options of create, update and patch. Raises ApiError 400, 422."""
    manager = query.get("fieldManager") or ""
    _check_field_manager(manager, verb)
    if is_apply and not manager:
        raise _refused(verb, "FieldValueRequired", "fieldManager", "Required value: is required for apply patch")
    if verb == "patch" and not is_apply and "force" in query:
        raise _refused(verb, "FieldValueForbidden", "force", "Forbidden: may not be specified for non-apply patch")
    validation = query.get("fieldValidation") or "Warn"
    if validation not in ("Ignore", "Warn", "Strict"):
        raise _unsupported("fieldValidation", validation, '"Ignore", "Strict", "Warn"')
    return WriteOptions(
        dry_run=dry_run(query),
        field_manager=manager or _manager_of(user_agent),
        field_validation=cast(FieldValidation, validation),
        force=flag(query, "force"),
        user=user,
    )


def _check_field_manager(manager: str, verb: str) -> None:
    if len(manager.encode()) > _MAX_MANAGER:
        text = f"Too long: may not be more than {_MAX_MANAGER} bytes"
        raise _refused(verb, "FieldValueTooLong", "fieldManager", text)
    for index, letter in enumerate(manager):
        if not letter.isprintable():
            text = f'Invalid value: "{manager}": invalid character U+{ord(letter):04X} (at position {index})'
            raise _refused(verb, "FieldValueInvalid", "fieldManager", text)


def _manager_of(user_agent: str) -> str:
    """Who a client is that does not say so: the first word of its User-Agent, cut at 128 bytes."""
    name = "".join(c for c in user_agent.partition("/")[0] if c.isprintable())
    return name.encode()[:_MAX_MANAGER].decode(errors="ignore") or "unknown"


def _refused(verb: str, reason: str, field: str, text: str) -> status.ApiError:
    """422 for the options of a write, which have a kind of their own."""
    name = f"{verb.capitalize()}Options"
    return status.invalid(Kind("meta.k8s.io", "v1", name, "", ""), "", [status.Cause(reason, text, field)])


def delete_options(query: Mapping[str, str], body: Object) -> DeleteOptions:
    """Options of a delete: the body's, or the query's where the body is silent. Raises ApiError 400, 422."""
    grace = body.get("gracePeriodSeconds")
    if grace is None:
        grace = number(query, "gracePeriodSeconds")
    propagation: Any = body.get("propagationPolicy") or query.get("propagationPolicy") or None
    if propagation is None and body.get("orphanDependents") is not None:
        propagation = "Orphan" if body["orphanDependents"] else "Background"
    if propagation not in (None, "Background", "Foreground", "Orphan"):
        raise _unsupported("propagationPolicy", propagation, '"Background", "Foreground", "Orphan", ""')
    wanted = body.get("preconditions") or {}
    return DeleteOptions(
        int(grace) if grace is not None else None,
        cast(Propagation | None, propagation),
        wanted.get("uid") or "",
        wanted.get("resourceVersion") or "",
        dry_run=bool(body.get("dryRun")) or dry_run(query),
    )


def dry_run(query: Mapping[str, str]) -> bool:
    """Whether nothing is to be stored. Raises ApiError 422 for a word that is not All."""
    value = query.get("dryRun", "")
    if value not in ("", "All"):
        raise _unsupported("dryRun", value, '"All"')
    return value == "All"


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean of the query: present and empty counts as true, as in Go's url.Values conversion."""
    return query.get(name) in ("", *_TRUE)


def number(query: Mapping[str, str], name: str) -> int | None:
    """An integer of the query. Raises ApiError 400."""
    text = query.get(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise status.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


Form = Literal["object", "table", "metadata"]


@dataclass(frozen=True, slots=True)
class Accept:
    """What form of answer a client takes."""

    form: Form = "object"
    yaml: bool = False


def parse_accept(header: str) -> Accept:
    """The first form in an Accept header that we have."""
    for part in header.split(","):
        media, *parameters = (p.strip() for p in part.split(";"))
        values = dict(p.partition("=")[::2] for p in parameters)
        if media == "application/yaml":
            return Accept(yaml=True)
        if media not in ("application/json", "*/*", "application/*", ""):
            continue
        asked = values.get("as", "")
        if asked == "Table" and values.get("v") == "v1":
            return Accept("table")
        if asked.startswith("PartialObjectMetadata"):
            return Accept("metadata")
        if not asked:
            return Accept()
    return Accept()


def _unsupported(name: str, value: str, supported: str) -> status.ApiError:
    return _invalid(name, f'Unsupported value: "{value}": supported values: {supported}')


def _invalid(name: str, text: str) -> status.ApiError:
    return status.ApiError(
        422, "Invalid", f' "" is invalid: {name}: {text}', {"causes": [{"message": text, "field": name}]}
    )
