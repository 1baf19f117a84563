"""Objects as text: `-o yaml|json|name|jsonpath=…|custom-columns=…`, and the server's Tables as columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.cli.columns import lay_out
from labctl.cli.errors import Elsewhere, Plain
from labctl.cli.session import title

_STRUCTURED = ("json", "yaml", "name")
_TEMPLATES = ("jsonpath", "jsonpath-as-json", "jsonpath-file", "custom-columns", "custom-columns-file")
_KNOWN = (
    "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,"
    "template,templatefile,wide,yaml"
)
_OF_KUBECTL = ("go-template", "go-template-file", "kyaml", "template", "templatefile")

Printer = Callable[[Object], str]
"""An object, or a List of them, as text with its line end."""


def is_table(output: str) -> bool:
    """Whether the server's Table is what is printed."""
    return output in ("", "wide")


def printer(output: str, kind_of: Callable[[Object], Kind | None]) -> Printer:
    """The printer for an `-o` other than a table. Raises Plain in kubectl's words."""
    form, _, argument = output.partition("=")
    if form == "yaml":
        return to_yaml
    if form == "json":
        return to_json
    if form == "name":
        return lambda obj: names(obj, kind_of)
    if form in _OF_KUBECTL:
        raise Elsewhere(f"error: labctl has no output format {form}: kubectl, which has it, is not on PATH")
    if form not in _TEMPLATES:
        unknown = f'unable to match a printer suitable for the output format "{output}"'
        raise Plain(f"error: {unknown}, allowed formats are: {_KNOWN}")
    if not argument:
        raise Plain("error: template format specified but no template given")
    if form.endswith("-file"):
        argument, form = Path(argument).read_text(), form.removesuffix("-file")
    if form == "custom-columns":
        return custom_columns(argument)
    return _jsonpath(argument, as_json=form == "jsonpath-as-json")


def _jsonpath(template: str, *, as_json: bool) -> Printer:
    from labctl.cli import jsonpath

    try:
        parsed = jsonpath.parse(template)
    except jsonpath.JsonPathError as error:
        raise Plain(f"error: error parsing jsonpath {template}, {error.message}") from error
    return parsed.render_json if as_json else parsed.render


def without_managed_fields(obj: Object) -> Object:
    """The object, or the List, without what nobody wants to read."""
    if "items" in obj and obj.get("kind", "").endswith("List"):
        return {**obj, "items": [without_managed_fields(i) for i in obj["items"]]}
    meta = obj.get("metadata") or {}
    if "managedFields" not in meta:
        return obj
    return {**obj, "metadata": {k: v for k, v in meta.items() if k != "managedFields"}}


def list_of(items: Sequence[Object]) -> Object:
    """Several objects as the List that kubectl prints."""
    return {"apiVersion": "v1", "items": list(items), "kind": "List", "metadata": {"resourceVersion": ""}}


def names(obj: Object, kind_of: Callable[[Object], Kind | None]) -> str:
    """`service/web`, one a line."""
    items = obj["items"] if obj.get("kind") == "List" else [obj]
    return "".join(f"{title_of(item, kind_of(item))}\n" for item in items)


def title_of(obj: Object, kind: Kind | None) -> str:
    """`deployment.apps/web`; an unknown kind by its own name."""
    name = (obj.get("metadata") or {}).get("name", "")
    if kind is not None:
        return title(kind, name)
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    return f"{str(obj.get('kind', '')).lower()}{'.' if group else ''}{group}/{name}"


def to_json(obj: Object) -> str:
    """Indented by four, keys sorted, `<`, `>` and `&` escaped, as Go's encoder does."""
    from labctl.cli.jsonpath import go_json

    return go_json(without_managed_fields(obj), indent=4) + "\n"


def to_yaml(obj: Object) -> str:
    """YAML as sigs.k8s.io/yaml writes it: keys sorted, lists not indented, text of several lines as a literal block."""
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # the C one where it is there
        def ignore_aliases(self, _: Any) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=_style(value))

    Dumper.add_representer(str, text)
    shown = without_managed_fields(obj)
    return str(yaml.dump(shown, Dumper=Dumper, sort_keys=True, width=1 << 30, allow_unicode=True))


# What YAML 1.1 would read as something else, and what go-yaml is careful about.
_AMBIGUOUS = re.compile(
    r"(?:y|n|yes|no|on|off|true|false|null|~|[-+]?\.(?:inf|nan)|[-+]?[0-9][0-9_,]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?"
    r"|0[xob][0-9a-fA-F_]+|[-+]?\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?|=|<<)\Z",
    re.IGNORECASE,
)


def _style(value: str) -> str | None:
    if "\n" in value and "\t" not in value.split("\n")[0][:1]:
        return "|"
    return '"' if not value or _AMBIGUOUS.match(value) else None


def custom_columns(spec: str) -> Printer:
    """`NAME:.metadata.name,IP:.status.podIP`."""
    from labctl.cli import jsonpath

    pairs = [part.partition(":") for part in spec.split(",")]
    if any(not head or not path for head, _, path in pairs):
        raise Plain(f"error: unexpected custom-columns spec: {spec}, expected <header>:<json-path-expr>")
    templates = [jsonpath.parse(jsonpath.relaxed(path)) for _, _, path in pairs]

    def show(obj: Object) -> str:
        items = obj["items"] if obj.get("kind") == "List" else [obj]
        rows = [[head for head, _, _ in pairs]]
        for item in items:
            cells = [[jsonpath.to_text(v) for part in t.results(item) for v in part] for t in templates]
            rows.append([",".join(cell) or "<none>" for cell in cells])
        return "".join(f"{line}\n" for line in lay_out(rows))

    return show


class Table:
    """Prints Tables of one kind; what a watch prints later lines up with what came before."""

    def __init__(
        self,
        *,
        wide: bool = False,
        headers: bool = True,
        with_namespace: bool = False,
        show_labels: bool = False,
        label_columns: Sequence[str] = (),
        prefix: str = "",
    ) -> None:
        self._wide = wide
        self._headers = headers
        self._with_namespace = with_namespace
        self._show_labels = show_labels
        self._label_columns = tuple(label_columns)
        self._prefix = prefix
        self._widths: list[int] = []

    def lines(self, table: Object) -> list[str]:
        """The rows of a Table, under their headers the first time."""
        columns = [i for i, c in enumerate(table["columnDefinitions"]) if self._wide or not c.get("priority")]
        rows = []
        if self._headers:
            head = [str(table["columnDefinitions"][i]["name"]).upper() for i in columns]
            heads = [label.rpartition("/")[2].upper() for label in self._label_columns]
            more = [*heads, "LABELS"] if self._show_labels else heads
            rows.append([*(["NAMESPACE"] if self._with_namespace else []), *head, *more])
            self._headers = False
        rows += [self._row(row, columns) for row in table.get("rows") or ()]
        return lay_out(rows, widths=self._widths)

    def _row(self, row: Object, columns: Sequence[int]) -> list[str]:
        meta = (row.get("object") or {}).get("metadata") or {}
        cells = [_cell(row["cells"][i]) for i in columns]
        if self._prefix and cells:
            cells[0] = f"{self._prefix}/{cells[0]}"
        labels = meta.get("labels") or {}
        more = [labels.get(name, "") for name in self._label_columns]
        if self._show_labels:
            more.append(",".join(f"{k}={v}" for k, v in sorted(labels.items())) or "<none>")
        return [*([meta.get("namespace", "")] if self._with_namespace else []), *cells, *more]


def _cell(value: Any) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).split("\n")[0]
