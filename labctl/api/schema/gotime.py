"""Times as Go's time.Parse reads them, with its error messages: clients see those."""

from __future__ import annotations

import calendar
import re

from labctl.api import times

LAYOUT = "2006-01-02T15:04:05Z07:00"
MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"

_FRACTION = re.compile(r"[.,]([0-9]+)", re.ASCII)
_ZONE = re.compile(r"[+-][0-9]{2}:[0-9]{2}", re.ASCII)
_STEPS = (("2006", 4), ("-", 0), ("01", 2), ("-", 0), ("02", 2), ("T", 0), ("15", 2), (":", 0), ("04", 2), (":", 0))


class GoTimeError(ValueError):
    """The text is no time; the message is Go's."""


def parse_time(text: str) -> str:
    """An RFC 3339 time as metav1.Time writes it back: UTC, whole seconds. Raises GoTimeError."""
    _check(text, LAYOUT)
    return times.format_time(times.parse(text.replace(",", ".")).timestamp())


def parse_micro_time(text: str) -> str:
    """A time with six decimals as metav1.MicroTime writes it back, in UTC. Raises GoTimeError."""
    _check(text, MICRO_LAYOUT)
    return times.iso(times.parse(text.replace(",", ".")), "microseconds")


def _check(text: str, layout: str) -> None:
    rest = text
    numbers: list[int] = []

    def fail(element: str) -> GoTimeError:
        return GoTimeError(
            f"parsing time {_quote(text)} as {_quote(layout)}: cannot parse {_quote(rest)} as {_quote(element)}"
        )

    for element, digits in (*_STEPS, ("05", 2)):
        if digits:
            if not re.match(rf"[0-9]{{{digits}}}", rest, re.ASCII):
                raise fail(element)
            numbers.append(int(rest[:digits]))
            rest = rest[digits:]
        else:
            if not rest.startswith(element):
                raise fail(element)
            rest = rest[1:]
    _check_ranges(text, numbers)
    if layout == MICRO_LAYOUT:
        if not re.match(r"[.,][0-9]{6}", rest, re.ASCII):
            raise fail(".000000")
        rest = rest[7:]
    elif match := _FRACTION.match(rest):
        rest = rest[match.end() :]
    if rest.startswith("Z"):
        rest = rest[1:]
    elif zone := _ZONE.match(rest):
        rest = rest[zone.end() :]
    else:
        raise fail("Z07:00")
    if rest:
        raise GoTimeError(f"parsing time {_quote(text)}: extra text: {_quote(rest)}")


def _check_ranges(text: str, numbers: list[int]) -> None:
    year, month, day, hour, minute, second = numbers
    checks = (
        ("month", 1 <= month <= 12),
        ("day", 1 <= day <= (calendar.monthrange(year or 4, month)[1] if 1 <= month <= 12 else 31)),
        ("hour", hour < 24),
        ("minute", minute < 60),
        ("second", second < 60),
    )
    for name, good in checks:
        if not good:
            raise GoTimeError(f"parsing time {_quote(text)}: {name} out of range")
    if year == 0:
        raise GoTimeError(f"parsing time {_quote(text)}: year out of range")


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in escaped) + '"'
