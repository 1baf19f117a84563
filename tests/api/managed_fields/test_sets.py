from hypothesis import given

from labctl.api.managed_fields import sets
from tests.api.managed_fields.strategies import PATHS, field_sets

A_B: sets.FieldSet = {"f:a": {"f:b": {}}}


def test_a_field_and_what_is_inside_it() -> None:
    both = sets.of(("f:a",), ("f:a", "f:b"))
    assert both == {"f:a": {".": {}, "f:b": {}}}
    assert sets.difference(both, sets.of(("f:a",))) == A_B
    assert sets.difference(both, A_B) == {"f:a": {}}
    assert sets.difference(A_B, sets.of(("f:a",))) == A_B, "a field does not take along what is inside it"
    assert sets.without(both, sets.of(("f:a",))) == {}


def test_members_of_a_level_come_before_what_is_inside() -> None:
    fields = sets.of(("f:b",), ("f:a", "f:z"), ("f:a",), ("f:a", 'k:{"p":10}'), ("f:a", 'k:{"p":9}'))
    assert list(sets.paths(fields)) == [
        ("f:a",),
        ("f:b",),
        ("f:a", "f:z"),
        ("f:a", 'k:{"p":9}'),
        ("f:a", 'k:{"p":10}'),
    ]
    assert list(sets.ordered(fields)["f:a"]) == [".", "f:z", 'k:{"p":9}', 'k:{"p":10}']


def test_nothing_changes_nothing() -> None:
    fields = sets.of(("f:a", "f:b"), ("f:c",))
    assert sets.difference(fields, sets.of(("f:x",), ("f:a",))) is fields
    assert sets.without(fields, sets.of(("f:a", "f:x"))) is fields
    assert sets.union(fields, {}) is fields


def test_decode_tidies_up() -> None:
    written: sets.FieldSet = {"f:a": {".": {}, 'k:{"q":1,"p":2}': {}, 'k:{"p":2, "q":1}': {"f:x": {}}, "z:?": {}}}
    assert sets.decode(written) == {"f:a": {".": {}, 'k:{"p":2,"q":1}': {".": {}, "f:x": {}}}}


@given(field_sets())
def test_ordering_and_decoding_keep_a_set(one: sets.FieldSet) -> None:
    assert sets.decode(sets.ordered(one)) == one
    assert sets.of(*sets.paths(one)) == one


@given(field_sets(), field_sets(), field_sets())
def test_laws(one: sets.FieldSet, two: sets.FieldSet, three: sets.FieldSet) -> None:
    members = [set(sets.paths(s)) for s in (one, two, three)]
    assert set(sets.paths(sets.union(one, two))) == members[0] | members[1]
    assert set(sets.paths(sets.intersection(one, two))) == members[0] & members[1]
    assert set(sets.paths(sets.difference(one, two))) == members[0] - members[1]
    assert sets.union(sets.union(one, two), three) == sets.union(one, sets.union(two, three))
    assert sets.union(sets.difference(one, two), sets.intersection(one, two)) == one


@given(field_sets(), field_sets())
def test_without_takes_whole_trees(one: sets.FieldSet, two: sets.FieldSet) -> None:
    gone = set(sets.paths(two))
    kept = {p for p in sets.paths(one) if not any(p[:n] in gone for n in range(1, len(p) + 1))}
    assert set(sets.paths(sets.without(one, two))) == kept


@given(field_sets(), PATHS)
def test_has(one: sets.FieldSet, path: sets.Path) -> None:
    assert sets.has(one, path) == (path in set(sets.paths(one)))
