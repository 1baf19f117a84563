"""What the API server fills in: v1 defaults of every kind, and the aliases its internal conversion keeps in step.

    defaults.apply_defaults(kinds.SERVICE, obj)          # every write, after decoding
    defaults.prepare_for_create(kinds.NAMESPACE, obj)    # creation only

A default belongs to a type, not to a kind: `core/v1.Probe` is the same in a Pod as in a Deployment's template. The
walk goes over the object along its schema and lets each type's rule fill in its own fields, parents first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from labctl.api.defaults import core, groups, pods
from labctl.api.defaults.create import prepare_for_create
from labctl.api.kinds import Kind
from labctl.api.objects import Object, copy
from labctl.api.schema import TypeRef, struct, type_name

__all__ = ["apply_defaults", "prepare_for_create"]

Rule = Callable[[Object], None]

_RULES: dict[str, Rule] = {**core.RULES, **pods.RULES, **groups.RULES}
_RESOURCE_LIST = "core/v1.ResourceList"


@dataclass(frozen=True, slots=True)
class _Step:
    """A field to look into: `type` is that of the field, of its elements or of its values."""

    name: str
    type: str
    many: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """What there is to default in a struct. Structs without anything to default have no plan."""

    rule: Rule | None
    constants: tuple[tuple[str, Any, bool], ...]
    resource_lists: tuple[str, ...]
    steps: tuple[_Step, ...]


def apply_defaults(kind: Kind, obj: Object) -> None:
    """Fill in defaults, in place. Applying them again changes nothing."""
    plan = _plan(type_name(kind))
    if plan is not None:
        _apply(plan, obj)


def _apply(plan: _Plan, obj: Object) -> None:
    if plan.rule is not None:
        plan.rule(obj)
    for name, value, pointer in plan.constants:
        present = obj.get(name)
        if present is None or (not pointer and not present):
            obj[name] = value
    for name in plan.resource_lists:
        if obj.get(name):
            core.round_resource_list(obj[name])
    for step in plan.steps:
        value = obj.get(step.name)
        if not value and not isinstance(value, dict):
            continue
        inner = _plan(step.type)
        assert inner is not None  # steps lead to structs with plans only
        if not step.many:
            _apply(inner, value)
            continue
        for item in value:
            if item is not None:
                _apply(inner, item)


@cache
def _plan(name: str) -> _Plan | None:
    schema = struct(name)
    constants, resource_lists, steps = [], [], []
    for known in schema.fields.values():
        # What is empty by default and left out when empty never shows.
        hidden = known.omit_empty and not known.type.pointer and not known.default
        if known.default is not None and not hidden:
            constants.append((known.name, known.default, known.type.pointer))
        if known.type.name == _RESOURCE_LIST:
            resource_lists.append(known.name)
        target = _struct_in(known.type)
        if target is not None and _plan(target) is not None:
            steps.append(_Step(known.name, target, known.type.shape == "list"))
    rule = _RULES.get(name)
    if rule is None and not (constants or resource_lists or steps):
        return None
    return _Plan(rule, tuple(constants), tuple(resource_lists), tuple(steps))


def _struct_in(type_: TypeRef) -> str | None:
    inner = type_.element if type_.shape == "list" and type_.element is not None else type_
    return inner.name if inner.shape == "struct" else None


def defaulted(kind: Kind, obj: Object) -> Object:
    """A copy of the object with its defaults."""
    result = copy(obj)
    apply_defaults(kind, result)
    return result
