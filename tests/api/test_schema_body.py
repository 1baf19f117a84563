import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.api import schema
from labctl.api.schema.body import MAX_BODY_BYTES
from labctl.api.status import ApiError


def refusal(body: bytes, content_type: str = "application/json") -> str:
    with pytest.raises(ApiError) as error:
        schema.parse_body(body, content_type)
    assert error.value.code == 400
    return error.value.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "unexpected end of JSON input"),
        (b"{", "unexpected end of JSON input"),
        (b'{"a', "unexpected end of JSON input"),
        (b"hello", "invalid character 'h' looking for beginning of value"),
        (b'{"a":1} x', "invalid character 'x' after top-level value"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'{"a":1,  }', "invalid character '}' looking for beginning of object key string"),
        (b"[1, ]", "invalid character ']' looking for beginning of value"),
        (b"{a:1}", "invalid character 'a' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b":2}', "invalid character '\"' after object key:value pair"),
        (b'{"a":[1 2]}', "invalid character '2' after array element"),
        (b'{"a":"\\x"}', "invalid character 'x' in string escape code"),
        (b'{"a":NaN}', "invalid character 'N' looking for beginning of value"),
    ],
)
def test_json_errors_are_those_of_go(body: bytes, message: str) -> None:
    assert refusal(body) == message


def test_create_says_what_it_expected() -> None:
    with pytest.raises(ApiError) as error:
        schema.parse_body(b"hello", kind="Service")
    assert error.value.message == (
        "the object provided is unrecognized (must be of type Service): couldn't get version/kind; json parse error: "
        "invalid character 'h' looking for beginning of value (68656c6c6f)"
    )


def test_a_body_is_an_object() -> None:
    assert refusal(b"[1]").startswith("json: cannot unmarshal array into Go value of type struct")
    assert schema.parse_value(b"[1]") == [1]


def test_duplicates_are_named_by_path_and_the_last_one_wins() -> None:
    body, duplicates = schema.parse_body(b'{"a":[{"b":1,"b":2}],"c":{"d":1},"c":{"e":1,"e":2}}')
    assert body == {"a": [{"b": 2}], "c": {"e": 2}}
    assert duplicates == ["a[0].b", "c", "c.e"]


def test_too_large() -> None:
    with pytest.raises(ApiError) as error:
        schema.parse_body(b'"' + b"x" * MAX_BODY_BYTES + b'"')
    assert (error.value.code, error.value.reason) == (413, "RequestEntityTooLarge")
    assert error.value.message == "Request entity too large: limit is 3145728"


@pytest.mark.parametrize("depth", [101, 5_000, 200_000])
def test_too_deep(depth: int) -> None:
    assert refusal(b'{"a":' + b"[" * depth + b"]" * depth + b"}") == "exceeded max depth"


YAML = "application/yaml"


def test_yaml_reads_scalars_as_go_yaml_does() -> None:
    text = b"""
port: 80
mode: 0644
big: 1_000
hex: 0x1F
time: 12:30:45
date: 2026-11-23
float: 1e3
truth: yes
text: "yes"
nothing: ~
1: key
"""
    body, _ = schema.parse_body(text, YAML)
    assert body == {
        "port": 80,
        "mode": 0o644,
        "big": 1000,
        "hex": 31,
        "time": "12:30:45",
        "date": "2026-11-23",
        "float": 1000.0,
        "truth": True,
        "text": "yes",
        "nothing": None,
        "1": "key",
    }


def test_yaml_merge_keys_aliases_and_duplicates() -> None:
    body, duplicates = schema.parse_body(b"base: &b {x: 1}\nmore: {<<: *b, z: 2}\na: 1\na: 2\n", YAML)
    assert body == {"base": {"x": 1}, "more": {"x": 1, "z": 2}, "a": 2}
    assert duplicates == ["a"]


def test_apply_patches_are_yaml() -> None:
    assert schema.parse_body(b"kind: Service", "application/apply-patch+yaml; charset=utf-8")[0] == {"kind": "Service"}


def test_yaml_errors_name_the_line() -> None:
    assert refusal(b"a: 1\nb: [\n", YAML).startswith("error converting YAML to JSON: yaml: line 3: did not find")


def test_yaml_aliases_do_not_explode() -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
    )
    assert "excessive aliasing" in refusal(bomb.encode(), YAML)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,\\ae1.-+ \n&*!<|>%@`', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for content_type in ("application/json", YAML):
        try:
            schema.parse_body(body, content_type)
        except ApiError as error:
            assert error.code == 400


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.text(), c),
        max_leaves=20,
    )
)
def test_json_data_survives(value: object) -> None:
    assert schema.plain(schema.parse_value(json.dumps(value).encode())) == value


@pytest.mark.parametrize("text", ["9223372036854775808", "-9223372036854775809", "1" + "0" * 30])
def test_integers_beyond_64_bits_become_floats_where_any_value_will_do(text: str) -> None:
    found = schema.plain(schema.parse_value(text.encode()))
    assert isinstance(found, float) and found == float(text)


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63)])
def test_integers_of_64_bits_stay_exact(number: int) -> None:
    assert schema.plain(schema.parse_value(str(number).encode())) == number
