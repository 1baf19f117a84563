"""What commands that take `-f` share: the kind of a document, and its place in a namespace."""

from __future__ import annotations

from labctl.api.kinds import Kind
from labctl.cli.errors import Plain
from labctl.cli.session import Session
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
    kind = session.mapper.of(obj)
    if kind is None:
        raise Plain(
            f'error: resource mapping not found for name: "{(obj.get("metadata") or {}).get("name", "")}" namespace: '
            f'"{(obj.get("metadata") or {}).get("namespace", "")}" from "{document.source}": no matches for kind '
            f'"{obj["kind"]}" in version "{obj["apiVersion"]}"\nensure CRDs are installed first'
        )
    return kind


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
