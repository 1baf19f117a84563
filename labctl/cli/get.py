"""`labctl get`: the server's own Tables, or objects as YAML, JSON, names and templates; `-w` follows changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.status import ApiError
from labctl.cli import output as out
from labctl.cli.errors import Plain, raise_all
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

_NOTHING_NAMED = """\
You must specify the type of resource to get. Use "labctl api-resources" for a complete list of supported resources.

error: Required resource not specified.
Use "labctl explain <resource>" for a detailed description of that resource (e.g. labctl explain pods).
See 'labctl get -h' for help and examples"""
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@dataclass(frozen=True, slots=True)
class View:
    """How to show what is got."""

    output: str = ""
    headers: bool = True
    show_labels: bool = False
    label_columns: tuple[str, ...] = ()
    sort_by: str = ""
    ignore_not_found: bool = False


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Objects")(get)


def get(
    words: Annotated[list[str] | None, typer.Argument(metavar="TYPE[/NAME] [NAME]...", help="What to show.")] = None,
    filename: Filenames = None,
    recursive: Recursive = False,
    output: Output = "",
    selector: Selector = "",
    field_selector: FieldSelector = "",
    namespace: Namespace = "",
    all_namespaces: AllNamespaces = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on and show changes.")] = False,
    watch_only: Annotated[bool, typer.Option("--watch-only", help="Show changes only.")] = False,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Without the line of headers.")] = False,
    show_labels: Annotated[bool, typer.Option("--show-labels", help="With all labels as the last column.")] = False,
    label_columns: Annotated[
        list[str] | None, typer.Option("--label-columns", "-L", help="Labels to show as columns.")
    ] = None,
    sort_by: Annotated[str, typer.Option("--sort-by", help="JSONPath of what to sort by, as in .metadata.name.")] = "",
    ignore_not_found: Annotated[bool, typer.Option("--ignore-not-found", help="What is missing is no error.")] = False,
    context: Context = "",
) -> None:
    """Show objects: one or many, as a table or whole.

    Examples: `labctl get svc`, `labctl get pods -o wide -w`, `labctl get deploy/web -o yaml`, `labctl get all -A`
    """
    if not words and not filename:
        raise Plain(_NOTHING_NAMED)
    session = Session(context, namespace)
    columns = tuple(name for text in label_columns or () for name in text.split(","))
    view = View(output, not no_headers, show_labels, columns, sort_by, ignore_not_found)
    query = {k: v for k, v in (("labelSelector", selector), ("fieldSelector", field_selector)) if v}
    resources = session.resources(words) if words else _in_files(session, filename or (), recursive=recursive)
    if watch or watch_only:
        _watch(session, resources, view, query, all_namespaces=all_namespaces, only_changes=watch_only)
    elif out.is_table(output):
        _tables(session, resources, view, query, all_namespaces=all_namespaces)
    else:
        _objects(session, resources, view, query, all_namespaces=all_namespaces)


def _in_files(session: Session, names: Sequence[str], *, recursive: bool) -> list[Resource]:
    from labctl import manifests
    from labctl.cli.files import kind_of, name_of

    found = []
    for document in manifests.read(names, recursive=recursive):
        kind = kind_of(session, document)
        found.append(Resource(kind, name_of(document)))
    return found


def _tables(
    session: Session, resources: Sequence[Resource], view: View, query: dict[str, str], *, all_namespaces: bool
) -> None:
    printed, errors = 0, []
    tables: dict[Kind, list[Object]] = {}
    for resource in resources:
        try:
            answer = _ask(session, resource, query, all_namespaces=all_namespaces, whole=bool(view.sort_by))
        except ApiError as error:
            if not (view.ignore_not_found and error.code == 404):
                errors.append(session.explained(error, resource))
            continue
        tables.setdefault(resource.kind, []).append(answer)
    for kind, parts in tables.items():
        table = {**parts[0], "rows": [row for part in parts for row in part.get("rows") or ()]}
        if not table["rows"]:
            continue
        if view.sort_by:
            table["rows"] = _sorted(table["rows"], view.sort_by, key=lambda row: row["object"])
        shown = _table(kind, view, all_namespaces=all_namespaces, prefixed=len(tables) > 1)
        typer.echo("".join(f"{line}\n" for line in ["" for _ in range(bool(printed))] + shown.lines(table)), nl=False)
        printed += 1
    if not printed and not errors and not (view.ignore_not_found and any(r.name for r in resources)):
        scoped = any(r.kind.namespaced for r in resources) and not all_namespaces
        where = f" in {session.namespace} namespace." if scoped else ""
        typer.echo(f"No resources found{where}", err=True)
    raise_all(errors)


def _table(kind: Kind, view: View, *, all_namespaces: bool, prefixed: bool) -> out.Table:
    group = f".{kind.group}" if kind.group else ""
    return out.Table(
        wide=view.output == "wide",
        headers=view.headers,
        with_namespace=all_namespaces and kind.namespaced,
        show_labels=view.show_labels,
        label_columns=view.label_columns,
        prefix=f"{kind.singular}{group}" if prefixed else "",
    )


def _ask(session: Session, resource: Resource, query: dict[str, str], *, all_namespaces: bool, whole: bool) -> Object:
    """The Table of one argument: one object, or a list in pages."""
    path = session.path(resource.kind, resource.name, namespace="" if all_namespaces else None)
    more = {"includeObject": "Object"} if whole else {}
    if resource.name:
        answer: Object = session.transport.request("GET", path, more, accept=_TABLE).json()
        return answer
    first: Object | None = None
    token = ""
    while True:
        page_query = {**query, **more, "limit": "500", **({"continue": token} if token else {})}
        page: Object = session.transport.request("GET", path, page_query, accept=_TABLE).json()
        if first is None:
            first = page
        else:
            first["rows"] = [*(first.get("rows") or ()), *(page.get("rows") or ())]
        token = page["metadata"].get("continue", "")
        if not token:
            return first


def _objects(
    session: Session, resources: Sequence[Resource], view: View, query: dict[str, str], *, all_namespaces: bool
) -> None:
    show = out.printer(view.output, session.mapper.of)
    namespace = "" if all_namespaces else None
    found: list[Object] = []
    errors: list[LabctlError] = []
    for resource in resources:
        try:
            if resource.name:
                found.append(session.get(resource, namespace=namespace))
            else:
                found += session.list_all(resource.kind, query, namespace=namespace)
        except ApiError as error:
            if not (view.ignore_not_found and error.code == 404):
                errors.append(session.explained(error, resource))
    if view.sort_by:
        found = _sorted(found, view.sort_by, key=lambda obj: obj)
    is_single = len(resources) == 1 and resources[0].name
    if found or not errors:
        if is_single and not found:
            return
        typer.echo(show(found[0] if is_single else out.list_of(found)), nl=False)
    raise_all(errors)


def _sorted(rows: list[Any], path: str, *, key: Any) -> list[Any]:
    from labctl.cli import jsonpath

    template = jsonpath.parse(jsonpath.relaxed(path))

    def value(row: Any) -> tuple[int, Any, str]:
        found = [v for part in template.results(key(row)) for v in part]
        if not found:
            return (0, 0, "")
        number = isinstance(found[0], int | float)
        return (1, found[0] if number else 0, "" if number else str(found[0]))

    return sorted(rows, key=value)


def _watch(
    session: Session,
    resources: Sequence[Resource],
    view: View,
    query: dict[str, str],
    *,
    all_namespaces: bool,
    only_changes: bool,
) -> None:
    if len(resources) != 1:
        raise LabctlError("you may only specify a single resource type")
    resource = resources[0]
    if resource.name:
        query = {"fieldSelector": f"metadata.name={resource.name}"}
    as_table = out.is_table(view.output)
    path = session.path(resource.kind, namespace="" if all_namespaces else None)
    accept = _TABLE if as_table else "application/json"
    first = session.transport.request("GET", path, query, accept=accept).json()
    show = _follower(session, resource.kind, view, all_namespaces=all_namespaces)
    if not only_changes:
        if as_table and first.get("rows"):
            show(first)
        for item in first.get("items") or ():
            show({"apiVersion": resource.kind.api_version, "kind": resource.kind.kind, **item})
    for changed in _changes(session, path, {**query, "resourceVersion": first["metadata"]["resourceVersion"]}, accept):
        show(changed)


def _changes(session: Session, path: str, query: dict[str, str], accept: str) -> Iterator[Object]:
    from labctl.api.status import from_status

    for line in session.transport.lines(path, {**query, "watch": "true"}, accept=accept):
        event = json.loads(line)
        if event["type"] == "ERROR":
            raise from_status(event["object"])
        if event["type"] != "BOOKMARK":
            yield event["object"]


def _follower(session: Session, kind: Kind, view: View, *, all_namespaces: bool) -> Any:
    """Prints each change at once; a Table after the first comes without its columns, so the first ones are kept."""
    if not out.is_table(view.output):
        show = out.printer(view.output, session.mapper.of)
        return lambda obj: typer.echo(show(obj), nl=False)
    table = _table(kind, view, all_namespaces=all_namespaces, prefixed=False)
    columns: list[Any] = []

    def follow(found: Object) -> None:
        columns[:] = found.get("columnDefinitions") or columns
        for line in table.lines({**found, "columnDefinitions": columns}):
            typer.echo(line)

    return follow
