"""`labctl delete`: objects by name, by label, all of a kind, or those of manifests; waits until they are gone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.status import ApiError
from labctl.cli.errors import raise_all, with_source
from labctl.cli.files import kind_of, name_of, placed
from labctl.cli.session import (
    AllNamespaces,
    Context,
    FieldSelector,
    Filenames,
    Namespace,
    Output,
    Recursive,
    Resource,
    Selector,
    Session,
)
from labctl.errors import LabctlError

_Target = tuple[Resource, str, str]  # an object, its namespace, and the manifest it stands in
_NOTHING_NAMED = """\
You must provide one or more resources by argument or filename.
Example resource specifications include:
   '-f rsrc.yaml'
   '--filename=rsrc.json'
   '<resource> <name>'
   '<resource>'"""
_PROPAGATION = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Objects")(delete)


def delete(
    words: Annotated[list[str] | None, typer.Argument(metavar="TYPE[/NAME] [NAME]...", help="What to delete.")] = None,
    filename: Filenames = None,
    recursive: Recursive = False,
    selector: Selector = "",
    field_selector: FieldSelector = "",
    everything: Annotated[bool, typer.Option("--all", help="All objects of the kind in the namespace.")] = False,
    namespace: Namespace = "",
    all_namespaces: AllNamespaces = False,
    now: Annotated[bool, typer.Option("--now", help="With a grace period of one second.")] = False,
    force: Annotated[bool, typer.Option("--force", help="At once, without waiting for the node's word.")] = False,
    grace_period: Annotated[
        int, typer.Option("--grace-period", help="Seconds to end in; the object's own if -1.")
    ] = -1,
    cascade: Annotated[str, typer.Option("--cascade", help="background, foreground or orphan.")] = "background",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the objects are gone.")] = True,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds to wait; for ever unless given.")] = 0,
    ignore_not_found: Annotated[bool, typer.Option("--ignore-not-found", help="What is missing is no error.")] = False,
    output: Output = "",
    context: Context = "",
) -> None:
    """Delete objects.

    Examples: `labctl delete svc web`, `labctl delete -f web.yaml`, `labctl delete pods -l app=web --now`
    """
    if output not in ("", "name"):
        raise LabctlError("unexpected -o output mode: " + output + ". We only support '-o name'")
    if cascade not in _PROPAGATION:
        raise LabctlError(f'invalid cascade value ({cascade}). Must be "background", "foreground", or "orphan"')
    if now and grace_period >= 0:
        raise LabctlError("--now and --grace-period cannot be specified together")
    grace = 0 if force and grace_period < 0 and not now else 1 if now else grace_period
    session = Session(context, namespace)
    query = {k: v for k, v in (("labelSelector", selector), ("fieldSelector", field_selector)) if v}
    targets = (
        _of_files(session, filename, recursive=recursive)
        if filename
        else _of_words(session, words or (), query, everything=everything, all_namespaces=all_namespaces)
    )
    ignoring = ignore_not_found or bool(query) or everything
    if force and not grace:
        typer.echo(
            "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated."
            " The resource may continue to run on the cluster indefinitely.",
            err=True,
        )
    options: Object = {"propagationPolicy": _PROPAGATION[cascade]}
    if grace >= 0:
        options["gracePeriodSeconds"] = grace
    gone, errors = _delete(session, targets, options, ignoring=ignoring, output=output, forced=force and not grace)
    if not gone and not errors and not filename and (query or everything):
        typer.echo("No resources found")
    if wait and not (force and not grace):
        _wait(session, gone, timeout)
    raise_all(errors)


def _of_files(session: Session, names: Sequence[str], *, recursive: bool) -> list[_Target]:
    from labctl import manifests

    found = []
    for document in manifests.read(names, recursive=recursive):
        kind = kind_of(session, document)
        found.append((Resource(kind, name_of(document)), placed(session, kind, document), document.source))
    return found


def _of_words(
    session: Session, words: Sequence[str], query: dict[str, str], *, everything: bool, all_namespaces: bool
) -> list[_Target]:
    if not words:
        raise LabctlError(_NOTHING_NAMED)
    resources = session.resources(words)
    if any(r.name for r in resources):
        if query or everything:
            raise LabctlError("name cannot be provided when a selector is specified")
        return [(r, session.namespace if r.kind.namespaced else "", "") for r in resources]
    if not query and not everything:
        raise LabctlError("resource(s) were provided, but no name was specified")
    found: list[_Target] = []
    for resource in resources:
        for obj in session.list_all(resource.kind, query, namespace="" if all_namespaces else None):
            meta = obj["metadata"]
            found.append((Resource(resource.kind, meta["name"]), meta.get("namespace", ""), ""))
    return found


def _delete(
    session: Session, targets: Sequence[_Target], options: Object, *, ignoring: bool, output: str, forced: bool
) -> tuple[list[tuple[_Target, str]], list[LabctlError]]:
    """Ask for all deletions; returns what was deleted with its uid, and what went wrong."""
    gone: list[tuple[_Target, str]] = []
    errors: list[LabctlError] = []
    for resource, namespace, source in targets:
        path = session.path(resource.kind, resource.name, namespace=namespace)
        try:
            answer: Any = session.transport.request("DELETE", path, body={**options, **_ENVELOPE}).json()
        except ApiError as error:
            if not (ignoring and error.code == 404):
                errors.append(with_source(error, "deleting", source) if source else error)
            continue
        typer.echo(resource.title if output == "name" else said(resource, namespace, forced=forced))
        details = (answer.get("details") or {}) if answer.get("kind") == "Status" else answer.get("metadata") or {}
        gone.append(((resource, namespace, source), details.get("uid", "")))
    return gone, errors


_ENVELOPE = {"kind": "DeleteOptions", "apiVersion": "v1"}


def said(resource: Resource, namespace: str, *, forced: bool = False) -> str:
    """`service "web" deleted from default namespace`, as kubectl says it since 1.33."""
    verb = "force deleted" if forced else "deleted"
    where = f" from {namespace} namespace" if namespace else ""
    return f'{_title(resource.kind)} "{resource.name}" {verb}{where}'


def _title(kind: Kind) -> str:
    return f"{kind.singular}.{kind.group}" if kind.group else kind.singular


def _wait(session: Session, gone: Sequence[tuple[_Target, str]], timeout_s: float) -> None:
    """Until every object is gone, or another has its name."""
    end = time.monotonic() + timeout_s if timeout_s else None
    for (resource, namespace, _), uid in gone:
        path = session.path(resource.kind, resource.name, namespace=namespace)
        pause = 0.02
        while True:
            try:
                present = session.transport.request("GET", path).json()
            except ApiError as error:
                if error.code == 404:
                    break
                raise
            if uid and present["metadata"]["uid"] != uid:
                break
            if end is not None and time.monotonic() > end:
                raise LabctlError(f"timed out waiting for the condition on {resource.kind.resource}/{resource.name}")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)
