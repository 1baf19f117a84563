import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.api import kinds, selectors
from labctl.api.status import ApiError


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("", {}, True),
        ("app=web", {"app": "web"}, True),
        ("app==web", {"app": "web"}, True),
        ("app=web", {}, False),
        ("app!=web", {}, True),
        ("app in (web,api)", {"app": "api"}, True),
        ("app notin (web)", {}, True),
        ("app", {"app": ""}, True),
        ("!app", {"app": ""}, False),
        ("app=", {"app": ""}, True),
        ("app in ()", {"app": ""}, True),
        ("n>5", {"n": "6"}, True),
        ("n<5", {"n": "x"}, False),
        ("n<5", {"n": "-7"}, True),
        ("in in (in,notin)", {"in": "notin"}, True),
        ("a=b,c notin (d, e),!f", {"a": "b", "c": "x"}, True),
        ("x in (foo,,baz),y,z notin ()", {"x": "", "y": "1"}, True),
    ],
)
def test_label_selectors(text: str, labels: dict[str, str], expected: bool) -> None:
    assert selectors.parse_label_selector(text).matches(labels) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        (
            "n>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, "
            "the value must be an integer",
        ),
    ],
)
def test_label_selector_errors(text: str, message: str) -> None:
    with pytest.raises(ApiError) as error:
        selectors.parse_label_selector(text)
    assert (error.value.code, error.value.message) == (400, message)


def test_bad_key_and_value_name_their_place() -> None:
    with pytest.raises(ApiError, match=r'^unable to parse requirement: <nil>: Invalid value: "_a": name part must'):
        selectors.parse_label_selector("_a=b")
    with pytest.raises(ApiError, match=r'^unable to parse requirement: values\[0\]\[a\]: Invalid value: "b_": a valid'):
        selectors.parse_label_selector("a=b_")


@pytest.mark.parametrize("text", ["a", "!a", "a=b", "a!=b", "a in (b,c)", "a notin (b),c>1"])
def test_text_form_is_stable(text: str) -> None:
    assert str(selectors.parse_label_selector(text)) == text


def test_selector_objects() -> None:
    selector = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
            {"key": "old", "operator": "DoesNotExist"},
        ],
    }
    assert str(selectors.from_object(selector)) == "app=web,!old,tier in (a,b)"
    assert selectors.from_object(selector).matches({"app": "web", "tier": "a"})
    assert not selectors.from_object(None).matches({})
    assert selectors.from_object({}).matches({"any": "thing"})
    assert selectors.from_labels({"b": "1", "a": "2"}).matches({"a": "2", "b": "1", "c": "3"})


@given(st.text(alphabet='ab=!(),<> in\\\x00"', max_size=20))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for parse in (selectors.parse_label_selector, selectors.parse_field_selector):
        try:
            parse(text)
        except ApiError as error:
            assert error.code == 400


POD = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"nodeName": "node-1", "restartPolicy": "Always"},
    "status": {"phase": "Running", "podIPs": [{"ip": "10.244.1.7"}]},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metadata.name=web", True),
        ("metadata.name!=web", False),
        ("spec.nodeName==node-1,status.phase=Running", True),
        ("spec.host=node-1", True),
        ("spec.nodeName=", False),
        ("spec.hostNetwork=false", True),
        ("status.podIP=10.244.1.7", True),
        ("status.nominatedNodeName=", True),
    ],
)
def test_field_selectors_of_pods(text: str, expected: bool) -> None:
    selector = selectors.parse_field_selector(text)
    selector.check(kinds.POD)
    assert selector.matches(kinds.POD, POD) is expected


def test_field_selectors_of_events_in_both_groups() -> None:
    event = {"involvedObject": {"name": "web"}, "reportingComponent": "kubelet", "type": "Normal"}
    for kind, text in (
        (kinds.EVENT, "involvedObject.name=web,reportingComponent=kubelet,source=kubelet"),
        (kinds.EVENTS_EVENT, "regarding.name=web,reportingController=kubelet"),
    ):
        selector = selectors.parse_field_selector(text)
        selector.check(kind)
        assert selector.matches(kind, event)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (kinds.POD, "spec.nope=x", "field label not supported: spec.nope"),
        (
            kinds.CONFIG_MAP,
            "data.x=y",
            '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
)
def test_unknown_fields(kind: kinds.Kind, text: str, message: str) -> None:
    with pytest.raises(ApiError) as error:
        selectors.parse_field_selector(text).check(kind)
    assert (error.value.code, error.value.message) == (400, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        ("a=\\x", "invalid field selector: invalid escape sequence: \\x"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_field_selector_errors(text: str, message: str) -> None:
    with pytest.raises(ApiError) as error:
        selectors.parse_field_selector(text)
    assert error.value.message == message


def test_escaped_values() -> None:
    selector = selectors.parse_field_selector(r"a=b\,c\=d\\,metadata.name=x")
    assert [(t.field, t.value) for t in selector.terms] == [("a", "b,c=d\\"), ("metadata.name", "x")]
    assert str(selector) == r"a=b\,c\=d\\,metadata.name=x"
    assert selector.exact("metadata.name") == "x"
