"""PriorityClasses and the numbers that pods get from them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.harness import DEFAULT, Client, meta

CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"
RESERVED = "priority class names with 'system-' prefix are reserved for system use only. error: "


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {**meta(name), "spec": {"containers": [{"name": "a", "image": "b"}], **spec}}


@pytest.fixture(autouse=True)
async def _account(api: Client) -> None:
    await api.post(f"{DEFAULT}/serviceaccounts", meta("default"))


async def test_every_cluster_has_those_of_the_system(api: Client) -> None:
    found = (await api.get(CLASSES)).json["items"]
    values = {c["metadata"]["name"]: c["value"] for c in found}
    assert values == {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        (
            "a",
            {"value": 1_000_000_001},
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
        ),
        ("system-x", {}, f"metadata.name: Forbidden: {RESERVED}system-x is not a known system priority class"),
        (
            "a",
            {"preemptionPolicy": "Always"},
            'preemptionPolicy: Unsupported value: "Always": supported values: "PreemptLowerPriority", "Never"',
        ),
    ],
)
async def test_classes_that_are_refused(api: Client, name: str, fields: Any, words: str) -> None:
    refused = await api.post(CLASSES, {**meta(name), **fields})
    assert (refused.code, refused.message) == (422, f'PriorityClass.scheduling.k8s.io "{name}" is invalid: {words}')


async def test_value_and_policy_are_for_good(api: Client) -> None:
    await api.post(CLASSES, {**meta("a"), "value": 1})
    refused = await api.put(f"{CLASSES}/a", {**meta("a"), "value": 2, "preemptionPolicy": "Never"})
    assert [(c["field"], c["message"]) for c in refused.json["details"]["causes"]] == [
        ("value", "Forbidden: may not be changed in an update."),
        ("preemptionPolicy", 'Invalid value: "Never": field is immutable'),
    ]


async def test_only_one_class_is_everybodys(api: Client) -> None:
    await api.post(CLASSES, {**meta("a"), "value": 5, "globalDefault": True, "preemptionPolicy": "Never"})
    again = await api.post(CLASSES, {**meta("b"), "globalDefault": True})
    assert again.code == 403
    assert again.message.endswith("PriorityClass a is already marked as default. Only one default can exist")
    spec = (await api.post(f"{DEFAULT}/pods", pod("p"))).json["spec"]
    assert (spec["priority"], spec["priorityClassName"], spec["preemptionPolicy"]) == (5, "a", "Never")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"priorityClassName": "nosuch"}, "no PriorityClass with name nosuch was found"),
        (
            {"priority": 7},
            "the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 0 "
            "from the given PriorityClass name",
        ),
        (
            {"preemptionPolicy": "Never"},
            "the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission controller "
            "computed PreemptLowerPriority from the given PriorityClass name",
        ),
    ],
)
async def test_pods_do_not_choose_their_own(api: Client, spec: Any, words: str) -> None:
    refused = await api.post(f"{DEFAULT}/pods", pod("p", **spec))
    assert (refused.code, refused.message) == (403, f'pods "p" is forbidden: {words}')


async def test_the_systems_are_for_pods_too(api: Client) -> None:
    spec = (await api.post(f"{DEFAULT}/pods", pod("p", priorityClassName="system-node-critical"))).json["spec"]
    assert spec["priority"] == 2_000_001_000
