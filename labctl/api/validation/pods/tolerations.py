"""Tolerations (ValidateTolerations)."""

from __future__ import annotations

from collections.abc import Iterable

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, forbidden, invalid, listed

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OPERATORS = ("Equal", "Exists")
_COMPARING = ("Lt", "Gt")


def validate(path: str, tolerations: Iterable[Object]) -> list[Cause]:
    """Tolerations of a pod."""
    causes: list[Cause] = []
    for index, toleration in enumerate(tolerations):
        causes += _one(f"{path}[{index}]", toleration)
    return causes


def _one(path: str, toleration: Object) -> list[Cause]:
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    effect, seconds = toleration.get("effect", ""), toleration.get("tolerationSeconds")
    causes = all_invalid(f"{path}.key", key, names.qualified_name(key)) if key else []
    if not key and operator != "Exists":
        detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        causes.append(invalid(f"{path}.operator", operator, detail))
    if seconds is not None and effect != "NoExecute":
        detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        causes.append(invalid(f"{path}.effect", effect, detail))
    causes += _value(f"{path}.operator", operator, toleration.get("value", ""))
    return causes + ([listed(f"{path}.effect", effect, _EFFECTS)] if effect and effect not in _EFFECTS else [])


def _value(path: str, operator: str, value: str) -> list[Cause]:
    if operator in ("", "Equal"):
        wrong = names.label_value(value)
        return [invalid(path, value, ";".join(wrong))] if wrong else []
    if operator == "Exists":
        return [invalid(path, value, "value must be empty when `operator` is 'Exists'")] if value else []
    return [listed(path, operator, (*_OPERATORS, *_COMPARING) if operator in _COMPARING else _OPERATORS)]


def only_added(path: str, new: list[Object], old: list[Object]) -> list[Cause]:
    """Tolerations of a running pod stay, but for how long they last (validateOnlyAddedTolerations)."""
    kept = [_without_seconds(toleration) for toleration in new]
    if any(_without_seconds(toleration) not in kept for toleration in old):
        return [forbidden(path, "existing toleration can not be modified except its tolerationSeconds")]
    return validate(path, new)


def _without_seconds(toleration: Object) -> Object:
    return {k: v for k, v in toleration.items() if k != "tolerationSeconds"}
