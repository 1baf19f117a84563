"""Messages compared with what a real API server answered (tests/golden) and with apimachinery's own test tables."""

import pytest

from labctl.api import names


@pytest.mark.parametrize("value", ["a", "ab", "a1", "a-1", "0", "0-a", "a" * 63])
def test_dns1123_label_accepts(value: str) -> None:
    assert names.dns1123_label(value) == []


def test_dns1123_label_message_is_kubernetes() -> None:
    assert names.dns1123_label("Bad_Name") == [
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    ]


def test_dns1123_label_with_dots() -> None:
    assert names.dns1123_label("a.b") == ["must not contain dots"]


def test_too_long_and_wrong_gives_both() -> None:
    found = names.dns1123_label("A" * 64)
    assert found[0] == "must be no more than 63 characters"
    assert len(found) == 2


@pytest.mark.parametrize("value", ["", "A", "a_b", "-a", "a-", "a\n", "\u0661"])
@pytest.mark.parametrize("rule", [names.dns1123_label, names.dns1123_subdomain, names.dns1035_label])
def test_bad_dns_names(rule: names.Rule, value: str) -> None:
    assert rule(value)


def test_dns1035_wants_a_letter_first() -> None:
    assert names.dns1035_label("a1") == []
    assert names.dns1035_label("1a") != []


def test_label_key_message_is_kubernetes() -> None:
    assert names.qualified_name("bad label") == [
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
        "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    ]


@pytest.mark.parametrize("value", ["simple", "now-with-dashes", "1-starts", "1234", "simple/simple", "1.2.3.4/5678"])
def test_label_key_accepts(value: str) -> None:
    assert names.qualified_name(value) == []


def test_label_key_prefix() -> None:
    assert names.qualified_name("/name") == ["prefix part must be non-empty"]
    assert names.qualified_name("a/b/c")[0].startswith("a valid label key must consist of")
    assert names.qualified_name("prefix/")[0] == "name part must be non-empty"
    assert names.qualified_name("a" * 254 + "/x")[0] == "prefix part must be no more than 253 bytes"


def test_label_value_is_counted_in_bytes() -> None:
    assert names.label_value("") == []
    assert names.label_value("ä" * 32)[0] == "must be no more than 63 bytes"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0123456789abcdef", "must be no more than 15 characters"),
        ("12345", "must contain at least one letter (a-z)"),
        ("a--b", "must not contain consecutive hyphens"),
        ("-a", "must not begin or end with a hyphen"),
        ("a_b", "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"),
    ],
)
def test_port_names(value: str, message: str) -> None:
    assert names.port_name(value) == [message]


def test_port_numbers() -> None:
    assert names.port_number(1) == names.port_number(65535) == []
    assert names.port_number(0) == names.port_number(70000) == ["must be between 1 and 65535, inclusive"]


def test_config_map_key_is_no_parent_folder() -> None:
    assert names.config_map_key("a.b_c") == []
    assert names.config_map_key("..") == ["must not be '..'"]
    assert names.config_map_key("..data") == ["must not start with '..'"]


def test_environment_variable_names_are_relaxed() -> None:
    assert names.environment_variable_name("1 $x") == []
    assert len(names.environment_variable_name("a=b")) == 1
    assert names.environment_variable_name("") == ["environment variable name must be non-empty"]


def test_generate_name_is_judged_without_its_dash() -> None:
    assert names.dns1123_label(names.as_prefix("web-")) == []
    assert names.dns1123_label(names.as_prefix("-")) != []


def test_path_segments() -> None:
    assert names.path_segment("system:node") == []
    assert names.path_segment("..") == ["may not be '..'"]
    assert names.path_segment("a/b%") == ["may not contain '/'", "may not contain '%'"]


def test_wildcard_and_underscore() -> None:
    assert names.wildcard_dns1123_subdomain("*.example.com") == []
    assert names.wildcard_dns1123_subdomain("*.*.com") != []
    assert names.dns1123_subdomain_with_underscore("_tcp.example.com") == []
    assert names.dns1123_subdomain("_tcp.example.com") != []


def test_percent_header_identifier() -> None:
    assert names.percent("25%") == names.http_header_name("X-A") == names.c_identifier("A_1") == []
    assert names.percent("25") and names.http_header_name("X:") and names.c_identifier("1")
