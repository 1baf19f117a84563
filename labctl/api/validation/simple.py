"""ConfigMaps and Secrets: keys, size, immutability."""

from __future__ import annotations

import base64

import orjson

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, forbidden, invalid, required, too_long

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
        causes.append(too_long("data" if obj.get("kind") == "Secret" else "[]", _MAX_BYTES))  # how an empty path reads
    return causes


_ACCOUNT = "kubernetes.io/service-account.name"
_JSON = {"kubernetes.io/dockercfg": ".dockercfg", "kubernetes.io/dockerconfigjson": ".dockerconfigjson"}


def validate_secret(secret: Object) -> list[Cause]:
    """A Secret: its data, and what its type demands of it."""
    kind, data = secret.get("type", ""), secret.get("data") or {}
    causes: list[Cause] = []
    if kind == "kubernetes.io/service-account-token":
        if not (secret["metadata"].get("annotations") or {}).get(_ACCOUNT):
            causes.append(required(f"metadata.annotations[{_ACCOUNT}]"))
    elif kind in _JSON:
        causes += _json(f"data[{_JSON[kind]}]", data.get(_JSON[kind]))
    elif kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        causes += [required("data[username]"), required("data[password]")]
    elif kind == "kubernetes.io/ssh-auth" and not data.get("ssh-privatekey"):
        causes.append(required("data[ssh-privatekey]"))
    elif kind == "kubernetes.io/tls":
        causes += [required(f"data[{name}]") for name in ("tls.crt", "tls.key") if name not in data]
    return validate_data(secret) + causes


def _json(path: str, encoded: str | None) -> list[Cause]:
    if encoded is None:
        return [required(path)]
    try:
        value = orjson.loads(base64.b64decode(encoded))
    except ValueError:
        value = ""
    if isinstance(value, dict):
        return []
    return [invalid(path, "<secret contents redacted>", _complaint(base64.b64decode(encoded)))]


def _complaint(text: bytes) -> str:
    """What Go's JSON decoder says of a beginning that is no object."""
    rest = text.lstrip()
    if not rest:
        return "unexpected end of JSON input"
    return f"invalid character {chr(rest[0])!r} looking for beginning of value"


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
