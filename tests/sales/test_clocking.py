"""Working hours: an answer is never due at night, on a weekend, or an hour off when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.sales.clocking import due_after, minutes_between


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("start", "minutes", "zone", "due"),
    [
        (utc(2026, 3, 2, 9, 0), 240, "UTC", utc(2026, 3, 2, 13, 0)),  # a plain Monday morning
        (utc(2026, 3, 2, 15, 0), 240, "UTC", utc(2026, 3, 3, 11, 0)),  # over the night
        (utc(2026, 3, 6, 16, 0), 240, "UTC", utc(2026, 3, 9, 12, 0)),  # Friday to Monday
        (utc(2026, 3, 7, 12, 0), 60, "UTC", utc(2026, 3, 9, 10, 0)),  # came on a Saturday
        (utc(2026, 3, 2, 5, 0), 60, "UTC", utc(2026, 3, 2, 10, 0)),  # before the office opens
        (utc(2026, 3, 2, 17, 0), 60, "UTC", utc(2026, 3, 3, 10, 0)),  # at the minute it closes
        (utc(2026, 3, 2, 9, 0), 480, "UTC", utc(2026, 3, 2, 17, 0)),  # a whole day ends at closing time
        (utc(2026, 3, 27, 15, 0), 240, "Europe/Zurich", utc(2026, 3, 30, 10, 0)),  # Friday 16:00 CET, Monday 12:00 CEST
        (
            utc(2026, 10, 23, 14, 0),
            240,
            "Europe/Zurich",
            utc(2026, 10, 26, 11, 0),
        ),  # Friday 16:00 CEST, Monday 12:00 CET
        (utc(2026, 3, 2, 9, 0), 60, "America/New_York", utc(2026, 3, 2, 15, 0)),  # 4 in the night over there
        (utc(2026, 3, 2, 9, 0), 60, "Not/AZone", utc(2026, 3, 2, 10, 0)),
    ],
)
def test_the_clock_of_an_answer_runs_in_working_hours_only(
    start: datetime, minutes: int, zone: str, due: datetime
) -> None:
    assert due_after(start, minutes, zone) == due
    assert minutes_between(start, due, zone) == minutes


def test_an_answer_on_a_sunday_took_no_time_beyond_friday() -> None:
    assert minutes_between(utc(2026, 3, 6, 16, 30), utc(2026, 3, 8, 20, 0), "UTC") == 30
