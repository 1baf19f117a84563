"""What commands that take `-f` share: the kind of a document, and its place in a namespace."""

from __future__ import annotations

from labctl.api.kinds import Kind
from labctl.cli.errors import Plain
from labctl.cli.session import Session
from labctl.errors import LabctlError
from labctl.manifests import Document


def kind_of(session: Session, document: Document) -> Kind:
    """The resource of a document. Raises Plain in kubectl's words for an unknown kind or a missing field."""
    obj = document.object
    for name in ("kind", "apiVersion"):
        if not obj.get(name):
            raise Plain(
                f'error: error validating "{document.source}": error validating data: {name} not set;'
                " if you choose to ignore these errors, turn validation off with --validate=false"
            )
        if not isinstance(obj[name], str):
            raise Plain(
                f'error: error validating "{document.source}": error validating data: {name} isn\'t string type'
            )
    _check_metadata(document)
    kind = session.mapper.of(obj)
    if kind is None:
        raise Plain(
            f'error: resource mapping not found for name: "{(obj.get("metadata") or {}).get("name", "")}" namespace: '
            f'"{(obj.get("metadata") or {}).get("namespace", "")}" from "{document.source}": no matches for kind '
            f'"{obj["kind"]}" in version "{obj["apiVersion"]}"\nensure CRDs are installed first'
        )
    return kind


def name_of(document: Document) -> str:
    """The object's name. Raises LabctlError where it has none."""
    name: str = (document.object.get("metadata") or {}).get("name") or ""
    if not name:
        raise LabctlError(f"{document.where}: resource name may not be empty")
    return name


_TEXTS, _MAPS = ("name", "namespace", "generateName"), ("labels", "annotations")


def _check_metadata(document: Document) -> None:
    """What is needed to know which object a document is. Raises Plain in the words of Go's decoder."""
    meta = document.object.get("metadata")
    if not isinstance(meta, dict | None):
        raise _undecodable(document, meta, "metadataOnlyObject.metadata", "v1.ObjectMeta")
    for name in _TEXTS:
        if not isinstance((meta or {}).get(name), str | None):
            raise _undecodable(document, (meta or {})[name], f"ObjectMeta.metadata.{name}", "string")
    for name in _MAPS:
        values = (meta or {}).get(name)
        if not isinstance(values, dict | None):
            raise _undecodable(document, values, f"ObjectMeta.metadata.{name}", "map[string]string")
        for value in (values or {}).values():
            if not isinstance(value, str | None):
                raise _undecodable(document, value, f"ObjectMeta.metadata.{name}", "string")


def _undecodable(document: Document, value: object, field: str, wanted: str) -> Plain:
    kinds = ((bool, "bool"), (int | float, "number"), (str, "string"), (list, "array"))
    found = next((name for kind, name in kinds if isinstance(value, kind)), "object")
    return Plain(
        f'error: unable to decode "{document.source}": json: cannot unmarshal {found} into Go struct field {field}'
        f" of type {wanted}"
    )


def placed(session: Session, kind: Kind, document: Document) -> str:
    """The namespace that a document belongs in. Raises Plain when it contradicts `--namespace`."""
    if not kind.namespaced:
        return ""
    own = (document.object.get("metadata") or {}).get("namespace") or ""
    if own and session.is_namespace_given and own != session.namespace:
        raise Plain(
            f'error: the namespace from the provided object "{own}" does not match the namespace "{session.namespace}".'
            f" You must pass '--namespace={own}' to perform this operation."
        )
    return own or session.namespace
