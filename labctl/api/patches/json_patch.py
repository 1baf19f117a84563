"""JSON patch (RFC 6902) as Kubernetes' library applies it (gopkg.in/evanphx/json-patch.v4).

It is laxer than the RFC, and clients rely on that: `replace` of a missing field adds it, `copy` of one adds null, negative
indices count from the end. Whatever does not fit the object is one answer, 422, without saying why.
"""

from __future__ import annotations

from typing import Any

from labctl.api import status
from labctl.api.objects import Object, copy
from labctl.api.schema import json_kind

_MAX_OPERATIONS = 10_000  # k8s.io/apiserver: maxJSONPatchOperations
_GO_TYPE = "handlers.jsonPatchOp"


class _DoesNotFit(Exception):
    """An operation cannot be applied."""


def json_patch(obj: Object, operations: Any) -> Object:
    """Apply the operations in order. Raises ApiError 400 for what is no patch, 422 for what does not fit the object."""
    document = copy(obj)
    for operation in _checked(operations):
        try:
            _apply(document, operation)
        except (_DoesNotFit, KeyError, IndexError, ValueError) as error:
            message = "the server rejected our request due to an error in our request"
            raise status.ApiError(422, "Invalid", message, {}) from error
    return document


def _checked(operations: Any) -> list[Object]:
    if operations is None:
        return []
    if not isinstance(operations, list):
        raise _undecodable(operations, f"[]{_GO_TYPE}")
    for operation in operations:
        if not isinstance(operation, dict):
            raise _undecodable(operation, _GO_TYPE)
    if len(operations) > _MAX_OPERATIONS:
        text = f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(operations)}"
        raise status.ApiError(413, "RequestEntityTooLarge", text)
    return operations


def _undecodable(value: Any, go_type: str) -> status.ApiError:
    text = f"json: cannot unmarshal {json_kind(value)} into Go value of type {go_type}"
    return status.bad_request(f"error decoding patch: {text}")


def _apply(document: Object, operation: Object) -> None:
    target, key = _find(document, operation.get("path"))
    match operation.get("op"):
        case "add":
            _add(target, key, operation.get("value"))
        case "remove":
            _remove(target, key)
        case "replace":
            _get(target, key)
            _set(target, key, operation.get("value"))
        case "move":
            source, name = _find(document, operation.get("from"))
            value = _get(source, name)
            _remove(source, name)
            _add(*_find(document, operation.get("path")), value)
        case "copy":
            value = _get(*_find(document, operation.get("from")))
            _add(target, key, copy(value) if isinstance(value, dict) else value)
        case "test":
            if not _equal(_get(target, key), operation.get("value")):
                raise _DoesNotFit("test failed")
        case other:
            raise _DoesNotFit(f"unknown operation {other}")


def _find(document: Any, path: Any) -> tuple[Any, str]:
    """The object or list that a path's last part is a key of, and that key."""
    if not isinstance(path, str) or "/" not in path:
        raise _DoesNotFit(f"no path: {path}")
    *parents, key = (part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])
    for part in parents:
        document = _get(document, part)
        if not isinstance(document, (dict, list)):
            raise _DoesNotFit(f"nothing at {part}")
    return document, key


def _get(target: Any, key: str) -> Any:
    return target[_index(target, key, len(target) - 1)] if isinstance(target, list) else target.get(key)


def _set(target: Any, key: str, value: Any) -> None:
    target[_index(target, key, len(target) - 1) if isinstance(target, list) else key] = value


def _add(target: Any, key: str, value: Any) -> None:
    if not isinstance(target, list):
        target[key] = value
    else:
        target.insert(len(target) if key == "-" else _index(target, key, len(target)), value)


def _remove(target: Any, key: str) -> None:
    del target[_index(target, key, len(target) - 1) if isinstance(target, list) else key]


def _index(target: list[Any], key: str, last: int) -> int:
    index = int(key)
    if not -len(target) <= index <= last:
        raise _DoesNotFit(f"no element {key}")
    return index if index >= 0 else index + len(target)


def _equal(one: Any, other: Any) -> bool:
    # in Python True equals 1 and is a number
    return bool(one == other) and json_kind(one) == json_kind(other)
