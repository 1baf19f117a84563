"""Paths -> operations. Clients look here for the kind behind a resource and for the parameters a verb takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labctl.api import kinds
from labctl.api.discovery import subresource
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.schema import type_name

Ref = Callable[[str], Object]

_TYPES = {"boolean": ("allowWatchBookmarks", "sendInitialEvents", "watch", "force", "orphanDependents")}
_INTEGERS = ("limit", "timeoutSeconds", "gracePeriodSeconds")
_LIST = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
)
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_DELETE = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
PATCH_TYPES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_MEDIA_TYPES = ("application/json", "application/yaml")

# verb -> HTTP method, x-kubernetes-action, query parameters
_COLLECTION: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "list": ("get", "list", _LIST),
    "create": ("post", "post", _WRITE),
    "deletecollection": ("delete", "deletecollection", (*_LIST[1:7], *_DELETE)),
}
_ITEM: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "get": ("get", "get", ()),
    "update": ("put", "put", _WRITE),
    "patch": ("patch", "patch", (*_WRITE, "force")),
    "delete": ("delete", "delete", _DELETE),
}
_SUBRESOURCE = {**_ITEM, "create": ("post", "post", _WRITE)}


def paths(served: list[Kind], ref: Ref) -> Object:
    """The paths of one group and version."""
    found: Object = {}
    for kind in served:
        found |= _kind_paths(kind, ref)
    return dict(sorted(found.items()))


def _kind_paths(kind: Kind, ref: Ref) -> Object:
    base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    found: Object = {}
    if kind.namespaced:
        if "list" in kind.verbs:
            found[f"{base}/{kind.resource}"] = {"get": _operation(kind, "list", _LIST, ref)}
        base = f"{base}/namespaces/{{namespace}}"
    own = [_parameter("namespace", "path")] if kind.namespaced else []
    collection = f"{base}/{kind.resource}"
    if operations := _operations(kind, _COLLECTION, ref):
        found[collection] = operations | ({"parameters": own} if own else {})
    named = [_parameter("name", "path"), *own]
    if operations := _operations(kind, _ITEM, ref):
        found[f"{collection}/{{name}}"] = operations | {"parameters": named}
    for name in kind.subresources:
        facts = subresource(kind, name)
        body = kinds.by_gvk(facts.group, facts.version or "v1", facts.kind) if facts.kind else kind
        if body is None:
            continue  # a stream or a proxy: no schema
        operations = {
            method: _operation(body, action, query, ref)
            for verb, (method, action, query) in _SUBRESOURCE.items()
            if verb in facts.verbs
        }
        found[f"{collection}/{{name}}/{name}"] = operations | {"parameters": named}
    return found


def _operations(kind: Kind, verbs: dict[str, tuple[str, str, tuple[str, ...]]], ref: Ref) -> Object:
    return {
        method: _operation(kind, action, query, ref)
        for verb, (method, action, query) in verbs.items()
        if verb in kind.verbs
    }


def _operation(kind: Kind, action: str, query: tuple[str, ...], ref: Ref) -> Object:
    answer = "meta/v1.Status" if action.startswith("delete") else type_name(kind) + ("List" if action == "list" else "")
    operation: Object = {
        "parameters": [_parameter(name, "query") for name in query],
        "responses": {"200": {"description": "OK", "content": _content(_MEDIA_TYPES, ref(answer))}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    }
    if action in ("post", "put"):
        operation["requestBody"] = {"required": True, "content": _content(("*/*",), ref(type_name(kind)))}
    if action == "patch":
        operation["requestBody"] = {"required": True, "content": _content(PATCH_TYPES, {"type": "object"})}
    if action.startswith("delete"):
        operation["requestBody"] = {"content": _content(("*/*",), ref("meta/v1.DeleteOptions"))}
    return operation


def _content(media_types: tuple[str, ...], schema: Object) -> Object:
    return {media_type: {"schema": schema} for media_type in media_types}


def _parameter(name: str, place: str) -> Object:
    kind = "boolean" if name in _TYPES["boolean"] else "integer" if name in _INTEGERS else "string"
    schema: dict[str, Any] = {"type": kind, "uniqueItems": True}
    parameter: Object = {"name": name, "in": place, "schema": schema}
    return parameter | {"required": True} if place == "path" else parameter
