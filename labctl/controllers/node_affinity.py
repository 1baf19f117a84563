"""nodeSelector and nodeAffinity: which nodes a pod names, and which it likes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from labctl.api.objects import Object
from labctl.api.selectors import Operator, Requirement

_OPERATORS: dict[str, Operator] = {
    "In": "in",
    "NotIn": "notin",
    "Exists": "exists",
    "DoesNotExist": "!",
    "Gt": "gt",
    "Lt": "lt",
}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def fits(pod: Object, node: Object) -> bool:
    """Whether the pod's nodeSelector and required node affinity take the node; terms are alternatives."""
    labels = _labels(node)
    if any(labels.get(k) != v for k, v in (pod["spec"].get("nodeSelector") or {}).items()):
        return False
    required = _rules(pod).get(_REQUIRED)
    if required is None:
        return True
    return any(_term_matches(term, node) for term in required.get("nodeSelectorTerms") or ())


def preference(pod: Object, node: Object) -> int:
    """The sum of the weights of the preferred terms that the node fulfils; a term without conditions is fulfilled."""
    return sum(
        term["weight"]
        for term in _rules(pod).get(_PREFERRED) or ()
        if not _conditions(term["preference"]) or _term_matches(term["preference"], node)
    )


def _rules(pod: Object) -> Object:
    rules: Object = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    return rules


def _labels(node: Object) -> Mapping[str, str]:
    return node["metadata"].get("labels") or {}


def _conditions(term: Object) -> list[Callable[[Object], bool]]:
    """The term's conditions on labels and on fields (of which there is one, metadata.name)."""
    by_label = [_requirement(e) for e in term.get("matchExpressions") or ()]
    by_field = [_requirement(e) for e in term.get("matchFields") or ()]
    return [
        *(lambda node, r=r: r.matches(_labels(node)) for r in by_label),
        *(lambda node, r=r: r.matches({"metadata.name": node["metadata"]["name"]}) for r in by_field),
    ]


def _requirement(expression: Object) -> Requirement:
    return Requirement(expression["key"], _OPERATORS[expression["operator"]], tuple(expression.get("values") or ()))


def _term_matches(term: Object, node: Object) -> bool:
    """Whether the node fulfils a term; an empty term takes no node."""
    conditions = _conditions(term)
    return bool(conditions) and all(condition(node) for condition in conditions)
