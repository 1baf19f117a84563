"""A patch request: reading it, applying it, and telling why the patched object is no object of its kind."""

from __future__ import annotations

from typing import Any

import orjson

from labctl.api import schema, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.patches.strategic import go_text
from labctl.apiserver.local import apply_patch

_STRATEGIC = "application/strategic-merge-patch+json"
_HANDLED = " cannot be handled as a "


def read(body: bytes, patch_type: str) -> Any:
    """The patch as data. Raises ApiError 400."""
    try:
        return schema.plain(schema.parse_value(body))
    except status.ApiError as error:
        if patch_type == _STRATEGIC or error.code != 400:
            raise
        raise status.bad_request(f"error decoding patch: {error.message}") from None


class Change:
    """The change that a patch is; `shown` is how errors print the patch, or what became of the object."""

    def __init__(self, kind: Kind, patch: Any, patch_type: str) -> None:
        self._kind = kind
        self._patch = patch
        self._type = patch_type
        self.shown = ""

    def __call__(self, obj: Object) -> Object:
        """Raises ApiError 400, 422."""
        patched = apply_patch(self._kind, obj, self._patch, self._type)
        strategic = self._type == _STRATEGIC
        self.shown = go_text(self._patch) if strategic else orjson.dumps(dict(sorted(patched.items()))).decode()
        if strategic and (reason := schema.convert_error(self._kind, patched)):
            raise _invalid(self.shown, reason)
        if wrong := schema.kind_error(self._kind, patched):
            raise wrong
        return patched


def refused(error: status.ApiError, made_by: Change) -> status.ApiError:
    """The error of a patch: what cannot be decoded after patching is 422, with the object in its text."""
    if error.code != 400 or _HANDLED not in error.message:
        return error
    why = error.message.partition(_HANDLED)[2].partition(": ")[2]
    return _invalid(made_by.shown, why)


def _invalid(shown: str, why: str) -> status.ApiError:
    text = f"Invalid value: {orjson.dumps(shown).decode()}: {why}"
    causes = [{"reason": "FieldValueInvalid", "message": text, "field": "patch"}]
    return status.ApiError(422, "Invalid", f' "" is invalid: patch: {text}', {"causes": causes})
