"""Rules for names, labels and keys. Each function returns Kubernetes' messages, an empty list when all is well.

Wording and patterns are those of k8s.io/apimachinery pkg/util/validation and pkg/api/validate/content.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_ = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SUBDOMAIN_ = rf"{_LABEL_}(\.{_LABEL_})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"
_ENV_NAME = "[-._a-zA-Z][-._a-zA-Z0-9]*"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HTTP_HEADER = "[-A-Za-z0-9]+"
_PERCENT = "[0-9]+%"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"

LABEL_MAX = 63
SUBDOMAIN_MAX = 253
PORT_NAME_MAX = 15


def max_length(limit: int, unit: str = "characters") -> str:
    """The message for a string of more than `limit` bytes (Kubernetes says bytes for label keys and values only)."""
    return f"must be no more than {limit} {unit}"


def in_range(low: int, high: int) -> str:
    """The message for a number outside an inclusive range."""
    return f"must be between {low} and {high}, inclusive"


EMPTY = "must be non-empty"


def pattern_message(message: str, pattern: str, *examples: str) -> str:
    """A message that shows the pattern, with examples joined the way Kubernetes joins them."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


def _matches(pattern: str, value: str) -> bool:
    # re.ASCII: Go's classes never match other scripts' digits; fullmatch: `$` would allow a last newline.
    return re.fullmatch(pattern, value, re.ASCII) is not None


def _bytes(value: str) -> int:
    return len(value.encode())


def dns1123_label(value: str) -> list[str]:
    """A DNS label (RFC 1123): namespaces, Services, container names."""
    errors = [max_length(LABEL_MAX)] if _bytes(value) > LABEL_MAX else []
    if not _matches(_LABEL, value):
        if _matches(_SUBDOMAIN, value):
            return [*errors, "must not contain dots"]
        text = (
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
            "and must start and end with an alphanumeric character"
        )
        errors.append(pattern_message(text, _LABEL, "my-name", "123-abc"))
    return errors


def dns1123_subdomain(value: str, *, unit: str = "characters") -> list[str]:
    """A DNS subdomain (RFC 1123): the names of most objects."""
    errors = [max_length(SUBDOMAIN_MAX, unit)] if _bytes(value) > SUBDOMAIN_MAX else []
    if not _matches(_SUBDOMAIN, value):
        text = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character"
        )
        errors.append(pattern_message(text, _SUBDOMAIN, "example.com"))
    return errors


def dns1123_subdomain_with_underscore(value: str) -> list[str]:
    """A DNS subdomain in which underscores are allowed: DNS search paths, ExternalName targets."""
    errors = [max_length(SUBDOMAIN_MAX)] if _bytes(value) > SUBDOMAIN_MAX else []
    if not _matches(_SUBDOMAIN_, value):
        text = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
            "and must start and end with an alphanumeric character"
        )
        errors.append(pattern_message(text, _SUBDOMAIN_, "example.com"))
    return errors


def wildcard_dns1123_subdomain(value: str) -> list[str]:
    """`*.` and a DNS subdomain: hosts of an Ingress."""
    errors = [max_length(SUBDOMAIN_MAX)] if _bytes(value) > SUBDOMAIN_MAX else []
    if not _matches(_WILDCARD, value):
        text = (
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
            "consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
        )
        errors.append(pattern_message(text, _WILDCARD, "*.example.com"))
    return errors


def dns1035_label(value: str) -> list[str]:
    """A DNS label that starts with a letter (RFC 1035)."""
    errors = [max_length(LABEL_MAX)] if _bytes(value) > LABEL_MAX else []
    if not _matches(_LABEL_1035, value):
        text = (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character"
        )
        errors.append(pattern_message(text, _LABEL_1035, "my-name", "abc-123"))
    return errors


def qualified_name(value: str) -> list[str]:
    """A label or annotation key: an optional `prefix/` and a name."""
    text = (
        "must consist of alphanumeric characters, '-', '_' or '.', "
        "and must start and end with an alphanumeric character"
    )
    message = pattern_message(text, _QUALIFIED, "MyName", "my.name", "123-abc")
    parts = value.split("/")
    errors: list[str] = []
    if len(parts) > 2:
        return [
            f"a valid label key {message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    if len(parts) == 2:
        prefix = parts[0]
        errors += [f"prefix part {m}" for m in ([EMPTY] if not prefix else dns1123_subdomain(prefix, unit="bytes"))]
    name = parts[-1]
    if not name:
        errors.append(f"name part {EMPTY}")
    elif _bytes(name) > LABEL_MAX:
        errors.append(f"name part {max_length(LABEL_MAX, 'bytes')}")
    if not _matches(_QUALIFIED, name):
        errors.append(f"name part {message}")
    return errors


def label_value(value: str) -> list[str]:
    """A label's value, which may be empty."""
    errors = [max_length(LABEL_MAX, "bytes")] if _bytes(value) > LABEL_MAX else []
    if not _matches(_LABEL_VALUE, value):
        text = (
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
            "and must start and end with an alphanumeric character"
        )
        errors.append(pattern_message(text, _LABEL_VALUE, "MyValue", "my_value", "12345"))
    return errors


def port_name(value: str) -> list[str]:
    """The name of a container port, which a Service's targetPort may refer to."""
    errors = [max_length(PORT_NAME_MAX)] if _bytes(value) > PORT_NAME_MAX else []
    if not _matches("[-a-z0-9]+", value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def port_number(value: int) -> list[str]:
    """A port number, 1 to 65535."""
    return [] if 1 <= value <= 65535 else [in_range(1, 65535)]


def number_in_range(value: int, low: int, high: int) -> list[str]:
    """A number within an inclusive range."""
    return [] if low <= value <= high else [in_range(low, high)]


def user_id(value: int) -> list[str]:
    """A user or group id."""
    return number_in_range(value, 0, 2**31 - 1)


def percent(value: str) -> list[str]:
    """A whole number followed by `%`."""
    if _matches(_PERCENT, value):
        return []
    text = "a valid percent string must be a numeric string followed by an ending '%'"
    return [pattern_message(text, _PERCENT, "1%", "93%")]


def http_header_name(value: str) -> list[str]:
    """A header name of an HTTP probe."""
    if _matches(_HTTP_HEADER, value):
        return []
    text = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [pattern_message(text, _HTTP_HEADER, "X-Header-Name")]


def c_identifier(value: str) -> list[str]:
    """An identifier as C has them: env prefixes."""
    if _matches(_C_IDENTIFIER, value):
        return []
    text = (
        "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
        "characters or '_'"
    )
    return [pattern_message(text, _C_IDENTIFIER, "my_name", "MY_NAME", "MyName")]


def environment_variable_name(value: str) -> list[str]:
    """The name of an environment variable (the relaxed rule, in force since 1.34)."""
    errors = [] if value else [f"environment variable name {EMPTY}"]
    if any(not (" " <= c <= "~") or c == "=" for c in value):
        errors.append(
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
        )
    return errors


def config_map_key(value: str) -> list[str]:
    """A key of a ConfigMap's or Secret's data."""
    errors = [max_length(SUBDOMAIN_MAX)] if _bytes(value) > SUBDOMAIN_MAX else []
    if not _matches(_CONFIG_KEY, value):
        text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        errors.append(pattern_message(text, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    return errors + _no_parent_folder(value)


def _no_parent_folder(value: str) -> list[str]:
    if value == ".":
        return ["must not be '.'"]
    if value == "..":
        return ["must not be '..'"]
    if value.startswith(".."):
        return ["must not start with '..'"]
    return []


def path_segment(value: str) -> list[str]:
    """A name that only has to fit into a URL path: roles and their bindings."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{c}'" for c in "/%" if c in value]


Rule = Callable[[str], list[str]]


def as_prefix(value: str) -> str:
    """A generateName as the rules see it: a trailing dash stands for what will be appended."""
    return value[:-2] + "a" if len(value) > 1 and value.endswith("-") else value
