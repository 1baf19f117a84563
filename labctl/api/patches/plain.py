"""The two patches that know no schema: JSON patch (RFC 6902) and JSON merge patch (RFC 7386)."""

from __future__ import annotations

from typing import Any

from labctl.api import status
from labctl.api.objects import Object, copy

_MAX_OPERATIONS = 10_000  # k8s.io/apiserver: maxJSONPatchOperations


def json_patch(obj: Object, operations: Any) -> Object:
    """Apply the operations in order. Raises ApiError 400 for what is no patch, 422 for what does not fit the object."""
    import jsonpatch  # imported with the first JSON patch: most processes never see one

    if not isinstance(operations, list) or not all(isinstance(o, dict) for o in operations):
        raise status.bad_request("json patch must be a list of operations")
    if len(operations) > _MAX_OPERATIONS:
        raise status.ApiError(
            413,
            "RequestEntityTooLarge",
            f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(operations)}",
        )
    try:
        result = jsonpatch.JsonPatch(operations).apply(copy(obj))
    except jsonpatch.InvalidJsonPatch as error:
        raise status.bad_request(str(error)) from error
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, ValueError) as error:
        message = f"the server rejected our request due to an error in our request: {error}"
        raise status.ApiError(422, "Invalid", message) from error
    if not isinstance(result, dict):
        raise status.bad_request("a patch must leave an object")
    return result


def merge_patch(obj: Object, patch: Any) -> Object:
    """Merge: null deletes, objects merge, all else replaces. Raises ApiError 400."""
    if not isinstance(patch, dict):
        raise status.bad_request("a merge patch must be an object")
    merged: Object = _merge(obj, patch)
    return copy(merged)


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merge(result.get(name), value)
    return result
