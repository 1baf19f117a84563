"""Which NetworkPolicies stand in the way of a set of pods."""

from __future__ import annotations

from collections.abc import Sequence

from labctl.api.objects import Object, key_of
from labctl.why import facts as f
from labctl.why.findings import Finding, note


def isolating(facts: f.Facts, pod: Object, direction: str) -> list[Object]:
    """The policies that select a pod for `Ingress` or `Egress`."""
    return [
        p
        for p in facts.in_namespace(facts.policies, key_of(pod).namespace)
        if direction in (p["spec"].get("policyTypes") or ("Ingress",)) and _selects(p, pod)
    ]


def explain_policies(facts: f.Facts, pods: Sequence[Object]) -> list[Finding]:
    """A note for each policy that isolates one of the pods."""
    names = sorted({key_of(p) for pod in pods for p in isolating(facts, pod, "Ingress")})
    return [
        note(
            f"netpol/{key.name}",
            "lets only listed traffic reach these pods; all other packets are dropped (a hang)",
            fix=f"kubectl describe netpol {key.name} -n {key.namespace}",
        )
        for key in names
    ]


def _selects(policy: Object, pod: Object) -> bool:
    selector = policy["spec"].get("podSelector") or {}
    labels = f.labels_of(pod)
    if any(labels.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(e, labels) for e in selector.get("matchExpressions") or ())


def _expression(expression: Object, labels: dict[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or ()
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    return (labels.get(key) in values) is (operator == "In")
