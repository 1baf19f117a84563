"""Names of objects."""

from __future__ import annotations

import pytest

from labctl.api import kinds
from labctl.api.validation import meta

NO_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


@pytest.mark.parametrize(
    ("name", "complaints"),
    [
        ("192.0.2.1", []),
        ("2001:db8::1", []),
        ("2001:db8:0::1", ['must be in canonical form ("2001:db8::1")']),
        ("192.0.2.01", ["must not have leading 0s"]),
        ("web", [NO_ADDRESS]),
    ],
)
def test_an_ip_address_is_named_by_itself(name: str, complaints: list[str]) -> None:
    assert meta.name_check(kinds.IP_ADDRESS)(name) == complaints
