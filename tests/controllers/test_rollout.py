"""The arithmetic of rollouts, and that no step ever breaks its limits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.api.objects import Object
from labctl.controllers import rollout
from labctl.controllers.rollout import DESIRED, MAXIMUM


def deployment(replicas: int, surge: Any = "25%", unavailable: Any = "25%") -> Object:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    return {"metadata": {"name": "web"}, "spec": {"replicas": replicas, "strategy": strategy}}


def replica_set(name: str, replicas: int, available: int = 0, *, desired: int = 0, maximum: int = 0) -> Object:
    notes = {DESIRED: str(desired), MAXIMUM: str(maximum)} if maximum else {}
    return {
        "metadata": {"name": name, "creationTimestamp": f"2026-01-01T00:00:0{name[-1]}Z", "annotations": notes},
        "spec": {"replicas": replicas},
        "status": {"availableReplicas": available},
    }


def told(steps: list[rollout.Step]) -> list[tuple[str, int]]:
    return [(s.replica_set["metadata"]["name"], s.replicas) for s in steps]


LIMITS = {
    "a quarter, up and down": (10, "25%", "25%", (3, 2)),
    "one pod": (1, "25%", "25%", (1, 0)),
    "numbers": (10, 3, 2, (3, 2)),
    "both zero would not move": (10, 0, 0, (0, 1)),
    "percent that rounds to nothing": (2, 0, "10%", (0, 1)),
    "never more unavailable than there are": (2, 0, 5, (0, 2)),
    "no replicas": (0, "25%", "25%", (0, 0)),
}


@pytest.mark.parametrize("case", LIMITS)
def test_limits(case: str) -> None:
    replicas, surge, unavailable, wanted = LIMITS[case]
    assert rollout.limits(deployment(replicas, surge, unavailable)) == wanted


NEW = {
    "first step": (10, 0, [10], 3),
    "room for one": (10, 5, [7], 6),
    "no room": (10, 5, [8], 5),
    "the rest": (10, 8, [2], 10),
    "too many of the new": (4, 6, [], 4),
    "nothing old": (4, 0, [], 4),
}


@pytest.mark.parametrize("case", NEW)
def test_size_of_the_new(case: str) -> None:
    replicas, present, old, wanted = NEW[case]
    assert rollout.new_size(deployment(replicas, 3, 2), present, [replica_set("o1", n) for n in old]) == wanted


OLD: dict[str, tuple[Object, list[Object], list[tuple[str, int]]]] = {
    "as many as may be unavailable": (replica_set("n9", 3), [replica_set("o1", 10, 10)], [("o1", 8)]),
    "a broken old one does not count when the new ones are broken too": (
        replica_set("n9", 5),
        [replica_set("o1", 8, 7)],
        [],
    ),
    "going back: the broken ones go first": (replica_set("o1", 8, 7), [replica_set("n9", 5, 0)], [("n9", 1)]),
    "rolled over: broken ones of the oldest first, then what works": (
        replica_set("n9", 0),
        [replica_set("o2", 5, 0), replica_set("o1", 8, 8)],
        [("o2", 0)],
    ),
    "the oldest first": (replica_set("n9", 5, 5), [replica_set("o2", 3, 3), replica_set("o1", 3, 3)], [("o1", 0)]),
    "the same in two steps": (replica_set("n9", 6, 6), [replica_set("o1", 5, 3)], [("o1", 3), ("o1", 2)]),
}


@pytest.mark.parametrize("case", OLD)
def test_steps_of_the_old(case: str) -> None:
    new, old, wanted = OLD[case]
    assert told(rollout.old_steps(deployment(10, 3, 2), new, old)) == wanted


SHARED = {
    "up, by size": (15, [(8, 13), (5, 13)], [11, 7]),
    "down, by size": (5, [(8, 13), (5, 13)], [5, 3]),
    "to nothing": (0, [(8, 13), (5, 13)], [0, 0]),
    "the largest takes what is left": (4, [(2, 5), (2, 5), (1, 5)], [3, 3, 1]),
    "no change": (10, [(8, 13), (5, 13)], [8, 5]),
}


@pytest.mark.parametrize("case", SHARED)
def test_scaling_in_the_middle_of_a_rollout(case: str) -> None:
    replicas, sizes, wanted = SHARED[case]
    every = [replica_set(f"r{i}", n, maximum=m, desired=10) for i, (n, m) in enumerate(sizes)]
    steps = rollout.scaling_steps(deployment(replicas, 3, 2), every[-1], every[:-1])
    assert [dict(told(steps))[f"r{i}"] for i in range(len(every))] == wanted


def test_one_active_replica_set_takes_it_all_and_a_finished_new_one_ends_the_others() -> None:
    one, two = replica_set("o1", 4, 4), replica_set("n9", 0)
    assert told(rollout.scaling_steps(deployment(7), two, [one])) == [("o1", 7)]
    assert told(rollout.scaling_steps(deployment(4), two, [one])) == []
    assert told(rollout.scaling_steps(deployment(3), two, [replica_set("o1", 0)])) == [("n9", 3)]
    full = replica_set("n9", 4, 4, desired=4, maximum=5)
    assert told(rollout.scaling_steps(deployment(4), full, [one])) == [("o1", 0)]


def test_scaling_is_seen_by_the_note_on_active_replica_sets() -> None:
    active, empty = replica_set("o1", 3, desired=3, maximum=4), replica_set("o2", 0, desired=1, maximum=2)
    assert not rollout.is_scaled(deployment(3), [active, empty])
    assert rollout.is_scaled(deployment(4), [active, empty])
    assert not rollout.is_scaled(deployment(4), [replica_set("o1", 3)])


@given(
    replicas=st.integers(1, 12),
    surge=st.integers(0, 4),
    unavailable=st.integers(0, 4),
    data=st.data(),
)
def test_every_rollout_arrives_and_never_breaks_its_limits(
    replicas: int, surge: int, unavailable: int, data: st.DataObject
) -> None:
    """Pods become available in any order; sizes stay under the surge, and working pods above the minimum."""
    wanted = deployment(replicas, surge, unavailable)
    most, least = rollout.limits(wanted)
    new, old = replica_set("n9", 0), replica_set("o1", replicas, replicas)
    for _ in range(60):
        target = rollout.new_size(wanted, rollout.size(new), [old])
        new = replica_set("n9", target, rollout.count(new, "availableReplicas"))
        assert rollout.size(new) + rollout.size(old) <= replicas + most
        for step in rollout.old_steps(wanted, new, [old]):
            old = replica_set("o1", step.replicas, min(step.replicas, rollout.count(old, "availableReplicas")))
        works = rollout.count(new, "availableReplicas") + rollout.count(old, "availableReplicas")
        assert works >= replicas - least
        ready = rollout.count(new, "availableReplicas")
        if rollout.size(new) == ready == replicas:
            break
        started = data.draw(st.integers(min(ready + 1, rollout.size(new)), rollout.size(new)))
        new = replica_set("n9", rollout.size(new), started)
    assert (rollout.size(new), rollout.size(old)) == (replicas, 0)
