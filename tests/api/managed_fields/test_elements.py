import pytest

from labctl.api.managed_fields import elements


@pytest.mark.parametrize(
    ("element", "text", "shown"),
    [
        (elements.field("spec"), "f:spec", ".spec"),
        (
            elements.key({"protocol": "TCP", "port": 80}),
            'k:{"port":80,"protocol":"TCP"}',
            '[port=80,protocol="TCP"]',
        ),
        (elements.value("a"), 'v:"a"', '[="a"]'),
        (elements.value(7), "v:7", "[=7]"),
        ("i:3", "i:3", "[3]"),
        (elements.value("<&>"), 'v:"\\u003c\\u0026\\u003e"', '[="\\u003c\\u0026\\u003e"]'),
    ],
    ids=["field", "key", "value", "number", "index", "escaped"],
)
def test_forms(element: str, text: str, shown: str) -> None:
    assert element == text
    assert elements.show(element) == shown


def test_path() -> None:
    path = ("f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}', "f:name")
    assert elements.show_path(path) == '.spec.ports[port=80,protocol="TCP"].name'


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("f:a:b", "f:a:b"),
        ('k:{"protocol": "TCP", "port": 80}', 'k:{"port":80,"protocol":"TCP"}'),
        ('v: "x"', 'v:"x"'),
        ("i:007", "i:7"),
        ("z:later", None),
    ],
)
def test_canonical(text: str, canonical: str | None) -> None:
    assert elements.canonical(text) == canonical


@pytest.mark.parametrize("text", ["nothing", "k:[1]", "k:{", "v:", "i:x"])
def test_no_element(text: str) -> None:
    with pytest.raises(elements.ElementError):
        elements.canonical(text)


def test_order_is_that_of_kubernetes() -> None:
    mixed = ['v:"a"', "i:1", 'k:{"port":10}', 'k:{"port":9}', "f:b", ".", "f:a", "v:2"]
    ordered = [".", "f:a", "f:b", 'k:{"port":9}', 'k:{"port":10}', "v:2", 'v:"a"', "i:1"]
    assert sorted(mixed, key=elements.order) == ordered
