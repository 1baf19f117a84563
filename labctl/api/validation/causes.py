"""Causes in the words of k8s.io/apimachinery/pkg/util/validation/field."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

import orjson

from labctl.api.status import Cause


def show(value: Any) -> str:
    """A value as field errors print it."""
    return orjson.dumps(value).decode()


def invalid(path: str, value: Any, detail: str) -> Cause:
    """FieldValueInvalid."""
    return Cause("FieldValueInvalid", f"Invalid value: {show(value)}: {detail}", path)


def required(path: str, detail: str = "") -> Cause:
    """FieldValueRequired."""
    return Cause("FieldValueRequired", "Required value" + (f": {detail}" if detail else ""), path)


def duplicate(path: str, value: Any) -> Cause:
    """FieldValueDuplicate."""
    return Cause("FieldValueDuplicate", f"Duplicate value: {show(value)}", path)


def unsupported(path: str, value: Any, supported: Iterable[str]) -> Cause:
    """FieldValueNotSupported."""
    values = ", ".join(show(s) for s in sorted(supported))
    return Cause("FieldValueNotSupported", f"Unsupported value: {show(value)}: supported values: {values}", path)


def listed(path: str, value: Any, supported: Iterable[str]) -> Cause:
    """FieldValueNotSupported with the values in an order of their own."""
    values = ", ".join(show(s) for s in supported)
    return Cause("FieldValueNotSupported", f"Unsupported value: {show(value)}: supported values: {values}", path)


def forbidden(path: str, detail: str) -> Cause:
    """FieldValueForbidden."""
    return Cause("FieldValueForbidden", f"Forbidden: {detail}", path)


def not_found(path: str, value: Any) -> Cause:
    """FieldValueNotFound."""
    return Cause("FieldValueNotFound", f"Not found: {show(value)}", path)


def too_long(path: str, limit: int) -> Cause:
    """FieldValueTooLong."""
    return Cause("FieldValueTooLong", f"Too long: may not be more than {limit} bytes", path)


def one_of(path: str, value: Any, supported: Iterable[str]) -> list[Cause]:
    """FieldValueNotSupported unless the value is one of these."""
    return [] if value in supported else [unsupported(path, value, supported)]


def not_negative(path: str, value: Any) -> list[Cause]:
    """A number that must not be below zero."""
    return [invalid(path, value, "must be greater than or equal to 0")] if value < 0 else []


def too_many(path: str, actual: int, limit: int) -> Cause:
    """FieldValueTooMany."""
    return Cause("FieldValueTooMany", f"Too many: {actual}: must have at most {limit} items", path)


def all_invalid(path: str, value: Any, details: Iterable[str]) -> list[Cause]:
    """One FieldValueInvalid for each complaint."""
    return [invalid(path, value, detail) for detail in details]


def address_complaints(text: str) -> list[str]:
    """What is wrong with an IP address (IsValidIPForLegacyField, strictly)."""
    address = _interface(text)
    if address is None or "/" in text:
        if "/" not in text and _interface(_LEADING_ZEROS.sub("", text)):
            return ["must not have leading 0s"]
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    if getattr(address.ip, "ipv4_mapped", None):
        return ["must not be an IPv4-mapped IPv6 address"]
    return []


# Kubernetes once read numbers with any zeros before them; libc takes those for octal.
_LEADING_ZEROS = re.compile(r"(?<![0-9a-fA-F])0+(?=[0-9a-fA-F])")


def _interface(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface | None:
    """An address, maybe with the length of a prefix; zones and masks are no part of Kubernetes' addresses."""
    length = text.partition("/")[2]
    if "%" in text or not text.isascii() or ("/" in text and not length.isdigit()):
        return None
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        return None


def cidr_complaints(text: str) -> list[str]:
    """What is wrong with an address range (IsValidCIDRForLegacyField, strictly)."""
    network = _interface(text)
    if "/" not in text or network is None or _LEADING_ZEROS.match(text.partition("/")[2]):
        if "/" in text and _interface(_LEADING_ZEROS.sub("", text)):
            return ["must not have leading 0s in IP or prefix length"]
        return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]
    if getattr(network.ip, "ipv4_mapped", None):
        return ["must not have an IPv4-mapped IPv6 address"]
    if network.ip != network.network.network_address:
        return ["must not have bits set beyond the prefix length"]
    return []


def endpoint_address_complaints(text: str) -> list[str]:
    """What is wrong with an address as an endpoint (ValidateEndpointIP)."""
    address = ipaddress.ip_address(text)
    if address.is_unspecified:
        return [f"may not be unspecified ({text})"]
    if address.is_loopback:
        return ["may not be in the loopback range (127.0.0.0/8, ::1/128)"]
    if address.is_link_local:
        return ["may not be in the link-local range (169.254.0.0/16, fe80::/10)"]
    if address in ipaddress.ip_network("224.0.0.0/24") or address in ipaddress.ip_network("ff02::/10", strict=False):
        return ["may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"]
    return []
