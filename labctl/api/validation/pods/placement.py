"""Where a pod wants to run: affinities, topology spread and scheduling gates of a PodSpec (pkg/apis/core/validation)."""

from __future__ import annotations

from collections.abc import Iterable

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation import meta
from labctl.api.validation.causes import all_invalid, duplicate, forbidden, invalid, required, unsupported

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_WHEN = ("DoNotSchedule", "ScheduleAnyway")
_POLICIES = ("Honor", "Ignore")
_MAX_WEIGHT = 100


def affinity(path: str, rules: Object) -> list[Cause]:
    """Affinities to nodes and pods."""
    causes: list[Cause] = []
    if rules.get("nodeAffinity"):
        causes += _node_affinity(f"{path}.nodeAffinity", rules["nodeAffinity"])
    for name in ("podAffinity", "podAntiAffinity"):
        if rules.get(name):
            causes += _pod_affinity(f"{path}.{name}", rules[name])
    return causes


def _node_affinity(path: str, rules: Object) -> list[Cause]:
    causes: list[Cause] = []
    if rules.get(_REQUIRED) is not None:
        here, terms = f"{path}.{_REQUIRED}.nodeSelectorTerms", rules[_REQUIRED].get("nodeSelectorTerms") or ()
        if not terms:
            causes.append(required(here, "must have at least one node selector term"))
        for index, term in enumerate(terms):
            causes += _node_term(f"{here}[{index}]", term, checks_values=True)
    for index, wish in enumerate(rules.get(_PREFERRED) or ()):
        here = f"{path}.{_PREFERRED}[{index}]"
        causes += _weight(here, wish) + _node_term(f"{here}.preference", wish.get("preference") or {})
    return causes


def _weight(path: str, wish: Object) -> list[Cause]:
    weight = wish.get("weight", 0)
    return [] if 0 < weight <= _MAX_WEIGHT else [invalid(f"{path}.weight", weight, "must be in the range 1-100")]


def _node_term(path: str, term: Object, *, checks_values: bool = False) -> list[Cause]:
    causes: list[Cause] = []
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        causes += _label_expression(f"{path}.matchExpressions[{index}]", expression, checks_values=checks_values)
    for index, expression in enumerate(term.get("matchFields") or ()):
        causes += _field_expression(f"{path}.matchFields[{index}]", expression)
    return causes


def _label_expression(path: str, expression: Object, *, checks_values: bool) -> list[Cause]:
    key, operator, values = expression.get("key", ""), expression.get("operator", ""), expression.get("values") or []
    causes: list[Cause] = []
    if operator in ("In", "NotIn"):
        if not values:
            causes.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            causes.append(forbidden(f"{path}.values", detail))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            causes.append(required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        causes.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    causes += all_invalid(f"{path}.key", key, names.qualified_name(key))
    if checks_values:
        for index, value in enumerate(values):
            causes += all_invalid(f"{path}.values[{index}]", value, names.label_value(value))
    return causes


def _field_expression(path: str, expression: Object) -> list[Cause]:
    key, operator, values = expression.get("key", ""), expression.get("operator", ""), expression.get("values") or []
    causes: list[Cause] = []
    if operator not in ("In", "NotIn"):
        causes.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif len(values) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        causes.append(required(f"{path}.values", detail))
    if key != "metadata.name":
        return [*causes, invalid(f"{path}.key", key, "not a valid field selector key")]
    for index, value in enumerate(values):
        causes += all_invalid(f"{path}.values[{index}]", value, names.dns1123_subdomain(value))
    return causes


def _pod_affinity(path: str, rules: Object) -> list[Cause]:
    causes: list[Cause] = []
    for index, term in enumerate(rules.get(_REQUIRED) or ()):
        causes += _pod_term(f"{path}.{_REQUIRED}[{index}]", term)
    for index, wish in enumerate(rules.get(_PREFERRED) or ()):
        here = f"{path}.{_PREFERRED}[{index}]"
        causes += _weight(here, wish) + _pod_term(f"{here}.podAffinityTerm", wish.get("podAffinityTerm") or {})
    return causes


def _pod_term(path: str, term: Object) -> list[Cause]:
    causes: list[Cause] = []
    for selector in ("labelSelector", "namespaceSelector"):
        if term.get(selector) is not None:
            causes += meta.label_selector(f"{path}.{selector}", term[selector])
    for name in term.get("namespaces") or ():
        causes += all_invalid(f"{path}.namespace", name, names.dns1123_label(name))
    causes += _label_keys(path, term)
    key = term.get("topologyKey", "")
    if not key:
        causes.append(required(f"{path}.topologyKey", "can not be empty"))
    return causes + all_invalid(f"{path}.topologyKey", key, names.qualified_name(key))


def spread(path: str, constraints: list[Object]) -> list[Cause]:
    """How pods are to be spread over a topology."""
    causes: list[Cause] = []
    for index, constraint in enumerate(constraints):
        here, when = f"{path}[{index}]", constraint.get("whenUnsatisfiable", "")
        skew, key = constraint.get("maxSkew", 0), constraint.get("topologyKey", "")
        if skew <= 0:
            causes.append(invalid(f"{here}.maxSkew", skew, "must be greater than zero"))
        if not key:
            causes.append(required(f"{here}.topologyKey", "can not be empty"))
        if when not in _WHEN:
            causes.append(unsupported(f"{here}.whenUnsatisfiable", when, _WHEN))
        later = [(c.get("topologyKey", ""), c.get("whenUnsatisfiable", "")) for c in constraints[index + 1 :]]
        if (key, when) in later:
            causes.append(duplicate(f"{here}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {when}}}"))
        causes += _spread_details(here, constraint, when)
    return causes


def _spread_details(path: str, constraint: Object, when: str) -> list[Cause]:
    causes: list[Cause] = []
    domains = constraint.get("minDomains")
    if domains is not None:
        if domains <= 0:
            causes.append(invalid(f"{path}.minDomains", domains, "must be greater than zero"))
        if when != "DoNotSchedule":
            detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
            causes.append(invalid(f"{path}.minDomains", domains, detail))
    causes += [
        unsupported(f"{path}.{policy}", constraint[policy], _POLICIES)
        for policy in ("nodeAffinityPolicy", "nodeTaintsPolicy")
        if constraint.get(policy) not in (None, *_POLICIES)
    ]
    causes += _label_keys(path, constraint)
    if constraint.get("labelSelector") is not None:
        causes += meta.label_selector(f"{path}.labelSelector", constraint["labelSelector"])
    return causes


def _label_keys(path: str, term: Object) -> list[Cause]:
    """matchLabelKeys and mismatchLabelKeys: label names that nothing else selects by."""
    selector, causes = term.get("labelSelector"), list[Cause]()
    match, mismatch = term.get("matchLabelKeys") or [], term.get("mismatchLabelKeys") or []
    for field, keys in (("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)):
        if keys and selector is None:
            causes.append(forbidden(f"{path}.{field}", "must not be specified when labelSelector is not set"))
            continue
        for index, key in enumerate(keys):
            causes += all_invalid(f"{path}.{field}[{index}]", key, names.qualified_name(key))
    seen = set((selector or {}).get("matchLabels") or ())
    for expression in (selector or {}).get("matchExpressions") or ():
        key = expression.get("key", "")
        if key in match and key in seen:
            index = len(match) - 1 - match[::-1].index(key)
            causes.append(invalid(f"{path}[{index}]", key, "exists in both matchLabelKeys and labelSelector"))
        seen.add(key)
    detail = "exists in both matchLabelKeys and mismatchLabelKeys"
    return causes + [invalid(f"{path}.matchLabelKeys[{i}]", k, detail) for i, k in enumerate(match) if k in mismatch]


def gates(path: str, wanted: Iterable[Object]) -> list[Cause]:
    """What has to be taken away before a pod is scheduled."""
    causes, seen = list[Cause](), set[str]()
    for index, gate in enumerate(wanted):
        name = gate.get("name", "")
        causes += all_invalid(f"{path}[{index}]", name, names.qualified_name(name))
        if name in seen:
            causes.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)
    return causes
