"""JSON merge patch (RFC 7386), which knows no schema."""

from __future__ import annotations

from typing import Any

from labctl.api import schema, status
from labctl.api.objects import Object, copy


def merge_patch(obj: Object, patch: Any) -> Object:
    """Merge: null deletes, objects merge, all else replaces. Raises ApiError 400."""
    if patch is None:
        raise status.bad_request("Invalid JSON Patch")
    if not isinstance(patch, dict):
        text = f"json: cannot unmarshal {schema.json_kind(patch)} into Go value of type map[string]interface {{}}"
        raise status.bad_request(f"error decoding patch: {text}")
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
