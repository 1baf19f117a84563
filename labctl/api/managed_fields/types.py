"""What server-side apply has to know of a type: what is one value, what is merged field by field, item by item.

Compiled from the facts in `labctl.api.schema`, a struct's fields when they are first asked for.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from labctl.api import schema
from labctl.api.kinds import Kind
from labctl.api.schema import Field, TypeRef

Form = Literal["scalar", "struct", "map", "list"]
Scalar = Literal["", "numeric", "string", "boolean", "untyped", "any"]

_SCALARS: dict[str, Scalar] = {
    "string": "string",
    "bytes": "string",
    "bool": "boolean",
    "int32": "numeric",
    "int64": "numeric",
    "float64": "numeric",
    "IntOrString": "any",  # left to decoding
}
_ZERO: dict[Scalar, Any] = {"numeric": 0, "string": "", "boolean": False}


class Type:
    """One type.

    `atomic` ones belong to one manager as a whole. A list that is not atomic is a set when it has no `keys`; each of these
    is a field name and the default that stands in for a missing value (None: there is none).
    """

    __slots__ = ("_fields", "atomic", "element", "form", "keys", "name", "scalar")

    def __init__(
        self,
        form: Form,
        *,
        scalar: Scalar = "",
        atomic: bool = False,
        name: str = "",
        element: Type | None = None,
        keys: tuple[tuple[str, Any], ...] = (),
    ) -> None:
        self.form = form
        self.scalar = scalar
        self.atomic = atomic or form == "scalar"
        self.name = name
        self.element = element
        self.keys = keys
        self._fields: dict[str, Type] | None = None

    @property
    def fields(self) -> dict[str, Type]:
        """The fields of a struct."""
        if self._fields is None:
            known = schema.struct(self.name).fields if self.form == "struct" else {}
            self._fields = {name: _of_field(f) for name, f in known.items()}
        return self._fields

    def child(self, name: str) -> Type | None:
        """The type of a field or of a map's values; None when there is no such field."""
        return self.fields.get(name) if self.form == "struct" else self.element


@cache
def of_kind(kind: Kind) -> Type:
    """The type of a kind's objects."""
    return Type("struct", name=schema.type_name(kind))


def _of_field(field: Field) -> Type:
    if field.type.shape == "list":
        return _of_list(field)
    return _of(field.type, atomic="atomic" in (field.map_type, field.struct_type))


def _of_list(field: Field) -> Type:
    assert field.type.element is not None  # lists have elements
    if field.list_type not in ("map", "set"):
        return Type("list", atomic=True, element=_of(field.type.element))
    keys = tuple((name, _key_default(field.type.element, name)) for name in sorted(field.list_map_keys))
    return Type("list", element=_of(field.type.element), keys=keys)


def _key_default(element: TypeRef, name: str) -> Any:
    """The default of a key field: the field's own, or the zero value of one that is always written."""
    field = element.struct().fields[name]
    if field.default is not None or field.omit_empty or field.type.pointer:
        return field.default
    return _ZERO.get(_SCALARS.get(field.type.shape, "untyped"))


def _of(type_: TypeRef, *, atomic: bool = False) -> Type:
    if type_.shape == "struct":
        return Type("struct", atomic=atomic or type_.struct().atomic, name=type_.name)
    if type_.shape in ("map", "list"):
        assert type_.element is not None  # both have elements
        is_list = type_.shape == "list"
        return Type("list" if is_list else "map", atomic=atomic or is_list, element=_of(type_.element))
    return Type("scalar", scalar=_SCALARS.get(type_.shape, "untyped"))
