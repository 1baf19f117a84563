"""Addresses that are right and written oddly (GetWarningsForIP)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def warnings(path: str, addresses: Iterable[str]) -> list[str]:
    """Of each of several valid addresses."""
    return [text for index, address in enumerate(addresses) for text in warning(f"{path}[{index}]", address)]


def warning(path: str, address: str) -> list[str]:
    """IPv6 addresses should be written in the one canonical way."""
    canonical = str(ipaddress.ip_address(address))
    if ":" not in address or canonical == address:
        return []
    return [f'{path}: IPv6 address "{address}" should be in RFC 5952 canonical format ("{canonical}")']
