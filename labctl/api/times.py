"""Times as Kubernetes writes them: RFC 3339 in UTC, whole seconds (Time) or microseconds (MicroTime), and ages.

`human_duration` follows duration.HumanDuration of k8s.io/apimachinery: two or three significant figures.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

Clock = Callable[[], float]
"""Gives the time as Unix seconds; `time.time` in production, a counter in tests."""

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:(Z)|([+-])(\d\d):(\d\d))",
    re.ASCII,
)


def now_rfc3339(clock: Clock) -> str:
    """The present second, as metadata.creationTimestamp has it."""
    return format_time(clock())


def now_micro(clock: Clock) -> str:
    """The present microsecond, as eventTime and lease times have it."""
    return format_micro_time(clock())


def format_time(unix_s: float) -> str:
    """Unix seconds -> `2026-11-23T09:00:00Z`."""
    return iso(datetime.fromtimestamp(int(unix_s // 1), UTC), "seconds")


def format_micro_time(unix_s: float) -> str:
    """Unix seconds -> `2026-11-23T09:00:00.000000Z`."""
    return iso(datetime.fromtimestamp(unix_s, UTC), "microseconds")


def iso(moment: datetime, precision: str) -> str:
    """A moment in UTC with `Z`. strftime would leave out the zeros before a year, where there are some."""
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def parse(text: str) -> datetime:
    """An RFC 3339 time, with or without fraction, in UTC. Raises ValueError."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    year, month, day, hour, minute, second = (int(g) for g in match.group(1, 2, 3, 4, 5, 6))
    fraction = int(((match[7] or "") + "000000")[:6])
    zone: timezone = UTC
    if match[8] is None:
        offset = timedelta(hours=int(match[10]), minutes=int(match[11]))
        zone = timezone(offset if match[9] == "+" else -offset)
    try:
        return datetime(year, month, day, hour, minute, second, fraction, zone).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"time out of range: {text!r}") from error


def to_unix(text: str) -> float:
    """An RFC 3339 time as Unix seconds. Raises ValueError."""
    return parse(text).timestamp()


def age_s(timestamp: str, now_s: float) -> float:
    """Seconds between a timestamp and now (Unix seconds)."""
    return now_s - to_unix(timestamp)


_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def human_duration(seconds: float) -> str:
    """`12s`, `2m5s`, `3h4m`, `5d`: an age as kubectl prints it; `<invalid>` for the future."""
    s = int(seconds)
    if s < -1:
        return "<invalid>"
    if s < 0:
        return "0s"
    if s < 2 * _MINUTE:
        return f"{s}s"
    if s < 10 * _MINUTE:
        return _two(s // _MINUTE, "m", s % _MINUTE, "s")
    if s < 3 * _HOUR:
        return f"{s // _MINUTE}m"
    if s < 8 * _HOUR:
        return _two(s // _HOUR, "h", s // _MINUTE % 60, "m")
    if s < 2 * _DAY:
        return f"{s // _HOUR}h"
    if s < 8 * _DAY:
        return _two(s // _DAY, "d", s // _HOUR % 24, "h")
    if s < 2 * 365 * _DAY:
        return f"{s // _DAY}d"
    if s < 8 * 365 * _DAY:
        return _two(s // _DAY // 365, "y", s // _DAY % 365, "d")
    return f"{s // _DAY // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def short_human_duration(seconds: float) -> str:
    """One unit only: `59s`, `2m`, `3h`, `4d`, `1y`."""
    s = int(seconds)
    if s < -1:
        return "<invalid>"
    if s < 0:
        return "0s"
    for limit, unit, suffix in ((_MINUTE, 1, "s"), (_HOUR, _MINUTE, "m"), (_DAY, _HOUR, "h"), (365 * _DAY, _DAY, "d")):
        if s < limit:
            return f"{s // unit}{suffix}"
    return f"{s // (365 * _DAY)}y"
