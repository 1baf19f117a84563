"""`labctl apply`: client-side apply as kubectl does it, with the last applied configuration kept in an annotation.

The three-way patch is made of that annotation, the manifest and the live object (k8s.io/kubectl/pkg/cmd/apply).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.api import patches
from labctl.api.kinds import Kind
from labctl.api.objects import Object, copy
from labctl.api.status import ApiError
from labctl.cli import output as out
from labctl.cli.errors import raise_all, with_source
from labctl.cli.files import kind_of, placed
from labctl.cli.session import Context, Filenames, Namespace, Output, Recursive, Selector, Session, title
from labctl.errors import LabctlError
from labctl.manifests import Document

if TYPE_CHECKING:
    from labctl.api.selectors import LabelSelector

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_MANAGER = {"fieldManager": "kubectl-client-side-apply"}
_ATTEMPTS = 5
_APPLY_PATCH = "application/apply-patch+yaml"
_STRATEGIC, _MERGE = "application/strategic-merge-patch+json", "application/merge-patch+json"

DryRun = Annotated[
    str, typer.Option("--dry-run", help="client: send nothing; server: let the server check and keep nothing.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Objects")(apply)


def apply(
    filename: Filenames = None,
    recursive: Recursive = False,
    selector: Selector = "",
    namespace: Namespace = "",
    dry_run: DryRun = "none",
    server_side: Annotated[bool, typer.Option("--server-side", help="Let the server merge and own fields.")] = False,
    force_conflicts: Annotated[bool, typer.Option("--force-conflicts", help="Take fields from other owners.")] = False,
    field_manager: Annotated[str, typer.Option("--field-manager", help="Name of the owner of the fields.")] = "",
    validate: Annotated[str, typer.Option("--validate", help="strict, warn or ignore unknown fields.")] = "strict",
    output: Output = "",
    context: Context = "",
) -> None:
    """Make the cluster be as manifests say: create what is missing, change what differs.

    Examples: `labctl apply -f web.yaml`, `labctl apply -f services/ -R`, `cat web.yaml | labctl apply -f -`
    """
    from labctl import manifests
    from labctl.api import selectors

    if not filename:
        raise LabctlError("must specify one of -f and -k")
    if dry_run not in ("none", "client", "server"):
        raise LabctlError(f'invalid dry-run value ({dry_run}). Must be "none", "server", or "client"')
    session = Session(context, namespace)
    query = {"fieldValidation": _validation(validate), **_MANAGER}
    if dry_run == "server":
        query["dryRun"] = "All"
    one = _server_side(field_manager, force=force_conflicts) if server_side else _client_side(dry_run)
    wanted = selectors.parse_label_selector(selector) if selector else None
    show = out.printer(output, session.mapper.of) if output else None
    suffix = {"none": "", "client": " (dry run)", "server": " (server dry run)"}[dry_run]
    errors: list[LabctlError] = []
    unknown: list[LabctlError] = []  # kubectl looks up all kinds first, so these errors come first
    results: list[Object] = []
    seen = 0
    for document, kind in _known(session, manifests.read(filename, recursive=recursive), wanted, unknown):
        seen += 1
        try:
            obj, verb = one(session, kind, placed(session, kind, document), document, query)
        except LabctlError as error:
            errors.append(error)
            continue
        if show is None:
            typer.echo(f"{title(kind, obj['metadata']['name'])} {verb}{suffix}")
        results.append(obj)
    if show is not None and results:
        typer.echo(show(results[0] if len(results) == 1 else out.list_of(results)), nl=False)
    if not seen and not unknown:
        raise LabctlError("no objects passed to apply")
    raise_all([*unknown, *errors])


def _known(
    session: Session, documents: Iterator[Document], wanted: LabelSelector | None, unknown: list[LabctlError]
) -> Iterator[tuple[Document, Kind]]:
    """Documents with their kinds. What cannot be read or has no kind goes into `unknown`; what stands before it is applied."""
    from labctl.manifests import ManifestError

    try:
        for document in documents:
            try:
                kind = kind_of(session, document)
            except LabctlError as error:
                unknown.append(error)
                continue
            if wanted is None or wanted.matches((document.object.get("metadata") or {}).get("labels") or {}):
                yield document, kind
    except ManifestError as error:
        unknown.append(error)


def _validation(validate: str) -> str:
    words = {"strict": "Strict", "true": "Strict", "warn": "Warn", "ignore": "Ignore", "false": "Ignore"}
    if validate not in words:
        raise LabctlError(
            f'invalid - validate option "{validate}", must be one of: strict (or true), warn, ignore (or false)'
        )
    return words[validate]


_Apply = Callable[[Session, Kind, str, Document, dict[str, str]], tuple[Object, str]]
"""(session, kind, namespace, document, query) -> what the server has now, and the verb to print."""


def _server_side(field_manager: str, *, force: bool) -> _Apply:
    def apply_one(
        session: Session, kind: Kind, namespace: str, document: Document, query: dict[str, str]
    ) -> tuple[Object, str]:
        obj = _named(kind, document, namespace)
        asked = {**query, "fieldManager": field_manager or "kubectl", **({"force": "true"} if force else {})}
        path = session.path(kind, obj["metadata"]["name"], namespace=namespace)
        answer = session.transport.request("PATCH", path, asked, body=obj, content_type=_APPLY_PATCH).json()
        return answer, "serverside-applied"

    return apply_one


def _client_side(dry_run: str) -> _Apply:
    def apply_one(
        session: Session, kind: Kind, namespace: str, document: Document, query: dict[str, str]
    ) -> tuple[Object, str]:
        modified = with_last_applied(_named(kind, document, namespace))
        path = session.path(kind, modified["metadata"].get("name", ""), namespace=namespace)
        try:
            current: Object = session.transport.request("GET", path).json()
        except ApiError as error:
            if error.code != 404:
                raise with_source(error, "retrieving current configuration of", document.source) from error
            return _create(session, kind, namespace, document, modified, query, send=dry_run != "client")
        if LAST_APPLIED not in (current["metadata"].get("annotations") or {}):
            _warn_unapplied(kind, current)
        return _update(session, kind, path, current, modified, document, query, send=dry_run != "client")

    return apply_one


def _create(
    session: Session,
    kind: Kind,
    namespace: str,
    document: Document,
    modified: Object,
    query: dict[str, str],
    *,
    send: bool,
) -> tuple[Object, str]:
    if not send:
        return modified, "created"
    try:
        made = session.transport.request("POST", session.path(kind, namespace=namespace), query, body=modified).json()
    except ApiError as error:
        raise with_source(error, "creating", document.source) from error
    return made, "created"


def _update(
    session: Session,
    kind: Kind,
    path: str,
    current: Object,
    modified: Object,
    document: Document,
    query: dict[str, str],
    *,
    send: bool,
) -> tuple[Object, str]:
    for attempt in range(_ATTEMPTS):
        patch, content_type = three_way(kind, current, modified)
        if not patch:
            return current, "unchanged"
        if not send:
            return modified, "configured"
        try:
            changed: Object = session.transport.request(
                "PATCH", path, query, body=patch, content_type=content_type
            ).json()
        except ApiError as error:
            if error.code == 409 and attempt + 1 < _ATTEMPTS:
                current = session.transport.request("GET", path).json()
                continue
            raise with_source(
                error, "applying patch:\n" + out.to_json(patch).strip() + "\nto", document.source
            ) from error
        return changed, "configured"
    raise AssertionError("the last attempt returns or raises")


def three_way(kind: Kind, current: Object, modified: Object) -> tuple[Object, str]:
    """The patch that makes `current` what `modified` says (empty: nothing to do), and its content type."""
    original = _original(current)
    modified, current = copy(modified), _comparable(current)
    from labctl.api import kinds

    known = kinds.by_gvk(kind.group, kind.version, kind.kind)
    patch = patches.create_three_way_merge_patch(known or kind, original, modified, current)
    return patch, _STRATEGIC if known else _MERGE


def _comparable(current: Object) -> Object:
    return {**current, "metadata": {k: v for k, v in current["metadata"].items() if k != "managedFields"}}


def _original(current: Object) -> Object | None:
    import json

    text = (current["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if text is None:
        return None
    found: Any = json.loads(text)
    return found if isinstance(found, dict) else None


def with_last_applied(obj: Object) -> Object:
    """The object with itself in its annotation."""
    from labctl.cli.jsonpath import go_json

    plain = copy(obj)
    annotations = plain["metadata"].setdefault("annotations", {}) or {}
    annotations.pop(LAST_APPLIED, None)
    plain["metadata"]["annotations"] = annotations
    marked = copy(plain)
    marked["metadata"]["annotations"][LAST_APPLIED] = go_json(plain) + "\n"
    return marked


def _named(kind: Kind, document: Document, namespace: str) -> Object:
    """The object in its namespace. Raises LabctlError for one without a name."""
    obj = copy(document.object)
    meta = obj.get("metadata")
    if not isinstance(meta, dict):
        meta = obj["metadata"] = {}
    if namespace:
        meta["namespace"] = namespace
    if meta.get("name"):
        return obj
    if meta.get("generateName"):
        raise LabctlError(f"from {meta['generateName']}: cannot use generate name with apply")
    group = f"{kind.group}/{kind.version}" if kind.group else f"/{kind.version}"
    raise LabctlError(
        f'error when retrieving current configuration of:\nResource: "{group}, Resource={kind.resource}", '
        f'GroupVersionKind: "{group}, Kind={kind.kind}"\nName: "", Namespace: "{namespace}"\n'
        f'from server for: "{document.source}": resource name may not be empty'
    )


def _warn_unapplied(kind: Kind, current: Object) -> None:
    typer.echo(
        f"Warning: resource {kind.resource}/{current['metadata']['name']} is missing the {LAST_APPLIED} annotation which is"
        " required by kubectl apply. kubectl apply should only be used on resources created declaratively by either"
        " kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.",
        err=True,
    )
