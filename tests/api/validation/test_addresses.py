"""IP addresses and ranges, in the words of kube-apiserver 1.36."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.api.validation.causes import address_complaints, cidr_complaints

NO_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
NO_RANGE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("10.9.8.7", []),
        ("2001:DB8::1", []),
        ("fd00:0010:0096::0077", []),
        ("010.009.8.7", ["must not have leading 0s"]),
        ("fd00:10:96::00077", ["must not have leading 0s"]),
        ("::ffff:1.2.3.4", ["must not be an IPv4-mapped IPv6 address"]),
        ("fe80::1%eth0", [NO_ADDRESS]),
        ("10.9.8", [NO_ADDRESS]),
        ("10.9.8.7/32", [NO_ADDRESS]),
        ("1\u0661.0.0.1", [NO_ADDRESS]),
        ("x", [NO_ADDRESS]),
        ("", [NO_ADDRESS]),
    ],
)
def test_addresses(text: str, complaints: list[str]) -> None:
    assert address_complaints(text) == complaints


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("10.9.8.0/24", []),
        ("2001:db8::/32", []),
        ("2001:db8::1/32", ["must not have bits set beyond the prefix length"]),
        ("010.9.8.0/24", ["must not have leading 0s in IP or prefix length"]),
        ("10.9.8.0/024", ["must not have leading 0s in IP or prefix length"]),
        ("::ffff:1.2.3.0/120", ["must not have an IPv4-mapped IPv6 address"]),
        ("10.9.8.0/255.255.255.0", [NO_RANGE]),
        ("10.9.8.0", [NO_RANGE]),
        ("10.9.8.0/33", [NO_RANGE]),
        ("10.9.8.0/+24", [NO_RANGE]),
        ("/24", [NO_RANGE]),
    ],
)
def test_ranges(text: str, complaints: list[str]) -> None:
    assert cidr_complaints(text) == complaints


@given(st.ip_addresses())
def test_every_address_passes_in_its_usual_form(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None)
    assert address_complaints(str(address)) == (["must not be an IPv4-mapped IPv6 address"] if mapped else [])


@given(st.text(alphabet="0123456789abcdef:./%", max_size=20))
def test_whatever_is_no_address_has_one_complaint(text: str) -> None:
    assert len(address_complaints(text)) <= 1 and len(cidr_complaints(text)) <= 1
