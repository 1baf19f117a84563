"""Hypothesis strategies: field sets, and objects of real types with what appliers care about."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from labctl.api.managed_fields import sets
from labctl.api.managed_fields.sets import FieldSet

ELEMENTS = ["f:a", "f:b", "f:c", 'k:{"name":"x"}', 'v:"y"']
PATHS = st.lists(st.sampled_from(ELEMENTS), min_size=1, max_size=3).map(tuple)


def field_sets() -> st.SearchStrategy[FieldSet]:
    return st.lists(PATHS, max_size=8).map(lambda paths: sets.of(*paths))


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def _items(
    fields: st.SearchStrategy[dict[str, Any]], key: str, values: list[Any]
) -> st.SearchStrategy[list[dict[str, Any]]]:
    def keyed(chosen: list[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
        return st.lists(fields, min_size=len(chosen), max_size=len(chosen)).map(
            lambda found: [{**rest, key: value} for rest, value in zip(found, chosen, strict=True)]
        )

    return st.lists(st.sampled_from(values), unique=True, max_size=3).flatmap(keyed)


TEXT = st.sampled_from(["a", "b", "c"])
MAPS = st.dictionaries(st.sampled_from(["x", "y", "z"]), TEXT, max_size=3)
PORTS = _items(_some(name=TEXT, targetPort=st.sampled_from([80, "http"])), "port", [80, 81, 9])
METADATA = _some(labels=MAPS, annotations=MAPS, finalizers=st.lists(st.sampled_from(["a/b", "c/d"]), unique=True))
SERVICES = st.fixed_dictionaries(
    {"apiVersion": st.just("v1"), "kind": st.just("Service")},
    optional={"metadata": METADATA, "spec": _some(ports=PORTS, selector=MAPS, externalName=TEXT)},
)
"""Service configurations: maps, a set, a list by keys with a default (protocol), an atomic map (selector)."""
