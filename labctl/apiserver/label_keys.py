"""matchLabelKeys and mismatchLabelKeys of a new pod: what they mean for it goes into the selectors (pod strategy)."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.api.objects import Object

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_OPERATORS = {"matchLabelKeys": "In", "mismatchLabelKeys": "NotIn"}


def apply(pod: Object) -> None:
    """Narrow the selectors of affinities and spread constraints by the pod's own labels, in place."""
    labels = pod["metadata"].get("labels") or {}
    for term in _terms(pod["spec"]):
        if (selector := term.get("labelSelector")) is None:
            continue  # matches nothing, and stays so
        more = [
            {"key": key, "operator": operator, "values": [labels[key]]}
            for field, operator in _OPERATORS.items()
            for key in term.get(field) or ()
            if key in labels
        ]
        if more:
            selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), *more]


def _terms(spec: Object) -> Iterator[Object]:
    affinity = spec.get("affinity") or {}
    for rule in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(rule) or {}
        yield from (wish.get("podAffinityTerm") or {} for wish in rules.get(_PREFERRED) or ())
        yield from rules.get(_REQUIRED) or ()
    yield from spec.get("topologySpreadConstraints") or ()
