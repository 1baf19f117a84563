import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.api import times

M, H, D = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"),
        (-1.5, "0s"),
        (0.9, "0s"),
        (119, "119s"),
        (2 * M, "2m"),
        (2 * M + 5, "2m5s"),
        (10 * M + 5, "10m"),
        (3 * H - 1, "179m"),
        (3 * H, "3h"),
        (3 * H + 4 * M, "3h4m"),
        (8 * H + 4 * M, "8h"),
        (47 * H, "47h"),
        (48 * H, "2d"),
        (7 * D + 23 * H, "7d23h"),
        (8 * D + H, "8d"),
        (729 * D, "729d"),
        (730 * D, "2y"),
        (3 * 365 * D + 10 * D, "3y10d"),
        (9 * 365 * D + 10 * D, "9y"),
    ],
)
def test_human_duration(seconds: float, text: str) -> None:
    assert times.human_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(59, "59s"), (119, "1m"), (3 * H, "3h"), (25 * H, "1d"), (800 * D, "2y"), (-5, "<invalid>")]
)
def test_short_human_duration(seconds: float, text: str) -> None:
    assert times.short_human_duration(seconds) == text


def test_now_is_cut_to_seconds_or_microseconds() -> None:
    assert times.now_rfc3339(lambda: 1.999) == "1970-01-01T00:00:01Z"
    assert times.now_micro(lambda: 1.5) == "1970-01-01T00:00:01.500000Z"


def test_parse_takes_offsets_and_fractions() -> None:
    assert times.to_unix("1970-01-01T01:00:00+01:00") == 0
    assert times.to_unix("1970-01-01T00:00:00.25Z") == 0.25


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00"]
)
def test_parse_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        times.parse(text)


@given(st.integers(0, 4_000_000_000))
def test_round_trip(second: int) -> None:
    assert times.to_unix(times.format_time(second)) == second


def test_years_have_four_digits() -> None:
    assert times.format_time(-62135596798) == "0001-01-01T00:00:02Z"
    assert times.format_micro_time(-62135596798) == "0001-01-01T00:00:02.000000Z"
