"""What a pod may say about where it runs, and what the API server answers to anything else."""

from __future__ import annotations

import pytest

from labctl.api.objects import Object
from labctl.api.validation import pods
from tests.api.validation.pod_kit import complaints

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def node_terms(*terms: Object) -> Object:
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}}}


TERM = f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms"
POD_TERM = f"spec.affinity.podAntiAffinity.{PREFERRED}[0]"
SPREAD = "spec.topologySpreadConstraints[0]"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (node_terms(), [f"{TERM}: Required value: must have at least one node selector term"]),
        (
            node_terms({"matchExpressions": [{"key": "a", "operator": "Like"}]}),
            [f'{TERM}[0].matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator'],
        ),
        (
            node_terms({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1", "2"]}]}),
            [
                f"{TERM}[0].matchExpressions[0].values: Required value: "
                "must be specified single value when `operator` is 'Lt' or 'Gt'"
            ],
        ),
        (
            node_terms({"matchFields": [{"key": "metadata.uid", "operator": "In", "values": ["x"]}]}),
            [f'{TERM}[0].matchFields[0].key: Invalid value: "metadata.uid": not a valid field selector key'],
        ),
        (
            {"affinity": {"podAntiAffinity": {PREFERRED: [{"weight": 101, "podAffinityTerm": {"topologyKey": "h"}}]}}},
            [f"{POD_TERM}.weight: Invalid value: 101: must be in the range 1-100"],
        ),
        (
            {
                "topologySpreadConstraints": [
                    {"maxSkew": 0, "topologyKey": "h", "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 2}
                ]
            },
            [
                f"{SPREAD}.maxSkew: Invalid value: 0: must be greater than zero",
                f"{SPREAD}.minDomains: Invalid value: 2: "
                "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
            ],
        ),
        (
            {"schedulingGates": [{"name": "a"}, {"name": "a"}]},
            ['spec.schedulingGates[1]: Duplicate value: "a"'],
        ),
    ],
)
def test_what_is_wrong_is_told(spec: Object, expected: list[str]) -> None:
    assert complaints(spec) == expected


def test_a_topology_key_is_needed() -> None:
    first, *others = complaints({"affinity": {"podAffinity": {REQUIRED: [{}]}}})
    assert first.endswith("topologyKey: Required value: can not be empty")
    assert "name part must be non-empty" in others[0]


def test_gates_are_only_taken_away() -> None:
    def pod(*gates: str) -> Object:
        spec = {"containers": [], "schedulingGates": [{"name": g} for g in gates]}
        return {"metadata": {"name": "web"}, "spec": spec}

    assert pods.validate_update(pod("a"), pod("a", "b")) == []
    (cause,) = pods.validate_update(pod("a", "c"), pod("a", "b"))
    assert (cause.field, cause.message) == (
        "spec.schedulingGates[1].name",
        "Forbidden: only deletion is allowed, but found new scheduling gate 'c'",
    )
