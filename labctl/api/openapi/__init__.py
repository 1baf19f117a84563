"""OpenAPI documents of what is served, generated from the facts about the types.

    openapi.v3_index()                    # /openapi/v3
    openapi.v3_document("apps/v1")        # /openapi/v3/apis/apps/v1
    openapi.v2_document()                 # /openapi/v2 in JSON; v2_protobuf() is what client-go asks for

kubectl validates manifests, explains fields and finds out whether a server knows dry run from these. A document is
made when it is first asked for and kept as bytes: the dicts behind it are a hundred times as large.
"""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from pathlib import Path

import orjson

from labctl.api import kinds
from labctl.api.discovery import KUBERNETES_VERSION
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.openapi import descriptions
from labctl.api.openapi.paths import paths
from labctl.api.openapi.schemas import Schemas, Version
from labctl.api.schema import openapi_name, type_name

__all__ = ["V2_PROTOBUF", "v2_document", "v2_protobuf", "v3_document", "v3_index"]

V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""Content type of `v2_protobuf`; clients ask for it with an `@` before `v1.0`."""

_ALWAYS = ("meta/v1.DeleteOptions", "meta/v1.Status")
_INFO = {"title": "Kubernetes", "version": KUBERNETES_VERSION}


def v3_index() -> Object:
    """The document at /openapi/v3: where each group and version is, with a hash that names its content."""
    found = {}
    for group, versions in kinds.group_versions().items():
        for version in versions:
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            found[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={_hash(path)}"}
    return {"paths": dict(sorted(found.items()))}


@cache
def _hash(path: str) -> str:
    """A name for a document that changes whenever its sources do; far cheaper than the document."""
    digest = hashlib.sha512(path.encode())
    for part in ("data/types.txt", "kinds.py", "openapi/schemas.py", "openapi/paths.py"):
        digest.update((Path(__file__).parent.parent / part).read_bytes())
    if (file := descriptions.path()) is not None:
        digest.update(file.read_bytes())
    return digest.hexdigest().upper()


@lru_cache(maxsize=8)
def v3_document(group_version: str) -> bytes:
    """The version 3 document of `v1`, `apps/v1`, … as JSON. Raises LookupError for one that is not served."""
    served = [k for k in kinds.KINDS if k.api_version == group_version]
    if not served:
        raise LookupError(group_version)
    schemas = _schemas(3, served)
    document = {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": paths(served, schemas.ref),
        "components": {"schemas": dict(sorted(schemas.found.items()))},
    }
    return orjson.dumps(document)


def _schemas(version: Version, served: list[Kind]) -> Schemas:
    """The schemas of kinds, their lists and the bodies of their subresources."""
    schemas = Schemas(version, descriptions.load())
    names = list(_ALWAYS)
    for kind in served:
        names.append(type_name(kind))
        if kind.is_stored:
            names.append(f"{type_name(kind)}List")
    bodies = [b for b in kinds.BODIES if b.api_version in {k.api_version for k in served} or _is_body_of(b, served)]
    schemas.add(names + [type_name(b) for b in bodies])
    for kind in [*served, *bodies]:
        _name_kind(schemas, kind, type_name(kind), kind.kind)
        if kind.is_stored and kind.resource:
            _name_kind(schemas, kind, f"{type_name(kind)}List", f"{kind.kind}List")
    for name in _ALWAYS:
        _name_kind(schemas, kinds.POD, name, name.rpartition(".")[2])
    return schemas


def _is_body_of(body: Kind, served: list[Kind]) -> bool:
    by_subresource = {"scale": kinds.SCALE, "eviction": kinds.EVICTION, "token": kinds.TOKEN_REQUEST}
    return any(by_subresource.get(name) is body for kind in served for name in kind.subresources)


def _name_kind(schemas: Schemas, kind: Kind, name: str, kind_name: str) -> None:
    group_version_kind = {"group": kind.group, "version": kind.version, "kind": kind_name}
    schemas.found[openapi_name(name)].setdefault("x-kubernetes-group-version-kind", []).append(group_version_kind)


def _v2() -> Object:
    served = list(kinds.KINDS)
    schemas = _schemas(2, served)
    found: Object = {}
    for group, versions in kinds.group_versions().items():
        for version in versions:
            found |= paths([k for k in served if (k.group, k.version) == (group, version)], schemas.ref)
    for item in found.values():
        for parameters in (
            item.get("parameters", []),
            *(o["parameters"] for m, o in item.items() if m != "parameters"),
        ):
            parameters[:] = [_v2_parameter(p) for p in parameters]
        for method, operation in item.items():
            if method != "parameters":
                operation["responses"] = {"200": {"description": "OK"}}
                body = operation.pop("requestBody", None)
                if body is not None:
                    schema = next(iter(body["content"].values()))["schema"]
                    operation["parameters"].append({"name": "body", "in": "body", "schema": schema})
    return {
        "swagger": "2.0",
        "info": _INFO,
        "paths": found,
        "definitions": dict(sorted(schemas.found.items())),
    }


def _v2_parameter(parameter: Object) -> Object:
    if "schema" not in parameter or parameter["in"] == "body":
        return parameter
    simple = {key: value for key, value in parameter.items() if key != "schema"}
    return simple | {"type": parameter["schema"]["type"]}


@lru_cache(maxsize=1)
def v2_document() -> bytes:
    """The version 2 document as JSON."""
    return orjson.dumps(_v2())


@lru_cache(maxsize=1)
def v2_protobuf() -> bytes:
    """The version 2 document as gnostic's protobuf messages."""
    from labctl.api.openapi import gnostic  # seldom asked for

    return gnostic.document(_v2())
