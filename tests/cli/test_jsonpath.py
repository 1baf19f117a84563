"""Templates and results as kubectl has them; the errors are the words of client-go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.cli import jsonpath

LIST = {
    "kind": "List",
    "items": [
        {
            "metadata": {"name": "web-1", "labels": {"app": "web", "a.b/c": "dotted"}},
            "spec": {"ports": [{"name": "http", "port": 80}, {"name": "alt", "port": 8080}], "replicas": 2},
            "status": {"phase": "Running", "ready": True, "load": 0.5},
        },
        {
            "metadata": {"name": "web-2", "labels": {"app": "other"}},
            "spec": {"ports": [{"name": "dns", "port": 53}], "replicas": 1},
            "status": {"phase": "Pending", "ready": False, "message": None},
        },
    ],
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{.items[*].metadata.name}", "web-1 web-2"),
        ("{.items[0].metadata.name}", "web-1"),
        ("{.items[-1].metadata.name}", "web-2"),
        ("{.items[-1:].metadata.name}", "web-2"),
        ("{.items[0:1].metadata.name}", "web-1"),
        ("{.items[0:2:2].metadata.name}", "web-1"),
        ("{.items[0,1].metadata.name}", "web-1 web-2"),
        ("{.items[:].metadata['name', 'labels'].app}", "web other"),
        ("{.items[0]['metadata.name']}", "web-1"),
        ("{.items[0].metadata.labels.a\\.b/c}", "dotted"),
        ("{.items[*].spec.ports[*].port}", "80 8080 53"),
        ("{.items[0].spec.ports}", '[{"name":"http","port":80},{"name":"alt","port":8080}]'),
        ("{.items[0].metadata.labels}", '{"a.b/c":"dotted","app":"web"}'),
        ('{.items[?(@.metadata.name=="web-2")].status.phase}', "Pending"),
        ("{.items[?(@.metadata.name=='web-2')].status.phase}", "Pending"),
        ('{.items[?(@.metadata.name!="web-2")].status.phase}', "Running"),
        ("{.items[?(@.spec.replicas>1)].metadata.name}", "web-1"),
        ("{.items[?(@.spec.replicas<=1)].metadata.name}", "web-2"),
        ("{.items[?(@.status.ready==true)].metadata.name}", "web-1"),
        ("{.items[?(@.status.load)].metadata.name}", "web-1"),
        ('{.items[?(@.metadata.name=="none")].status.phase}', ""),
        ("{..name}", "web-1 http alt web-2 dns"),
        ("{.items..port}", "80 8080 53"),
        ("{.items[0].metadata.*}", 'web-1 {"a.b/c":"dotted","app":"web"}'),
        ("{.items[*].status.ready}", "true false"),
        ("{.items[0].status.load}", "0.5"),
        ("{.items[1].status.message}", "null"),
        ("{.missing.field}", ""),
        ("{.kind} of two", "List of two"),
        ("no action at all", "no action at all"),
        ('{range .items[*]}{.metadata.name}{"\\t"}{.status.phase}{"\\n"}{end}', "web-1\tRunning\nweb-2\tPending\n"),
        (
            '{range .items[*]}{.metadata.name}:{range .spec.ports[*]}{" "}{.port}{end}{"\\n"}{end}done',
            "web-1: 80 8080\nweb-2: 53\ndone",
        ),
        ("{range .none[*]}{.x}{end}after", "after"),
        ("{range .items[*]}{.kind}{@.metadata.name}{','}{end}", "web-1,web-2,"),
        ('{"a\\"b\\u00e9"}', 'a"bé'),
        ("{$.kind}", "List"),
        ("{.items[0].spec.ports[1:1]}", ""),
        ("{.items[0].metadata.name}{1.5}{-3}", "web-11.5-3"),
    ],
)
def test_results(template: str, expected: str) -> None:
    assert jsonpath.parse(template).render(LIST) == expected


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{.items[0", "unterminated array"),
        ("{.items", "unclosed action"),
        ("{.items[x]}", "invalid array index x"),
        ("{'text}", "unterminated quoted string"),
        ("{.items[?(@.a==1}", "unterminated filter"),
        ("{.items[?(@.a==1)}", "unclosed array expect ]"),
        ("{....a}", "invalid multiple recursive descent"),
        ("{%}", "unrecognized character in action: U+0025 '%'"),
        ("{1.2.3}", "cannot parse number 1.2.3"),
    ],
)
def test_refused_templates(template: str, message: str) -> None:
    with pytest.raises(jsonpath.JsonPathError) as caught:
        jsonpath.parse(template)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{.items[5]}", "array index out of bounds: index 5, length 2"),
        ("{.items[0:9]}", "array index out of bounds: index 8, length 2"),
        ("{.kind[0]}", "string is not array or slice"),
        ("{.items[0][0]}", "map[string]interface {} is not array or slice"),
        ("{.kind[?(@.a)]}", "List is not array or slice and cannot be filtered"),
        ('{.items[?(@.spec.replicas=="1")]}', "incompatible types for comparison"),
        ("{.items[?(@.spec.replicas=>1)]}", "unrecognized filter operator =>"),
        ("{.items[?(@.spec==1)]}", "invalid type for comparison"),
        ("{end}", "not in range, nothing to end"),
        ("{nonsense}", "unrecognized identifier nonsense"),
        ("{.items[0:2:0]}", "step must be > 0"),
    ],
)
def test_data_that_does_not_fit(template: str, message: str) -> None:
    with pytest.raises(jsonpath.JsonPathError) as caught:
        jsonpath.parse(template).render(LIST)
    assert caught.value.message == message


def test_missing_keys_are_an_error_when_asked_for() -> None:
    with pytest.raises(jsonpath.JsonPathError, match="nope is not found"):
        jsonpath.parse("{.nope}").results(LIST, allow_missing=False)


def test_json_output_escapes_what_html_would_trip_over() -> None:
    assert jsonpath.parse("{.a}").render({"a": ["<&>"]}) == '["\\u003c\\u0026\\u003e"]'
    assert jsonpath.parse("{.a}").render_json({"a": {"b": 1}}) == '[\n    {\n        "b": 1\n    }\n]\n'


@pytest.mark.parametrize("text", ["metadata.name", ".metadata.name", "{metadata.name}", "{.metadata.name}"])
def test_relaxed_paths(text: str) -> None:
    assert jsonpath.relaxed(text) == "{.metadata.name}"


def test_relaxed_refuses_what_is_no_path() -> None:
    with pytest.raises(jsonpath.JsonPathError, match="unexpected path string"):
        jsonpath.relaxed("{{x}}")


@given(st.text(alphabet="{}[].,*?@()'\"=<>ab01: -\\\n", max_size=30))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    try:
        jsonpath.parse(text).render(LIST)
    except jsonpath.JsonPathError as error:
        assert error.message
