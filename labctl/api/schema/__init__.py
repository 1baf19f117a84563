"""Structure of API objects: reading bodies, decoding them against the facts, and the facts themselves.

obj, _ = schema.parse_body(body, content_type)
decoded = schema.decode(kinds.SERVICE, obj)      # .object, .strict_errors
schema.lookup(kinds.SERVICE).fields["spec"].type.struct().fields["ports"].list_map_keys
"""

from labctl.api.schema.body import (
    MAX_BODY_BYTES,
    BodyError,
    duplicate_paths,
    json_kind,
    last_of_repeats,
    parse_body,
    parse_value,
    plain,
    repeated_keys,
)
from labctl.api.schema.convert import convert_error
from labctl.api.schema.decode import Decoded, decode, decode_type, kind_error, strict_error, zero
from labctl.api.schema.types import (
    Field,
    Inlined,
    Shape,
    StructSchema,
    TypeRef,
    UnknownType,
    lookup,
    names,
    openapi_name,
    struct,
    type_name,
    type_ref,
)

__all__ = [
    "MAX_BODY_BYTES",
    "BodyError",
    "Decoded",
    "Field",
    "Inlined",
    "Shape",
    "StructSchema",
    "TypeRef",
    "UnknownType",
    "convert_error",
    "decode",
    "decode_type",
    "duplicate_paths",
    "json_kind",
    "kind_error",
    "last_of_repeats",
    "lookup",
    "names",
    "openapi_name",
    "parse_body",
    "parse_value",
    "plain",
    "repeated_keys",
    "strict_error",
    "struct",
    "type_name",
    "type_ref",
    "zero",
]
