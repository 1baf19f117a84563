"""The store against a model: nothing lost, nothing reordered, nothing changed by a failed write."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from labctl.api.objects import Object, ObjectKey
from labctl.store import store as store_module
from labctl.store.errors import Compacted, Conflict, FutureRevision, WriteFailed
from labctl.store.store import Change, Store, Watcher

R = "services"


def obj(name: str, value: int = 0) -> Object:
    return {"metadata": {"name": name, "namespace": "default"}, "value": value}


def key(name: str) -> ObjectKey:
    return ObjectKey("default", name)


def test_revisions_grow_and_objects_carry_them() -> None:
    store = Store()
    assert [store.put(R, obj(n))["metadata"]["resourceVersion"] for n in "abc"] == ["1", "2", "3"]
    assert store.delete(R, key("b"))["metadata"]["resourceVersion"] == "4"
    assert [o["metadata"]["name"] for o in store.items(R)] == ["a", "c"]


@pytest.mark.parametrize(("expected", "exists"), [(0, True), (7, True), (1, False)])
def test_a_write_at_the_wrong_revision_changes_nothing(expected: int, exists: bool) -> None:
    store = Store()
    if exists:
        store.put(R, obj("a", 1))
    with pytest.raises(Conflict):
        store.put(R, obj("a", 2), expected=expected)
    assert [o["value"] for o in store.items(R)] == ([1] if exists else [])


def test_state_survives_a_restart_and_revisions_go_on(tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / "state.db")
    first = Store(path)
    first.put(R, obj("a"))
    first.put(R, obj("b"))
    first.delete(R, key("b"))
    second = Store(path)  # without close: as after kill -9
    assert [o["metadata"]["name"] for o in second.items(R)] == ["a"]
    assert second.put(R, obj("c"))["metadata"]["resourceVersion"] == "4"
    with pytest.raises(Compacted):
        second.watch(R, since=1)


def test_revisions_are_not_given_out_twice_after_compaction_and_restart(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(store_module, "_COMPACT_LOG_EVERY", 2)
    monkeypatch.setattr(store_module, "_KEEP_REVISIONS", 0)
    path = str(tmp_path / "state.db")
    store = Store(path)
    store.put(R, obj("a"))
    store.delete(R, key("a"))
    store.close()
    assert Store(path).put(R, obj("b"))["metadata"]["resourceVersion"] == "3"


def test_a_failed_write_leaves_the_present_state(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    store.put(R, obj("a", 1))

    class Full:
        def execute(self, *_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store._log, "_db", Full())
    with pytest.raises(WriteFailed, match="full"):
        store.put(R, obj("a", 2))
    with pytest.raises(WriteFailed, match="full"):
        store.delete(R, key("a"))
    assert [o["value"] for o in store.items(R)] == [1]
    assert store.revision == 1


def test_an_unusable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is not a database, it only looks like a file" * 40)
    with pytest.raises(WriteFailed, match=r"state\.db"):
        Store(str(tmp_path / "state.db"))


def test_history_is_bounded_and_the_future_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "HISTORY", 3)
    store = Store()
    for n in range(6):
        store.put(R, obj(f"n{n}"))
    with pytest.raises(Compacted, match="too old resource version"):
        store.watch(R, since=1)
    with pytest.raises(FutureRevision):
        store.items_at(R, 7)
    assert len(store.items_at(R, 3)) == 3


@pytest.mark.looptime
async def test_lists_of_more_than_minutes_ago_are_refused_while_watches_go_on_from_there() -> None:
    store = Store()
    store.put(R, obj("a"))
    keeper = asyncio.create_task(store.keep_compacting())
    await asyncio.sleep(store_module.COMPACT_EVERY_S - 1)
    store.put(R, obj("b"))
    await asyncio.sleep(2)
    assert len(store.items_at(R, 1)) == 1, "not yet five minutes old"
    await asyncio.sleep(store_module.COMPACT_EVERY_S)
    with pytest.raises(Compacted):
        store.items_at(R, 1)
    assert len(store.items_at(R, 2)) == 2, "where nothing came since, nothing is missing"
    assert [c.key.name for c in await store.watch(R, since=1).batch() or ()] == ["b"]
    keeper.cancel()


async def test_a_watcher_that_lags_too_far_behind_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_MAX_BACKLOG", 5)
    store = Store()
    slow, other = store.watch(R), store.watch(R)
    for n in range(6):
        store.put(R, obj(f"n{n}"))
        await other.batch()
    assert await slow.batch() is None
    assert not other.closed


names = st.sampled_from("abcd")


class StoreMachine(RuleBasedStateMachine):
    """Random writes, lists of the past, and watches started at random revisions."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.states: list[dict[str, int]] = [{}]
        self.watches: list[tuple[int, Watcher]] = []

    @rule(name=names, value=st.integers(0, 9))
    def put(self, name: str, value: int) -> None:
        self.store.put(R, obj(name, value))
        self.states.append({**self.states[-1], name: value})

    @rule(name=names)
    def delete(self, name: str) -> None:
        if name in self.states[-1]:
            self.store.delete(R, key(name))
            self.states.append({k: v for k, v in self.states[-1].items() if k != name})

    @rule(name=names)
    def write_elsewhere(self, name: str) -> None:
        self.store.put("other", obj(name))
        self.states.append(self.states[-1])

    @rule(data=st.data())
    def watch(self, data: st.DataObject) -> None:
        since = data.draw(st.integers(0, len(self.states) - 1))
        self.watches.append((since, self.store.watch(R, since=since)))

    @rule(data=st.data())
    def list_the_past(self, data: st.DataObject) -> None:
        revision = data.draw(st.integers(0, len(self.states) - 1))
        listed = {o["metadata"]["name"]: o["value"] for o in self.store.items_at(R, revision)}
        assert listed == self.states[revision]

    @invariant()
    def every_watch_rebuilds_the_present(self) -> None:
        for since, watcher in self.watches:
            state, last = dict(self.states[since]), since
            for change in watcher._pending:
                assert change.revision > last
                last = change.revision
                _apply(state, change)
            assert state == self.states[-1]


def _apply(state: dict[str, int], change: Change) -> None:
    assert change.object["metadata"]["resourceVersion"] == str(change.revision)
    assert (change.previous is None) == (change.key.name not in state)
    if change.deleted:
        del state[change.key.name]
    else:
        state[change.key.name] = change.object["value"]


TestStore = StoreMachine.TestCase
TestStore.settings = settings(stateful_step_count=25)
