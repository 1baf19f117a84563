"""Bodies in `application/vnd.kubernetes.protobuf`: kubectl create posts them, and does not retry with JSON.

A body is the four bytes `k8s\\0` and a runtime.Unknown message that carries apiVersion, kind and the object.
"""

from __future__ import annotations

from labctl.api import kinds, status
from labctl.api.objects import Object, split_api_version
from labctl.api.protobuf import wire
from labctl.api.protobuf.reader import read_struct
from labctl.api.protobuf.writer import write_struct
from labctl.api.schema import UnknownType, decode_type, struct, type_name

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"

_API_VERSION, _KIND = 1, 2  # TypeMeta
_TYPE_META, _RAW = 1, 2  # runtime.Unknown

# Kinds that exist in every group, because requests to any group carry them.
_EVERYWHERE = ("DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions", "Status", "List")


class UnsupportedKind(LookupError):
    """There is no protobuf form of this kind here; answer with JSON."""


def decode(body: bytes) -> Object:
    """Read a protobuf body into the object that its JSON form would decode to. Raises ApiError 400."""
    if not body.startswith(MAGIC):
        expected = " ".join(str(b) for b in MAGIC)
        raise status.bad_request(
            f"provided data does not appear to be a protobuf message, expected prefix [{expected}]"
        )
    try:
        return _decode(body[len(MAGIC) :])
    except wire.WireError as error:
        raise status.bad_request(str(error)) from None


def _decode(envelope: bytes) -> Object:
    parts = {number: value for number, _, value in wire.read(envelope)}
    meta = {number: value for number, _, value in wire.read(_bytes(parts.get(_TYPE_META, b"")))}
    api_version = _bytes(meta.get(_API_VERSION, b"")).decode(errors="replace")
    kind = _bytes(meta.get(_KIND, b"")).decode(errors="replace")
    try:
        name = _type_name(api_version, kind)
    except UnsupportedKind:
        raise status.bad_request(f'no kind "{kind}" is registered for version "{api_version}"') from None
    obj = decode_type(name, read_struct(name, _bytes(parts.get(_RAW, b"")))).object
    return {"kind": kind, "apiVersion": api_version} | obj


def encode(obj: Object) -> bytes:
    """The protobuf body of an object. Raises UnsupportedKind where only JSON will do."""
    api_version, kind = obj.get("apiVersion") or "", obj.get("kind") or ""
    raw = write_struct(_type_name(api_version, kind), obj)
    meta = wire.bytes_field(_API_VERSION, api_version.encode()) + wire.bytes_field(_KIND, kind.encode())
    # contentEncoding and contentType are written empty, as Kubernetes does
    return MAGIC + wire.bytes_field(_TYPE_META, meta) + wire.bytes_field(_RAW, raw) + b"\x1a\x00\x22\x00"


def _bytes(value: wire.Value) -> bytes:
    if isinstance(value, bytes):
        return value
    raise wire.WireError("proto: wrong wireType")


def _type_name(api_version: str, kind: str) -> str:
    group, version = split_api_version(api_version)
    served = kinds.by_gvk(group, version, kind)
    if served is not None:
        return type_name(served)
    if kind in _EVERYWHERE or api_version == "meta.k8s.io/v1":
        name = f"meta/v1.{kind}"
    else:
        listed = kinds.by_gvk(group, version, kind.removesuffix("List"))
        if listed is None or not kind.endswith("List"):
            raise UnsupportedKind(kind)
        name = f"{type_name(listed)}List"
    try:
        struct(name)
    except UnknownType:
        raise UnsupportedKind(kind) from None
    return name
