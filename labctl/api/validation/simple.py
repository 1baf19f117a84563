"""ConfigMaps and Secrets: keys, size, immutability."""

from __future__ import annotations

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, forbidden, invalid

_MAX_BYTES = 1024 * 1024


def validate_data(obj: Object) -> list[Cause]:
    """The data of a ConfigMap or Secret."""
    causes: list[Cause] = []
    size = 0
    for field in ("data", "binaryData"):
        for key, value in (obj.get(field) or {}).items():
            causes += all_invalid(f"{field}[{key}]", key, names.config_map_key(key))
            size += len(value.encode())
            if field == "binaryData" and key in (obj.get("data") or {}):
                causes.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
    if size > _MAX_BYTES:
        causes.append(Cause("FieldValueTooLong", f"Too long: may not be more than {_MAX_BYTES} bytes", ""))
    return causes


def validate_data_update(new: Object, old: Object) -> list[Cause]:
    """What an immutable object may not change, and the type of a Secret."""
    causes: list[Cause] = []
    if old.get("kind") == "Secret" and new.get("type") != old.get("type"):
        causes.append(invalid("type", new.get("type"), "field is immutable"))
    if old.get("immutable"):
        if not new.get("immutable"):
            causes.append(forbidden("immutable", "field is immutable when `immutable` is set"))
        causes += [
            forbidden(field, "field is immutable when `immutable` is set")
            for field in ("data", "binaryData")
            if new.get(field) != old.get(field)
        ]
    return causes
