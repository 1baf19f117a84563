"""Strategic merge patch: a merge patch that knows which lists merge, and by which key.

Semantics of apimachinery's strategicpatch: the directives `$patch` (replace, delete, merge), `$retainKeys`,
`$setElementOrder/LIST` and `$deleteFromPrimitiveList/LIST`; fields without facts merge as in a JSON merge patch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from labctl.api import schema, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object, copy
from labctl.api.schema import Field, StructSchema, TypeRef

PATCH = "$patch"
RETAIN_KEYS = "$retainKeys"
SET_ELEMENT_ORDER = "$setElementOrder/"
DELETE_FROM_PRIMITIVE_LIST = "$deleteFromPrimitiveList/"


def strategic_merge_patch(kind: Kind, obj: Object, patch: Any) -> Object:
    """The object with the patch applied. Raises ApiError 400 for directives that make no sense."""
    if patch is None:
        return obj
    if not isinstance(patch, dict):
        text = f"json: cannot unmarshal {schema.json_kind(patch)} into Go value of type map[string]interface {{}}"
        raise status.bad_request(text)
    merged: Object = _map(schema.lookup(kind), obj, patch)
    return copy(merged)


def field_of(struct: StructSchema | None, name: str) -> Field | None:
    """The facts about a field, if there are any."""
    return struct.field(name) if struct is not None else None


def struct_in(type_: TypeRef | None) -> StructSchema | None:
    """The struct a type is, if it is one."""
    return type_.struct() if type_ is not None and type_.shape == "struct" else None


def element_of(field: Field | None) -> TypeRef | None:
    """The type of a list's elements or a map's values."""
    return field.type.element if field is not None else None


def _map(struct: StructSchema | None, target: Object, patch: Object) -> Object:
    directive = patch.get(PATCH)
    if directive == "replace":
        return {k: v for k, v in patch.items() if k != PATCH}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise status.bad_request(f"unknown patch type: {directive} in map: {go_text(patch)}")
    result = _retain(target, patch)
    orders = {k[len(SET_ELEMENT_ORDER) :]: v for k, v in patch.items() if k.startswith(SET_ELEMENT_ORDER)}
    removals = {
        k[len(DELETE_FROM_PRIMITIVE_LIST) :]: v for k, v in patch.items() if k.startswith(DELETE_FROM_PRIMITIVE_LIST)
    }
    if wrong := [listed for listed in orders.values() if not isinstance(listed, list)]:
        raise _no_list(wrong[0])
    if any(not isinstance(listed, list) for listed in removals.values()):
        raise status.bad_request("invalid patch format of primitive list")
    names = [k for k in patch if not k.startswith("$")]
    for name in [*names, *(n for n in [*orders, *removals] if n not in patch)]:
        field = field_of(struct, name)
        if name in patch and patch[name] is None:
            result.pop(name, None)
            continue
        if name in patch and name not in orders and not _alike(result.get(name), patch[name]):
            value = _added(patch[name])
        else:
            value = _value(field, result.get(name), patch.get(name), order=orders.get(name), removal=removals.get(name))
        if value is not None:
            result[name] = value
    return result


def _alike(present: Any, patch: Any) -> bool:
    return any(isinstance(present, kind) and isinstance(patch, kind) for kind in (dict, list))


def _added(patch: Any) -> Any:
    """What a patch brings where there is nothing like it: no merge key is asked for; None where it only directs."""
    if isinstance(patch, dict):
        inner = {k: _added(v) for k, v in patch.items() if v is not None and not k.startswith("$")}
        return None if PATCH in patch else {k: v for k, v in inner.items() if v is not None}
    if isinstance(patch, list):
        return [added for item in patch if (added := _added(item)) is not None]
    return patch


def _retain(target: Object, patch: Object) -> Object:
    keys = patch.get(RETAIN_KEYS)
    if keys is None:
        return dict(target)
    if not isinstance(keys, list):
        raise status.bad_request("invalid patch format of retainKeys")
    missing = [k for k in patch if not k.startswith("$") and k not in keys]
    if missing:
        raise status.bad_request("the keys in the patch are not a subset of the $retainKeys list")
    return {k: v for k, v in target.items() if k in keys}


def _value(field: Field | None, present: Any, patch: Any, *, order: Any, removal: Any) -> Any:
    if isinstance(patch, dict):
        target = present if isinstance(present, dict) else {}
        return _map(_inner_struct(field), target, patch)
    if patch is not None and not isinstance(patch, list):
        return patch
    if field is None or field.type.shape != "list" or "merge" not in field.patch_strategy:
        return patch if patch is not None else present
    if field.patch_merge_key:
        return _map_list(field, present or [], patch or [], order)
    return _primitive_list(present or [], patch or [], order=order, removal=removal or [])


def _inner_struct(field: Field | None) -> StructSchema | None:
    return struct_in(field.type) if field is not None else None


def _map_list(field: Field, present: list[Any], patch: list[Any], order: list[Any] | None) -> list[Any]:
    key = field.patch_merge_key
    if any(isinstance(p, dict) and p.get(PATCH) == "replace" for p in patch):
        return [p for p in patch if PATCH not in p]
    struct = struct_in(element_of(field))
    wanted = _wanted(key, [p for p in patch if isinstance(p, dict) and p.get(PATCH) != "delete"], order)
    if any(not isinstance(p, dict) for p in patch):
        raise status.bad_request(f"list element types are not identical: [{go_text(present)} {go_text(patch)}]")
    result = list(present)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise status.bad_request(f"map: {go_text(item)} does not contain declared merge key: {key}")
        index = _find(result, key, item[key])
        if item.get(PATCH) == "delete":
            result = [r for r in result if r.get(key) != item[key]]
        elif index is None:
            result.append(_map(struct, {}, item))
        else:
            result[index] = _map(struct, result[index], item)
    return _ordered(result, [r.get(key) for r in result], [p.get(key) for p in present], wanted)


def _primitive_list(present: list[Any], patch: list[Any], *, order: list[Any] | None, removal: list[Any]) -> list[Any]:
    result = [p for p in present if p not in removal]
    result += [p for p in dict.fromkeys(patch) if p not in result]
    if not isinstance(order, list | None):
        raise _no_list(order)
    return _ordered(result, result, present, patch if order is None else order)


def _wanted(key: str, patch: list[Any], order: Any) -> list[Any]:
    """Merge keys in the order the client wants: $setElementOrder's, or that of the patch itself."""
    listed = patch if order is None else order
    if not isinstance(listed, list):
        raise _no_list(listed)
    for index, item in enumerate(listed):
        if not isinstance(item, dict):
            raise status.bad_request(f"value for key {index} is not a map")
    keys = [item.get(key) for item in listed]
    positions = [keys.index(p[key]) if p.get(key) in keys else -1 for p in patch if key in p]
    if -1 in positions or positions != sorted(positions):
        shown = (
            f"The order in patch list:\n{go_text(patch)}\n doesn't match $setElementOrder list:\n{go_text(listed)}\n"
        )
        raise status.bad_request(shown)
    return keys


def _no_list(value: Any) -> status.ApiError:
    return status.bad_request(f"expected a []interface {{}}, but received a {go_type(value)}")


def go_type(value: Any) -> str:
    """What Go calls the type of a decoded JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64"
    names = {float: "float64", str: "string", list: "slice", dict: "map"}
    return names.get(type(value), "<nil>")


def go_text(value: Any) -> str:
    """A JSON value as Go's %v prints it."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{go_text(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(go_text(v) for v in value) + "]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _find(items: Iterable[Any], key: str, value: Any) -> int | None:
    return next((i for i, item in enumerate(items) if item.get(key) == value), None)


def _ordered(items: list[Any], keys: list[Any], before: list[Any], wanted: list[Any]) -> list[Any]:
    """Items in the wanted order; what only the server has goes before an item that it preceded, else to the end."""
    by_key = list(zip(keys, items, strict=True))
    listed = sorted((pair for pair in by_key if pair[0] in wanted), key=lambda pair: wanted.index(pair[0]))
    others = [pair for pair in by_key if pair[0] not in wanted]
    result: list[Any] = []
    for key, item in listed:
        while others and key in before and _position(before, others[0][0]) < before.index(key):
            result.append(others.pop(0)[1])
        result.append(item)
    return result + [item for _, item in others]


def _position(keys: list[Any], key: Any) -> int:
    return keys.index(key) if key in keys else len(keys)
